"""Kill the worker process at random moments of running jobs.

It proves that the server always answers, that each job ends with a named error within 5 s, that no finished layer is
lost, and that the jobs that follow are drawn.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import scripted
from layerfusion.server.client.client import Layer, Refusal
from layerfusion.server.protocol import location
from layerfusion.server.protocol.messages import Done, Failed, Fetch, Started
from proving import KILL, SECONDS, check_layer, dice, expect, parser, submit
from running import Running

SIDE, LAYERS, STEPS, STEP = 32, 8, 5, 0.02


def prove(times, seed=None, within=SECONDS):
    """Kill the worker `times` times and print the figures.

    Args:
        within: seconds within which a job must end after the death of its process.

    Returns:
        seconds from each death to the end of its job.
    """
    random = dice(seed)
    ends, finished, states = [], {}, {"worker_died": 0, "done": 0}
    with tempfile.TemporaryDirectory() as folder:
        os.environ[location.VARIABLE] = str(Path(folder) / "server.json")
        with Running(Path(folder) / "jobs", scripted.load) as server, server.client() as client:
            longest = time_one(client)
            for number in range(times):
                # Each has another size, because a request that kills the worker repeatedly is quarantined.
                job = submit(
                    f"seconds={STEP} layers={LAYERS} side={SIDE}",
                    seed=number,
                    steps=STEPS,
                    width=64 + number % 100,
                    height=64 + number // 100,
                )
                client.submit(job)
                killed = []
                for event in client.events(job.job):
                    if isinstance(event, Started):
                        moment = random.uniform(0, longest)
                        threading.Timer(moment, kill, (server, killed)).start()
                    elif isinstance(event, Layer):
                        check_layer(event, job, SIDE)
                        finished[job, event.begin.index] = event.begin.sha256
                ended = time.monotonic()
                while not killed:  # the job ended first
                    time.sleep(0.01)
                expect(isinstance(event, Done | Failed), f"job {job.job} ended with {event.type}")
                code = event.code if isinstance(event, Failed) else "done"
                expect(code in states, f"job {job.job} failed with {code}")
                states[code] += 1
                if code != "done":
                    ends.append(ended - killed[0])
                    expect(ends[-1] < within, f"job {job.job} ended {ends[-1]:.1f} s after its process")
                expect(server.get()[0] == 200, "the server did not answer")
            for (job, index), digest in finished.items():
                client._send(Fetch(job=job.job, index=index))
                layer = client._next(lambda item: isinstance(item, Layer))
                expect(layer.begin.sha256 == digest, "another layer was fetched")
                check_layer(layer, job, SIDE)
            last = submit(seed=1)
            client.submit(last)
            expect(isinstance(list(client.events(last.job))[-1], Done), "the next job was not drawn")
    print(f"{times} kills: {states['worker_died']} in the middle of a job, {states['done']} after it")
    print(
        f"{len(finished)} finished layers, 0 lost; longest from a death to its job's end {max(ends, default=0):.2f} s"
    )
    return ends


def time_one(client):
    """The duration of one job on this machine, in seconds."""
    job = submit(f"seconds={STEP} layers={LAYERS} side={SIDE}", steps=STEPS, width=200, height=200)
    client.submit(job)
    for event in client.events(job.job):
        if isinstance(event, Started):
            began = time.monotonic()
    return time.monotonic() - began


def kill(server, killed):
    """The current worker. If the last one has just died, wait for the next."""
    deadline = time.monotonic() + SECONDS
    while (pid := server.app._workers[0].pid) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pid is not None
    killed.append(time.monotonic())
    os.kill(pid, KILL)


if __name__ == "__main__":
    arguments = parser(__doc__).parse_args()
    try:
        prove(arguments.times, arguments.seed, within=5)
    except (TimeoutError, Refusal) as error:
        sys.exit(f"broken: {error}")
