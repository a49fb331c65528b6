"""Fifty clients with ten jobs each, on one worker or several.

It proves that they are served in turns, that no client waits for ever, that cancelling takes effect within a step, that
the event loop is never busy for more than 50 ms without a pause, and that the server's memory does not grow with its
work. `--strict` measures these 50 ms by the wall clock, which needs an otherwise idle machine; without it, only the
CPU time of the loop's thread counts.
"""

import asyncio
import contextlib
import tempfile
from collections import Counter
from pathlib import Path

import msgpack
from websockets.asyncio.client import connect

from layerfusion.server.config import database
from layerfusion.server.protocol import MAJOR, MINOR
from layerfusion.server.protocol.frames import MAX_FRAME
from layerfusion.server.protocol.messages import (
    Accepted,
    Cancel,
    Cancelled,
    Done,
    Failed,
    Hello,
    Message,
    Progress,
    Welcome,
)
from layerfusion.server.protocol.wire import Wire
from layerfusion.server.storage.database import Database
from proving import SECONDS, ScriptedServer, dice, expect, parser, submit

MOST_BUSY = 0.05
MOST_GROWTH = 64 << 20
MOST_UNFAIR = 1.3
WIRE = Wire(msgpack.packb, msgpack.unpackb)


class Guest:
    """One client. All clients run in one thread, so that fifty cost no more than one busy client.

    Attributes:
        steps: the number of steps drawn of each job so far.
    """

    def __init__(self, socket):
        self._socket = socket
        self._accepted, self._over = {}, {}
        self._progress = asyncio.Event()
        self.steps = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def visit(cls, runtime):
        headers = {"Authorization": f"Bearer {runtime.token}"}
        async with connect(
            runtime.url,
            additional_headers=headers,
            compression=None,
            proxy=None,
            max_size=MAX_FRAME,
            open_timeout=SECONDS,
            ping_interval=None,
        ) as socket:
            await socket.send(WIRE.encode(Hello(protocol=(MAJOR, MINOR), client="guest", version="1")))
            expect(isinstance(WIRE.decode(await socket.recv()), Welcome), "no welcome")
            guest = cls(socket)
            listening = asyncio.create_task(guest._listen())
            yield guest
            listening.cancel()

    async def _listen(self):
        async for frame in self._socket:
            item = WIRE.decode(frame)
            if isinstance(item, Accepted):
                self._accepted[item.job].set_result(None)
            elif isinstance(item, Done | Failed | Cancelled):
                self._over[item.job].set_result(item)
            elif isinstance(item, Progress):
                self.steps[item.job] = item.step
                self._progress.set()

    async def submit(self, job):
        """Submit a job and return when it is acknowledged."""
        loop = asyncio.get_running_loop()
        self._accepted[job.job], self._over[job.job] = loop.create_future(), loop.create_future()
        await self._socket.send(WIRE.encode(job))
        await asyncio.wait_for(self._accepted[job.job], SECONDS)

    async def end_of(self, job) -> Message:
        return await self._over[job.job]

    async def begin_of(self, job):
        while job.job not in self.steps:
            self._progress.clear()
            await self._progress.wait()

    async def cancel(self, job):
        await self._socket.send(WIRE.encode(Cancel(job=job.job)))


def prove(clients, jobs, strict=False, seed=None, workers=1):
    """Let `clients` clients draw `jobs` jobs each on `workers` workers, and print the figures."""
    random = dice(seed)
    with tempfile.TemporaryDirectory() as folder:
        limits = {"max_connections": clients + 4, "all_waiting_jobs": clients * jobs + workers, "cancel_seconds": 30}
        server = ScriptedServer(Path(folder), workers=workers, **limits)
        server.start()
        try:
            theirs, steps, grown = asyncio.run(crowd(server, clients, jobs, random, workers))
            busy = server.stop()
        finally:
            server.kill()
        records = Database(database(Path(folder) / "jobs"), read_only=True)
        drawn = [job for job in records.jobs(states=("finished",)) if job.id in theirs]
        records.close()
    started = [record.client for record in sorted(drawn, key=lambda record: record.started or 0)]
    print(f"{clients} clients x {jobs} jobs on {workers} workers: {len(drawn)} drawn")
    rounds = [started[at : at + clients] for at in range(0, len(started), clients)]
    out_of_turn = sum(clients - len(set(each)) for each in rounds)
    # Several workers start jobs at the same time, and the clock decides their order.
    expect(len(rounds) == jobs and out_of_turn <= (workers - 1) * jobs, "a client was served out of turn")
    half = Counter(started[: len(started) // 2])
    unfair = max(half.values()) / max(1, min(half.values())) if len(half) == clients else float("inf")
    print(f"fair: most jobs of a client after half of them {unfair:.2f} times the fewest; {out_of_turn} out of turn")
    expect(unfair <= MOST_UNFAIR or jobs < 8, "one client was served more than another")
    print(f"memory of the server: {grown / 2**20:+.1f} MiB while it drew them")
    expect(grown <= MOST_GROWTH, "the server's memory grew")
    print(f"cancelled: {len(steps)} running jobs, {max(steps)} steps at most after the server had been told")
    print(f"event loop busy at a stretch: {busy['cpu'] * 1e3:.1f} ms of work, {busy['wall'] * 1e3:.1f} ms by the clock")
    expect(max(steps) <= 1, "a cancelled job went on")
    expect(busy["wall" if strict else "cpu"] <= MOST_BUSY, "the event loop was busy for too long")
    return busy


def memory(process):
    """Bytes of main memory that a process has; 0 where /proc does not say it."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
    return 0


async def crowd(server, clients, jobs, random, workers):
    """All clients submit while each worker has a job; then these are cancelled, and all others are drawn."""
    runtime = server.runtime()
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(Guest.visit(runtime))
        blockers = [submit("seconds=3", steps=150) for _ in range(workers)]
        for blocker in blockers:
            await first.submit(blocker)
        guests = [await stack.enter_async_context(Guest.visit(runtime)) for _ in range(clients)]
        theirs = [[submit("layers=1", seed=random.randrange(10**6), steps=1) for _ in range(jobs)] for _ in guests]
        for turn in range(jobs):
            await asyncio.gather(*(guest.submit(jobs[turn]) for guest, jobs in zip(guests, theirs, strict=True)))
        before = memory(server.process)
        for blocker in blockers:
            await first.cancel(blocker)
        for blocker in blockers:
            expect(isinstance(await first.end_of(blocker), Cancelled), "a job was over before all had submitted")
        for guest, submits in zip(guests, theirs, strict=True):
            for each in submits:
                expect(isinstance(await guest.end_of(each), Done), f"job {each.job} was not drawn")
        grown = memory(server.process) - before
        steps = [await cancel_a_running_one(first) for _ in range(5)]
        return {each.job for submits in theirs for each in submits}, steps, grown


async def cancel_a_running_one(guest):
    """Cancel a running job; return how many steps were drawn after the server had received the cancel.

    The server handles requests in order. A second request follows the cancel at once; its answer proves that the server
    has the cancel.
    """
    job, mark = submit("seconds=0.05", steps=100), submit("layers=1", steps=1)
    await guest.submit(job)
    await guest.begin_of(job)
    await guest.cancel(job)
    await guest.submit(mark)
    known = guest.steps[job.job]
    expect(isinstance(await guest.end_of(job), Cancelled), "a cancelled job was drawn")
    expect(isinstance(await guest.end_of(mark), Done), "the job after a cancelled one was not drawn")
    return guest.steps[job.job] - known


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("--clients", type=int, default=50)
    made.add_argument("--jobs", type=int, default=10)
    made.add_argument("--workers", type=int, default=1)
    made.add_argument("--strict", action="store_true", help="measure the event loop by the clock")
    arguments = made.parse_args()
    prove(arguments.clients, arguments.jobs, arguments.strict, arguments.seed, arguments.workers)
