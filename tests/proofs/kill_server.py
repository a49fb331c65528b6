"""Kill the server at random moments of its work.

It proves that after the next start every acknowledged job is known, that every finished layer can be fetched and is the
same, that running jobs are reported as interrupted, and that waiting jobs are drawn.
"""

import tempfile
import time
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from layerfusion.server.client.client import Layer
from layerfusion.server.protocol.messages import Accepted, Done, Failed, JobList, ListJobs
from proving import SECONDS, ScriptedServer, check_layer, dice, expect, parser, submit

SIDE, LAYERS, STEPS, STEP, JOBS = 32, 8, 5, 0.01, 4


class Ledger:
    """What the server has confirmed to clients.

    Attributes:
        jobs: the acknowledged jobs, by id.
        layers: the finished layers that were announced to a client: (job, index) -> SHA-256.
        ended: the last event of each job whose end was announced.
    """

    def __init__(self):
        self.jobs, self.layers, self.ended = {}, {}, {}

    def note(self, event):
        if isinstance(event, Layer):
            known = self.layers.setdefault((event.job, event.begin.index), event.begin.sha256)
            expect(known == event.begin.sha256, f"layer {event.begin.index} of {event.job} has changed")
            check_layer(event, self.jobs[event.job], SIDE)
        elif isinstance(event, Done | Failed) and event.seq:
            known = self.ended.setdefault(event.job, event)
            expect(known == event, f"job {event.job} ended twice: {known} and {event}")


def prove(times, seed=None):
    """Kill the server `times` times and print the figures."""
    random, ledger = dice(seed), Ledger()
    with tempfile.TemporaryDirectory() as folder:
        server = ScriptedServer(Path(folder))
        server.start()
        try:
            began = time.monotonic()  # a round that is not killed, to know how long one takes
            work_until_killed(server, ledger, began + SECONDS, 0)
            longest = time.monotonic() - began
            for number in range(1, times + 1):
                server.start()
                work_until_killed(server, ledger, time.monotonic() + random.uniform(0, longest), number)
            server.start()
            check(server, ledger)
        finally:
            server.kill()
    codes = [event.code if isinstance(event, Failed) else "done" for event in ledger.ended.values()]
    print(f"{times} kills: {len(ledger.jobs)} jobs acknowledged, {len(ledger.jobs)} known afterwards")
    print(f"{codes.count('done')} drawn, {codes.count('interrupted')} interrupted")
    print(f"{len(ledger.layers)} finished layers, all fetched and the same")
    return ledger


def work_until_killed(server, ledger, deadline, round_number, first=1):
    """Submit a few jobs, receive their events, and kill the server meanwhile: at the deadline, but not before it has
    acknowledged the first ones, however slow it is."""
    ended = len(ledger.ended)
    try:
        with server.connect() as client:
            for number in range(JOBS):
                job = submit(
                    f"seconds={STEP} layers={LAYERS} side={SIDE}", seed=round_number * JOBS + number, steps=STEPS
                )
                client._send(job)
                if isinstance(client._next(lambda item, job=job: getattr(item, "job", None) == job.job), Accepted):
                    ledger.jobs[job.job] = job
                if number + 1 >= first and time.monotonic() > deadline:
                    break
            while time.monotonic() < deadline and len(ledger.ended) < ended + JOBS:
                client._timeout = max(0.001, deadline - time.monotonic())
                ledger.note(client._receive())
    except (TimeoutError, ConnectionClosed):
        pass
    server.kill()


def check(server, ledger, failures=("interrupted",)):
    """Check that the server's last start knows everything that was confirmed, and that jobs failed in no other way."""
    with server.connect() as client:
        client._send(ListJobs(newest=1000))
        listed = {job.job for job in client._next(lambda item: isinstance(item, JobList)).jobs}
        expect(len(ledger.jobs) > 1000 or ledger.jobs.keys() <= listed, "an acknowledged job is not listed")
        for job_id in ledger.jobs:
            client.resume(job_id)
            events = list(client.events(job_id))
            for event in events:
                ledger.note(event)
            expect(isinstance(events[-1], Done | Failed), f"job {job_id} ended with {events[-1]}")
            if isinstance(events[-1], Failed):
                expect(events[-1].code in failures, f"job {job_id} failed: {events[-1]}")
            fetched = {event.begin.index for event in events if isinstance(event, Layer)}
            heard = {index for job, index in ledger.layers if job == job_id}
            expect(heard <= fetched, f"layers of job {job_id} are gone: {heard - fetched}")
            expect(isinstance(events[-1], Failed) or len(fetched) == LAYERS, f"job {job_id} is done without its layers")


if __name__ == "__main__":
    arguments = parser(__doc__).parse_args()
    prove(arguments.times, arguments.seed)
