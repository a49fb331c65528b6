"""A running scheduler with scripted executors, and a listener that records its messages."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from layerfusion.server.protocol.errors import WorkerDied
from layerfusion.server.protocol.messages import Cancelled, Done, Failed, Message, Progress, Queued, Submit
from layerfusion.server.queue.scheduler import Scheduler
from layerfusion.server.storage.database import Database
from samples import job_id, layer_begin, submit


class Script:
    """An executor whose jobs have two steps. `available` lets jobs start, and `let` allows a number of steps."""

    def __init__(self):
        self.order = []
        self.model = None
        self.available = asyncio.Event()
        self.available.set()
        self.steps = asyncio.Semaphore(0)
        self.broken = self.deadly = False
        self._cancelled = set()
        self._problem = None
        self._failed = asyncio.Event()

    @property
    def is_ready(self):
        return self.available.is_set()

    @property
    def problem(self):
        return self._problem

    async def failing(self):
        await self._failed.wait()

    def fail(self, problem):
        self._problem = problem
        if problem is None:
            self._failed.clear()
        else:
            self._failed.set()

    async def ready(self):
        await self.available.wait()

    async def run(self, submit: Submit) -> AsyncIterator[Message]:
        self.order.append(submit.job)
        self.model = submit.model
        for step in (1, 2):
            await self.steps.acquire()
            if self.broken:
                raise RuntimeError("a bug")
            if self.deadly:
                yield Failed.of(WorkerDied("The process that draws ended (signal 9)."), job=submit.job, seq=1)
                return
            yield Progress(job=submit.job, stage="drawing", step=step, total=2)
            if submit.job in self._cancelled:
                yield Cancelled(job=submit.job, seq=1)
                return
        yield layer_begin(submit.job)
        yield Done(job=submit.job, seq=1, layers=1)

    def cancel(self, job):
        self._cancelled.add(job)

    def let(self, steps):
        for _ in range(steps):
            self.steps.release()


@contextlib.asynccontextmanager
async def running(folder=None, **limits):
    """A running scheduler with the script of its one executor, in `folder` or in a temporary folder."""
    script = Script()
    async with drawing([script], folder, **limits) as scheduler:
        yield scheduler, script


@contextlib.asynccontextmanager
async def drawing(scripts, folder=None, **limits):
    """A running scheduler with these executors, in `folder` or in a temporary folder."""
    with contextlib.ExitStack() as stack:
        folder = Path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        records = Database(folder / "jobs.sqlite")
        stack.callback(records.close)
        scheduler = Scheduler(scripts, records, **{"status_seconds": 0, **limits})
        await scheduler.recover()
        task = asyncio.create_task(scheduler.run())
        try:
            async with asyncio.timeout(90):
                yield scheduler
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            scheduler.close()


class Heard(list):
    """A listener: a list of the messages it received, with a method to wait for them."""

    def __init__(self):
        super().__init__()
        self._news = asyncio.Event()

    def __call__(self, message):
        self.append(message)
        self._news.set()

    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]
    __eq__ = object.__eq__

    async def wait_for(self, kind, count=1):
        while sum(isinstance(message, kind) for message in self) < count:
            self._news.clear()
            await self._news.wait()

    def events(self):
        return [message for message in self if not isinstance(message, Progress | Queued)]


async def follow(scheduler, client, *numbers, **values):
    heard = Heard()
    for number in numbers:
        for job in await scheduler.submit(client, submit(number, **values)):
            scheduler.follow(job, heard)
    return heard


async def position(scheduler, number):
    return scheduler.position(await scheduler.find(job_id(number)))[0]


def scenario(coroutine):
    """Run an async test."""

    def test():
        asyncio.run(coroutine())

    test.__name__ = coroutine.__name__
    test.__doc__ = coroutine.__doc__
    return test
