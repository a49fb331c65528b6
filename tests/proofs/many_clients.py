"""Fifty clients with ten jobs each.

Promised: they are served in turns, nobody starves, cancelling takes effect within a step, and the event loop is never
busy for more than 50 ms at a stretch. `--strict` measures that by the clock, which needs a machine with nothing else to
do; without it the loop's own work counts.
"""

import contextlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proving import ScriptedServer, dice, expect, parser, submit
from server.config import database
from server.protocol.messages import Accepted, Cancelled, Done, Hello, Progress, Queued, Started
from server.records import Records

MOST_BUSY = 0.05


def prove(clients, jobs, strict=False, seed=None):
    """Let so many clients draw so many jobs and print the figures."""
    random = dice(seed)
    with tempfile.TemporaryDirectory() as folder:
        server = ScriptedServer(Path(folder), max_connections=clients + 4, cancel_seconds=5)
        server.start()
        try:
            everybodys, steps = load(server, clients, jobs, random)
            busy = server.stop()
        finally:
            server.kill()
        records = Records(database(Path(folder) / "jobs"), read_only=True)
        drawn = [job for job in records.jobs(states=("finished",)) if job.id in everybodys]
        records.close()
    started = [record.client for record in sorted(drawn, key=lambda record: record.started)]
    print(f"{clients} clients x {jobs} jobs: {len(drawn)} drawn")
    rounds = [started[at : at + clients] for at in range(0, len(started), clients)]
    expect(len(rounds) == jobs and all(len(set(each)) == clients for each in rounds), "a client was served out of turn")
    print(f"fair: in each of {jobs} rounds every client was served once")
    print(f"cancelled: {len(steps)} running jobs, each within {max(steps, default=0)} steps")
    print(f"event loop busy at a stretch: {busy['cpu'] * 1e3:.1f} ms of work, {busy['wall'] * 1e3:.1f} ms by the clock")
    expect(max(steps, default=0) <= 1, "a cancelled job went on")
    expect(busy["wall" if strict else "cpu"] <= MOST_BUSY, "the event loop was busy for too long")
    return busy


def load(server, clients, jobs, random):
    """Everybody submits while one job runs; then that one is cancelled and all are drawn."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(server.connect())
        blocker = submit("hang=1")
        first.submit(blocker)
        everybody = [stack.enter_context(server.connect()) for _ in range(clients)]
        mine = [[submit("layers=1", seed=random.randrange(10**6), steps=1) for _ in range(jobs)] for _ in everybody]
        for turn in range(jobs):
            for client, submits in zip(everybody, mine, strict=True):
                client.submit(submits[turn])
        first.cancel(blocker.job)
        with ThreadPoolExecutor(clients) as pool:  # a client that does not read is taken for dead after a while
            list(pool.map(read, everybody, mine))
        steps = [cancel_running(first) for _ in range(5)]
        return {each.job for submits in mine for each in submits}, steps


def read(client, submits):
    """Wait until all of one client's jobs are drawn."""
    for each in submits:
        expect(isinstance(list(client.events(each.job))[-1], Done), f"job {each.job} was not drawn")


def cancel_running(client):
    job = submit("seconds=0.05", steps=100)
    client.submit(job)
    for event in client.events(job.job):
        if isinstance(event, Progress):
            break
    return cancel_after(client, job)


def cancel_after(client, job):
    """Cancel and return how many steps were made after the server had been told.

    The answers to two requests come in their order, so the second, which is answered at once, tells when the first was
    taken.
    """
    client.cancel(job.job)
    mark = submit("layers=1", steps=1)
    client._send(mark)
    taken, steps = False, 0
    while True:
        item = client._receive()
        if isinstance(item, Accepted) and item.job == mark.job:
            taken = True
        elif isinstance(item, Progress) and item.job == job.job:
            steps += taken
        elif isinstance(item, Cancelled) and item.job == job.job:
            break
        elif not isinstance(item, Queued | Started | Hello | Progress | Accepted):
            client._waiting.append(item)
    expect(isinstance(list(client.events(mark.job))[-1], Done), "the job after a cancelled one was not drawn")
    return steps


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("--clients", type=int, default=50)
    made.add_argument("--jobs", type=int, default=10)
    made.add_argument("--strict", action="store_true", help="measure the event loop by the clock")
    arguments = made.parse_args()
    prove(arguments.clients, arguments.jobs, arguments.strict, arguments.seed)
