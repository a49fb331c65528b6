"""Who runs next, who hears of it, and how jobs end. The executor is scripted; everything else is real."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from server.protocol.errors import JobExists, QueueFull, UnknownJob
from server.protocol.messages import (
    Cancelled,
    Done,
    Failed,
    Generated,
    Kept,
    LayerBegin,
    Message,
    Progress,
    Queued,
    Started,
    Submit,
)
from server.scheduler import Scheduler

DIGEST = "ab" * 32


def job_id(number):
    return f"00000000-0000-4000-8000-{number:012d}"


def submit(number, **values):
    defaults = {
        "job": job_id(number),
        "width": 64,
        "height": 64,
        "background": Generated(prompt="a beach"),
        "foregrounds": (Generated(prompt="an apple"),),
        "model": "tiny",
    }
    return Submit(**{**defaults, **values})


def layer(job):
    return LayerBegin(
        job=job,
        seq=1,
        transfer=0,
        index=0,
        name="Background",
        role="background",
        x=0,
        y=0,
        width=1,
        height=1,
        blend="normal",
        opacity=1.0,
        visible=True,
        bytes=4,
        sha256=DIGEST,
    )


class Script:
    """An executor that does one step whenever the test lets it: `ready` holds back jobs, `step` each of two steps."""

    def __init__(self):
        self.order = []
        self.available = asyncio.Event()
        self.available.set()
        self.steps = asyncio.Semaphore(0)
        self.broken = False
        self._cancelled = set()

    async def ready(self):
        await self.available.wait()

    async def run(self, submit: Submit) -> AsyncIterator[Message]:
        self.order.append(submit.job)
        for step in (1, 2):
            await self.steps.acquire()
            if self.broken:
                raise RuntimeError("a bug")
            yield Progress(job=submit.job, stage="drawing", step=step, total=2)
            if submit.job in self._cancelled:
                yield Cancelled(job=submit.job, seq=1)
                return
        yield layer(submit.job)
        yield Done(job=submit.job, seq=1, layers=1)

    def cancel(self, job):
        self._cancelled.add(job)

    def let(self, steps):
        for _ in range(steps):
            self.steps.release()


@contextlib.asynccontextmanager
async def running(**limits):
    script = Script()
    scheduler = Scheduler(script, **limits)
    task = asyncio.create_task(scheduler.run())
    try:
        async with asyncio.timeout(20):
            yield scheduler, script
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Heard(list):
    """A listener: what it was told, and a way to wait for it."""

    def __init__(self):
        super().__init__()
        self._news = asyncio.Event()

    def __call__(self, message):
        self.append(message)
        self._news.set()

    __hash__ = object.__hash__
    __eq__ = object.__eq__

    async def wait_for(self, kind, count=1):
        while sum(isinstance(message, kind) for message in self) < count:
            self._news.clear()
            await self._news.wait()

    def events(self):
        return [message for message in self if not isinstance(message, Progress | Queued)]


def follow(scheduler, client, *numbers, **values):
    heard = Heard()
    for number in numbers:
        scheduler.follow(scheduler.submit(client, submit(number, **values)), heard)
    return heard


def scenario(coroutine):
    """Run an async test."""

    def test():
        asyncio.run(coroutine())

    test.__name__ = coroutine.__name__
    test.__doc__ = coroutine.__doc__
    return test


@scenario
async def test_events_are_numbered_without_gaps():
    async with running() as (scheduler, script):
        heard = follow(scheduler, "a", 1)
        script.let(2)
        await heard.wait_for(Done)
        assert [type(event) for event in heard.events()] == [Started, LayerBegin, Done]
        assert [event.seq for event in heard.events()] == [1, 2, 3]
        assert [note.step for note in heard if isinstance(note, Progress)] == [1, 2]


@scenario
async def test_clients_take_turns():
    async with running() as (scheduler, script):
        heard = [follow(scheduler, "a", 1, 2, 3), follow(scheduler, "b", 11, 12), follow(scheduler, "c", 21)]
        script.let(12)
        for each, count in zip(heard, (3, 2, 1), strict=True):
            await each.wait_for(Done, count)
        assert script.order == [job_id(number) for number in (1, 11, 21, 2, 12, 3)]


@scenario
async def test_positions_count_the_jobs_before():
    async with running() as (scheduler, script):
        script.available.clear()
        a = follow(scheduler, "a", 1, 2, 3)
        b = follow(scheduler, "b", 11)
        jobs = {number: scheduler.find(job_id(number)) for number in (1, 2, 3, 11)}
        assert {number: scheduler.position(job) for number, job in jobs.items()} == {1: 0, 11: 1, 2: 2, 3: 3}
        script.available.set()
        await a.wait_for(Started)
        assert {number: scheduler.position(job) for number, job in jobs.items()} == {1: 0, 11: 1, 2: 2, 3: 3}
        script.let(2)
        await b.wait_for(Started)
        assert {number: scheduler.position(job) for number, job in jobs.items()} == {1: 0, 11: 0, 2: 1, 3: 2}
        assert [note for note in a if isinstance(note, Queued)][-2:] == [
            Queued(job=job_id(2), position=1),
            Queued(job=job_id(3), position=2),
        ]


@scenario
async def test_a_waiting_job_is_cancelled_at_once_and_never_runs():
    async with running() as (scheduler, script):
        first, second, third = (follow(scheduler, "a", number) for number in (1, 2, 3))
        await first.wait_for(Started)
        scheduler.cancel(scheduler.find(job_id(2)))
        assert second.events() == [Cancelled(job=job_id(2), seq=1)]
        assert third[-1] == Queued(job=job_id(3), position=1)
        script.let(4)
        await third.wait_for(Done)
        assert script.order == [job_id(1), job_id(3)]


@scenario
async def test_a_running_job_is_cancelled_after_its_step():
    async with running() as (scheduler, script):
        heard = follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        scheduler.cancel(scheduler.find(job_id(1)))
        assert len(heard.events()) == 1
        script.let(1)
        await heard.wait_for(Cancelled)
        assert heard.events() == [Started(job=job_id(1), seq=1), Cancelled(job=job_id(1), seq=2)]


@scenario
async def test_a_job_that_is_over_cannot_be_cancelled():
    async with running() as (scheduler, script):
        heard = follow(scheduler, "a", 1)
        script.let(2)
        await heard.wait_for(Done)
        before = list(heard)
        scheduler.cancel(scheduler.find(job_id(1)))
        assert list(heard) == before


@scenario
async def test_the_same_submission_again_is_the_same_job():
    async with running() as (scheduler, script):
        job = scheduler.submit("a", submit(1))
        assert scheduler.submit("b", submit(1)) is job
        heard = Heard()
        scheduler.follow(job, heard)
        script.let(2)
        await heard.wait_for(Done)
        assert scheduler.submit("a", submit(1)) is job
        assert script.order == [job_id(1)]


@scenario
async def test_another_submission_under_the_same_id_is_refused():
    async with running() as (scheduler, _):
        scheduler.submit("a", submit(1))
        with pytest.raises(JobExists):
            scheduler.submit("a", submit(1, seed=5))


@scenario
async def test_a_client_may_not_fill_the_queue():
    async with running(waiting_jobs=2) as (scheduler, script):
        script.available.clear()
        follow(scheduler, "a", 1, 2)
        with pytest.raises(QueueFull, match="2 of your jobs are waiting"):
            scheduler.submit("a", submit(3))
        scheduler.submit("b", submit(3))


@scenario
async def test_who_comes_back_hears_the_rest_and_only_the_rest():
    async with running() as (scheduler, script):
        heard = follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        scheduler.leave(heard)
        script.let(2)
        late = Heard()
        scheduler.follow(scheduler.find(job_id(1)), late, after=1)
        await late.wait_for(Done)
        assert [event.seq for event in late.events()] == [2, 3]
        assert [event.seq for event in heard.events()] == [1]
        later = Heard()
        scheduler.follow(scheduler.find(job_id(1)), later)
        assert [event.seq for event in later] == [1, 2, 3]


@scenario
async def test_who_asks_twice_hears_the_past_twice_and_the_future_once():
    async with running() as (scheduler, script):
        heard = follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        scheduler.follow(scheduler.find(job_id(1)), heard)
        script.let(2)
        await heard.wait_for(Done)
        assert [event.seq for event in heard.events()] == [1, 1, 2, 3]


@scenario
async def test_a_failing_executor_fails_its_job_and_no_other():
    async with running() as (scheduler, script):
        first, second = follow(scheduler, "a", 1), follow(scheduler, "a", 2)
        script.broken = True
        script.let(1)
        await first.wait_for(Failed)
        assert (first[-1].code, first[-1].seq) == ("internal_error", 2)
        script.broken = False
        script.let(2)
        await second.wait_for(Done)


@scenario
async def test_what_is_left_when_the_server_stops_fails():
    async with running() as (scheduler, _):
        running_job, waiting_job = follow(scheduler, "a", 1), follow(scheduler, "a", 2)
        await running_job.wait_for(Started)
    assert [heard[-1].code for heard in (running_job, waiting_job)] == ["server_stopping"] * 2
    assert [heard[-1].seq for heard in (running_job, waiting_job)] == [2, 1]


@scenario
async def test_old_jobs_are_forgotten_and_their_layers_no_longer_needed():
    async with running(finished_jobs=1) as (scheduler, script):
        heard = follow(scheduler, "a", 1, 2)
        script.let(4)
        await heard.wait_for(Done, 2)
        assert scheduler.digests() == {DIGEST}
        scheduler.submit("a", submit(3))
        with pytest.raises(UnknownJob):
            scheduler.find(job_id(1))
        assert scheduler.find(job_id(2)).ended is not None


@scenario
async def test_the_layers_a_waiting_job_keeps_are_needed():
    async with running() as (scheduler, script):
        script.available.clear()
        kept = Kept(layer="cd" * 32, width=1, height=1, name="Apple", prompt="an apple")
        scheduler.submit("a", submit(1, foregrounds=(kept,)))
        assert scheduler.digests() == {"cd" * 32}


@scenario
async def test_many_clients_are_served_fairly():
    """Between two jobs of one client, no other waiting client is served more than once."""
    async with running() as (scheduler, script):
        script.available.clear()
        clients = [f"client {number}" for number in range(20)]
        heard = [follow(scheduler, client, *range(100 * i, 100 * i + 5)) for i, client in enumerate(clients)]
        script.let(200)
        script.available.set()
        for each in heard:
            await each.wait_for(Done, 5)
        turns = [int(job[-12:]) // 100 for job in script.order]
        assert turns == list(range(20)) * 5
