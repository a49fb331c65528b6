"""As many jobs as in a day, drawn quickly one after the other: 10,000.

It proves that memory does not grow, that the store stays within its limit, and that no file, process or descriptor is
left behind.
"""

import os
import tempfile
import time
from pathlib import Path

from layerfusion.server.config import layers
from layerfusion.server.protocol.messages import Ack, Done
from proving import ScriptedServer, expect, parser, submit
from started import children

SIDE = 64
STORE_BYTES = 200 * 4 * SIDE * SIDE
MOST_GROWTH = 32 * 2**20


def prove(jobs, measures=10):
    """Draw `jobs` jobs and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        # The messages of a day come within minutes, which is above the usual rate limit of a client.
        server = ScriptedServer(
            Path(folder), store_bytes=STORE_BYTES, prune_seconds=0.5, upload_seconds=2, message_rate=10_000
        )
        server.start()
        try:
            figures = draw(server, jobs, measures)
            time.sleep(4)  # until the last unneeded layers are old enough to be removed by the next pruning
            kept = stored(server)
            server.stop()
        finally:
            server.kill()
        left = sorted(path.name for path in layers(Path(folder) / "jobs").glob("drafts/*"))
        expect(not left, f"drafts were left: {left}")
    early, late = figures[1], figures[-1]
    print(f"{jobs} jobs; kept at the end: {kept / 1e6:.1f} MB of at most {STORE_BYTES / 1e6:.1f} MB")
    expect(kept <= 2 * STORE_BYTES, "the store is not bounded")
    for name in ("memory", "descriptors", "processes", "database"):
        print(f"{name}: {early[name]} after {early['jobs']} jobs, {late[name]} after {late['jobs']}")
    if early["memory"] is not None:
        expect(late["memory"] - early["memory"] < MOST_GROWTH, "memory grows")
        expect(late["descriptors"] <= early["descriptors"] + 3, "descriptors leak")
        expect(late["processes"] <= early["processes"], "processes leak")
    expect(late["database"] <= 2 * early["database"] + 8 * 2**20, "the list of jobs grows")
    return figures


def draw(server, jobs, measures):
    """Draw all jobs and measure now and then. One job is always submitted ahead, so that the worker need not wait."""
    figures = []
    with server.connect() as client:
        ahead = None
        for number in range(jobs + 1):
            job = submit(f"layers=1 side={SIDE}", seed=number, steps=1) if number < jobs else None
            if job is not None:
                client.submit(job)
            if ahead is not None:
                *_, done = client.events(ahead.job)
                expect(isinstance(done, Done), f"job {ahead.job} ended with {done}")
                client._send(Ack(job=ahead.job, seq=done.seq))
            ahead = job
            if number % max(1, jobs // measures) == 0:
                figures.append({"jobs": number, **measure(server)})
    return figures


def measure(server):
    """Of the server's process; None where the system does not say."""
    here = {"database": sum(file.stat().st_size for file in (server.folder / "jobs").glob("jobs.sqlite*"))}
    process = Path(f"/proc/{server.process.pid}")
    if not process.exists():
        return {**here, "memory": None, "descriptors": None, "processes": None}
    pages = int((process / "statm").read_text().split()[1])
    return {
        **here,
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        "descriptors": least(lambda: len(list((process / "fd").iterdir()))),
        "processes": len(children(process)),
    }


def least(count):
    """The least of several looks: what is open for a moment, such as the backup of the list, is not left behind."""
    looks = []
    for _ in range(5):
        looks.append(count())
        time.sleep(0.02)
    return min(looks)


def stored(server):
    return sum(path.stat().st_size for path in layers(server.folder / "jobs").glob("??/*"))


if __name__ == "__main__":
    made = parser(__doc__)
    made.set_defaults(times=10_000)
    arguments = made.parse_args()
    prove(arguments.times)
