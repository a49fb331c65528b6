"""Which clients get a job's events, and how jobs end. The executor is scripted; everything else is real."""

import asyncio

import pytest

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.protocol.errors import CannotDraw, JobExists, ServerStopping, StoreFull
from layerfusion.server.protocol.messages import Cancelled, Done, Failed, LayerBegin, Progress, Started
from samples import job_id, submit
from scheduling import Heard, follow, position, running, scenario


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
async def test_draining_finishes_the_running_job_and_starts_no_other():
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
async def test_draining_has_a_time_limit():
    async with running() as (scheduler, _):
        heard = await follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        await scheduler.drain(0.01)
        assert len(heard.events()) == 1


@scenario
async def test_a_full_store_refuses_jobs():
    async def make_room():
        return False

    async with running(make_room=make_room) as (scheduler, _):
        with pytest.raises(StoreFull):
            await scheduler.submit("a", submit(1))


@scenario
async def test_a_job_that_cannot_be_stored_is_refused():
    async with running() as (scheduler, script):
        scheduler._database._file.query("PRAGMA query_only = ON")
        with pytest.raises(UnwritableFile):
            await scheduler.submit("a", submit(1))
        scheduler._database._file.query("PRAGMA query_only = OFF")
        heard = await follow(scheduler, "a", 1)
        script.let(2)
        await heard.wait_for(Done)


@scenario
async def test_an_event_that_cannot_be_written_ends_the_job_and_the_next_one_is_drawn():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        scheduler._database._file.query("PRAGMA query_only = ON")
        script.let(2)
        await heard.wait_for(Failed)
        assert heard[-1].code == "unwritable_file"
        assert [type(event) for event in heard.events()] == [Started, Failed]
        scheduler._database._file.query("PRAGMA query_only = OFF")
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
                scheduler._slots.running[0].cancelled = True

        (job,) = await scheduler.submit("a", submit(1))
        scheduler.follow(job, cancel_at_once)
        await heard.wait_for(Cancelled)
        assert script.order == []


@scenario
async def test_waiting_jobs_end_and_new_ones_are_refused_while_no_executor_can_start():
    async with running() as (scheduler, script):
        script.available.clear()
        heard = await follow(scheduler, "a", 1, 2)
        script.fail("The process that draws could not start 3 times (exit code 1).")
        await heard.wait_for(Failed, 2)
        assert [(event.job, event.code) for event in heard.events()] == [
            (job_id(1), "cannot_draw"),
            (job_id(2), "cannot_draw"),
        ]
        with pytest.raises(CannotDraw, match="could not start 3 times"):
            await scheduler.submit("a", submit(3))
        script.fail(None)
        script.available.set()
        heard = await follow(scheduler, "a", 4)
        script.let(2)
        await heard.wait_for(Done)


@scenario
async def test_a_running_job_is_cancelled_once():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        asked = []
        script.cancel = asked.append
        for _ in range(300):
            await scheduler.cancel(await scheduler.find(job_id(1)))
        assert asked == [job_id(1)]
