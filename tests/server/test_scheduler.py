"""Who runs next, who hears of it, and how jobs end. The executor is scripted; everything else is real."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import UnwritableFile
from server.protocol.errors import JobExists, Quarantined, QueueFull, ServerStopping, StoreFull, UnknownJob, WorkerDied
from server.protocol.messages import (
    Cancelled,
    Done,
    Failed,
    Generated,
    LayerBegin,
    Message,
    Progress,
    Queued,
    Resubmit,
    Started,
    Submit,
    Variant,
)
from server.records import Records
from server.scheduler import Scheduler
from server.translate import failure

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
        self.broken = self.deadly = False
        self._cancelled = set()

    async def ready(self):
        await self.available.wait()

    async def run(self, submit: Submit) -> AsyncIterator[Message]:
        self.order.append(submit.job)
        for step in (1, 2):
            await self.steps.acquire()
            if self.broken:
                raise RuntimeError("a bug")
            if self.deadly:
                yield failure(submit.job, WorkerDied("The process that draws ended (signal 9)."))
                return
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
async def running(folder=None, **limits):
    """A scheduler at work on a folder of its own, or on one that is given."""
    with contextlib.ExitStack() as stack:
        folder = Path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        records = Records(folder / "jobs.sqlite")
        stack.callback(records.close)
        script = Script()
        scheduler = Scheduler(script, records, **{"places_seconds": 0, **limits})
        await scheduler.recover()
        task = asyncio.create_task(scheduler.run())
        try:
            async with asyncio.timeout(90):
                yield scheduler, script
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            scheduler.close()


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


async def follow(scheduler, client, *numbers, **values):
    heard = Heard()
    for number in numbers:
        for job in await scheduler.submit(client, submit(number, **values)):
            scheduler.follow(job, heard)
    return heard


async def position(scheduler, number):
    return scheduler.place(await scheduler.find(job_id(number)))[0]


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
        heard = await follow(scheduler, "a", 1)
        script.let(2)
        await heard.wait_for(Done)
        assert [type(event) for event in heard.events()] == [Started, LayerBegin, Done]
        assert [event.seq for event in heard.events()] == [1, 2, 3]
        assert [note.step for note in heard if isinstance(note, Progress)] == [1, 2]


@scenario
async def test_clients_take_turns():
    async with running() as (scheduler, script):
        script.available.clear()
        heard = [
            await follow(scheduler, "a", 1, 2, 3),
            await follow(scheduler, "b", 11, 12),
            await follow(scheduler, "c", 21),
        ]
        script.available.set()
        script.let(12)
        for each, count in zip(heard, (3, 2, 1), strict=True):
            await each.wait_for(Done, count)
        assert script.order == [job_id(number) for number in (1, 11, 21, 2, 12, 3)]


@scenario
async def test_positions_count_the_jobs_before():
    async with running() as (scheduler, script):
        script.available.clear()
        a = await follow(scheduler, "a", 1, 2, 3)
        b = await follow(scheduler, "b", 11)

        async def positions():
            return {number: await position(scheduler, number) for number in (1, 2, 3, 11)}

        assert await positions() == {1: 0, 11: 1, 2: 2, 3: 3}
        script.available.set()
        await a.wait_for(Started)
        assert await positions() == {1: 0, 11: 1, 2: 2, 3: 3}
        script.let(2)
        await b.wait_for(Started)
        assert await positions() == {1: 0, 11: 0, 2: 1, 3: 2}
        notes = [(note.job, note.position) for note in a if isinstance(note, Queued)]
        assert notes[-2:] == [(job_id(2), 1), (job_id(3), 2)]


@scenario
async def test_a_waiting_job_is_cancelled_at_once_and_never_runs():
    async with running() as (scheduler, script):
        first, second, third = [await follow(scheduler, "a", number) for number in (1, 2, 3)]
        await first.wait_for(Started)
        await scheduler.cancel(await scheduler.find(job_id(2)))
        assert second.events() == [Cancelled(job=job_id(2), seq=1)]
        assert (third[-1].job, third[-1].position) == (job_id(3), 1)
        script.let(4)
        await third.wait_for(Done)
        assert script.order == [job_id(1), job_id(3)]


@scenario
async def test_a_running_job_is_cancelled_after_its_step():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        await scheduler.cancel(await scheduler.find(job_id(1)))
        assert len(heard.events()) == 1
        script.let(1)
        await heard.wait_for(Cancelled)
        assert heard.events() == [Started(job=job_id(1), seq=1), Cancelled(job=job_id(1), seq=2)]


@scenario
async def test_a_job_that_is_over_cannot_be_cancelled():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        script.let(2)
        await heard.wait_for(Done)
        before = list(heard)
        await scheduler.cancel(await scheduler.find(job_id(1)))
        assert list(heard) == before


@scenario
async def test_the_same_submission_again_is_the_same_job():
    async with running() as (scheduler, script):
        (job,) = await scheduler.submit("a", submit(1))
        assert await scheduler.submit("b", submit(1)) == [job]
        heard = Heard()
        scheduler.follow(job, heard)
        script.let(2)
        await heard.wait_for(Done)
        (again,) = await scheduler.submit("a", submit(1))
        assert again.events == heard.events()
        assert script.order == [job_id(1)]


@scenario
async def test_another_submission_under_the_same_id_is_refused():
    async with running() as (scheduler, _):
        await scheduler.submit("a", submit(1))
        with pytest.raises(JobExists):
            await scheduler.submit("a", submit(1, seed=5))


@scenario
async def test_a_client_may_not_fill_the_queue():
    async with running(waiting_jobs=2) as (scheduler, script):
        script.available.clear()
        await follow(scheduler, "a", 1, 2)
        with pytest.raises(QueueFull, match="2 of your jobs are waiting"):
            await scheduler.submit("a", submit(3))
        await scheduler.submit("b", submit(3))


@scenario
async def test_who_comes_back_hears_the_rest_and_only_the_rest():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        scheduler.leave(heard)
        script.let(2)
        late = Heard()
        scheduler.follow(await scheduler.find(job_id(1)), late, after=1)
        await late.wait_for(Done)
        assert [event.seq for event in late.events()] == [2, 3]
        assert [event.seq for event in heard.events()] == [1]
        later = Heard()
        scheduler.follow(await scheduler.find(job_id(1)), later)
        assert [event.seq for event in later] == [1, 2, 3]


@scenario
async def test_who_asks_twice_hears_the_past_twice_and_the_future_once():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        scheduler.follow(await scheduler.find(job_id(1)), heard)
        script.let(2)
        await heard.wait_for(Done)
        assert [event.seq for event in heard.events()] == [1, 1, 2, 3]


@scenario
async def test_a_failing_executor_fails_its_job_and_no_other():
    async with running() as (scheduler, script):
        first, second = await follow(scheduler, "a", 1), await follow(scheduler, "a", 2)
        script.broken = True
        script.let(1)
        await first.wait_for(Failed)
        assert (first[-1].code, first[-1].seq) == ("internal_error", 2)
        script.broken = False
        script.let(2)
        await second.wait_for(Done)


@scenario
async def test_who_comes_back_to_a_job_that_is_over_hears_all_of_it():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        script.let(2)
        await heard.wait_for(Done)
        assert scheduler._jobs == {}
        late = Heard()
        scheduler.follow(await scheduler.find(job_id(1)), late, after=1)
        assert late.events() == heard.events()[1:]


@scenario
async def test_the_next_server_draws_what_waited_and_says_what_was_interrupted():
    with tempfile.TemporaryDirectory() as folder:
        async with running(folder) as (scheduler, script):
            heard = await follow(scheduler, "a", 1, 2)
            await heard.wait_for(Started)
        assert (heard[-1].job, heard[-1].code, heard[-1].seq) == (job_id(1), "interrupted", 2)
        async with running(folder) as (scheduler, script):
            first, second = Heard(), Heard()
            scheduler.follow(await scheduler.find(job_id(1)), first)
            scheduler.follow(await scheduler.find(job_id(2)), second)
            script.let(2)
            await second.wait_for(Done)
            assert [event.seq for event in first.events()] == [1, 2]
            assert first[-1].code == "interrupted"
            assert script.order == [job_id(2)]


@scenario
async def test_a_job_whose_server_was_killed_is_interrupted():
    with tempfile.TemporaryDirectory() as folder:
        records = Records(Path(folder) / "jobs.sqlite")
        records.add([submit(1)], "a")
        records.append(Started(job=job_id(1), seq=1))
        records.append(replace(layer(job_id(1)), seq=2))
        records.close()
        async with running(folder) as (scheduler, script):
            job = await scheduler.find(job_id(1))
            assert [type(event) for event in job.events] == [Started, LayerBegin, Failed]
            assert job.events[-1].code == "interrupted"
            (again,) = await scheduler.resubmit("a", Resubmit(job=job_id(2), of=job_id(1)))
            assert again.submit == submit(2)
            heard = Heard()
            scheduler.follow(again, heard)
            script.let(2)
            await heard.wait_for(Done)
            assert script.order == [job_id(2)]


@scenario
async def test_an_interrupted_job_is_drawn_again_once_however_often_it_is_asked():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        script.let(2)
        await heard.wait_for(Done)
        again = Resubmit(job=job_id(2), of=job_id(1))
        assert await scheduler.resubmit("a", again) == await scheduler.resubmit("b", again)
        with pytest.raises(UnknownJob):
            await scheduler.resubmit("a", Resubmit(job=job_id(3), of=job_id(99)))


@scenario
async def test_draining_finishes_what_runs_and_begins_nothing():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1, 2)
        await heard.wait_for(Started)
        draining = asyncio.create_task(scheduler.drain(10))
        await asyncio.sleep(0)
        with pytest.raises(ServerStopping):
            await scheduler.submit("a", submit(3))
        script.let(4)
        await draining
        await heard.wait_for(Done)
        assert script.order == [job_id(1)]
        assert await position(scheduler, 2) == 0


@scenario
async def test_draining_does_not_wait_for_ever():
    async with running() as (scheduler, _):
        heard = await follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        await scheduler.drain(0.01)
        assert len(heard.events()) == 1


# ---- whose turn it is


@scenario
async def test_interactive_jobs_go_before_batch_ones():
    async with running() as (scheduler, script):
        script.available.clear()
        batch = await follow(scheduler, "a", 1, 2, priority="batch")
        interactive = await follow(scheduler, "b", 11, 12)
        assert [await position(scheduler, number) for number in (11, 12, 1, 2)] == [0, 1, 2, 3]
        script.available.set()
        script.let(8)
        await batch.wait_for(Done, 2)
        await interactive.wait_for(Done, 2)
        assert script.order == [job_id(number) for number in (11, 12, 1, 2)]


@scenario
async def test_the_latest_job_for_a_document_replaces_those_that_wait_but_not_the_one_that_runs():
    async with running() as (scheduler, script):
        first = await follow(scheduler, "a", 1, replaces="sketch.kra")
        await first.wait_for(Started)
        second = await follow(scheduler, "a", 2, replaces="sketch.kra")
        others = [
            await follow(scheduler, "a", 3, replaces="portrait.kra"),
            await follow(scheduler, "a", 4),
            await follow(scheduler, "b", 5, replaces="sketch.kra"),
        ]
        third = await follow(scheduler, "a", 6, replaces="sketch.kra")
        assert second.events() == [Cancelled(job=job_id(2), seq=1, replaced_by=job_id(6))]
        script.let(10)
        for heard in (first, *others, third):
            await heard.wait_for(Done)
        assert job_id(2) not in script.order


@scenario
async def test_live_iteration_is_never_refused_for_its_own_past():
    async with running(waiting_jobs=1) as (scheduler, script):
        script.available.clear()
        for number in range(1, 6):
            await scheduler.submit("a", submit(number, replaces="sketch.kra"))
        assert await position(scheduler, 5) == 0


@scenario
async def test_variants_are_queued_together_and_are_jobs_of_their_own():
    async with running() as (scheduler, script):
        variants = tuple(Variant(job=job_id(number), seed=number) for number in (2, 3))
        jobs = await scheduler.submit("a", submit(1, variants=variants))
        assert [(job.id, job.submit.seed) for job in jobs] == [(job_id(1), 0), (job_id(2), 2), (job_id(3), 3)]
        assert await scheduler.submit("a", submit(1, variants=variants)) == jobs
        with pytest.raises(JobExists):
            await scheduler.submit("a", submit(1, variants=variants[:1]))
        with pytest.raises(JobExists):
            await scheduler.submit("a", submit(9, variants=variants))
        heard = Heard()
        for job in jobs:
            scheduler.follow(job, heard)
        script.let(6)
        await heard.wait_for(Done, 3)


@scenario
async def test_variants_that_do_not_fit_are_refused_all():
    async with running(waiting_jobs=2) as (scheduler, script):
        script.available.clear()
        variants = tuple(Variant(job=job_id(number), seed=number) for number in (2, 3))
        with pytest.raises(QueueFull):
            await scheduler.submit("a", submit(1, variants=variants))
        for number in (1, 2, 3):
            with pytest.raises(UnknownJob):
                await scheduler.find(job_id(number))


@scenario
async def test_all_clients_together_may_not_fill_the_queue_either():
    async with running(all_waiting_jobs=2) as (scheduler, script):
        script.available.clear()
        for client in ("a", "b"):
            await scheduler.submit(client, submit(ord(client)))
        with pytest.raises(QueueFull, match="2 jobs of all clients"):
            await scheduler.submit("c", submit(3))


@scenario
async def test_how_long_it_takes_is_said_once_it_is_known():
    async with running() as (scheduler, script):
        script.available.clear()
        heard = await follow(scheduler, "a", 1, 11)
        assert scheduler.place(await scheduler.find(job_id(1))) == (0, 0.0)
        assert scheduler.place(await scheduler.find(job_id(11))) == (1, None)
        script.available.set()
        script.let(4)
        await heard.wait_for(Done, 2)
        script.available.clear()
        for number in (2, 3):
            await scheduler.submit("a", submit(number))
        position, starts_in = scheduler.place(await scheduler.find(job_id(2)))
        assert (position, starts_in) == (0, 0.0)
        position, starts_in = scheduler.place(await scheduler.find(job_id(3)))
        assert position == 1
        assert 0 < starts_in < 20


@scenario
async def test_places_are_told_not_too_often_and_the_last_is_right():
    async with running(places_seconds=1000) as (scheduler, script):
        script.available.clear()
        heard = await follow(scheduler, "a", *range(1, 21))
        script.available.set()
        script.let(36)
        await heard.wait_for(Done, 18)
        assert sum(isinstance(message, Queued) for message in heard) == 19
    async with running(places_seconds=0.05) as (scheduler, script):
        script.available.clear()
        heard = await follow(scheduler, "a", *range(1, 4))
        script.available.set()
        script.let(2)
        await heard.wait_for(Queued, 3)  # of the two that wait, and of the last once the second is begun
        assert (heard[-1].job, heard[-1].position) == (job_id(3), 1)


# ---- what can go wrong


@scenario
async def test_a_request_that_kills_twice_is_not_drawn_a_third_time():
    async with running() as (scheduler, script):
        script.deadly = True
        script.let(3)
        codes = []
        for number in (1, 2):
            heard = await follow(scheduler, "a", number, seed=number)
            await heard.wait_for(Failed)
            codes.append(heard[-1].code)
        assert codes == ["worker_died", "quarantined"]
        assert "ended (signal 9)" in heard[-1].message
        with pytest.raises(Quarantined, match="ended the process that draws 2 times"):
            await scheduler.submit("b", submit(3, seed=3))
        script.deadly = False
        other = await follow(scheduler, "b", 4, width=128)
        script.let(2)
        await other.wait_for(Done)


@scenario
async def test_a_request_that_went_well_is_forgiven():
    async with running() as (scheduler, script):
        for number, deadly in ((1, True), (2, False), (3, True)):
            script.deadly = deadly
            heard = await follow(scheduler, "a", number)
            script.let(2)
            await heard.wait_for((Done, Failed))
        assert heard[-1].code == "worker_died"


@scenario
async def test_a_full_store_takes_no_more_jobs():
    async def make_room():
        return False

    async with running(make_room=make_room) as (scheduler, _):
        with pytest.raises(StoreFull):
            await scheduler.submit("a", submit(1))


@scenario
async def test_a_job_that_cannot_be_written_is_not_taken():
    async with running() as (scheduler, script):
        scheduler._records._query("PRAGMA query_only = ON")
        with pytest.raises(UnwritableFile):
            await scheduler.submit("a", submit(1))
        scheduler._records._query("PRAGMA query_only = OFF")
        heard = await follow(scheduler, "a", 1)
        script.let(2)
        await heard.wait_for(Done)


@scenario
async def test_an_event_that_cannot_be_written_ends_the_job_and_the_next_one_is_drawn():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        scheduler._records._query("PRAGMA query_only = ON")
        script.let(2)
        await heard.wait_for(Failed)
        assert heard[-1].code == "unwritable_file"
        assert [type(event) for event in heard.events()] == [Started, Failed]
        scheduler._records._query("PRAGMA query_only = OFF")
        second = await follow(scheduler, "a", 2)
        script.let(2)
        await second.wait_for(Done)


@scenario
async def test_a_cancel_between_two_messages_of_the_start_is_not_lost():
    async with running() as (scheduler, script):
        heard = Heard()

        def cancel_at_once(message):
            heard(message)
            if isinstance(message, Started):
                scheduler._running.cancelled = True

        (job,) = await scheduler.submit("a", submit(1))
        scheduler.follow(job, cancel_at_once)
        await heard.wait_for(Cancelled)
        assert script.order == []


@scenario
async def test_what_a_client_has_is_noted():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        script.let(2)
        await heard.wait_for(Done)
        await scheduler.acknowledge(job_id(1), 3)
        assert scheduler._records.find(job_id(1)).fetched is not None
        await scheduler.acknowledge(job_id(99), 3)


@scenario
async def test_many_clients_are_served_fairly():
    """Between two jobs of one client, no other waiting client is served more than once."""
    async with running() as (scheduler, script):
        script.available.clear()
        clients = [f"client {number}" for number in range(10)]
        heard = [await follow(scheduler, client, *range(100 * i, 100 * i + 5)) for i, client in enumerate(clients)]
        script.let(100)
        script.available.set()
        for each in heard:
            await each.wait_for(Done, 5)
        turns = [int(job[-12:]) // 100 for job in script.order]
        assert turns == list(range(10)) * 5
