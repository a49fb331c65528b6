"""Jobs that are deleted as soon as they are over, and submissions whose client leaves in the same moment."""

import asyncio
import threading

import pytest

from layerfusion.server.protocol.errors import UnknownJob
from layerfusion.server.protocol.messages import Cancelled, Done, Started
from layerfusion.server.storage.database import Database
from samples import job_id, submit
from scheduling import follow, running, scenario


async def left(scheduler, number):
    """Whether there is a job, after all that is on its way to the disk."""
    try:
        await scheduler.find(job_id(number))
    except UnknownJob:
        return False
    return True


@scenario
async def test_a_waiting_job_is_forgotten_at_once():
    async with running() as (scheduler, _):
        first = await follow(scheduler, "a", 1)
        await first.wait_for(Started)
        second = await follow(scheduler, "a", 2, passing=True)
        await scheduler.forget(job_id(2))
        assert second.events() == [Cancelled(job=job_id(2), seq=1)]
        assert not await left(scheduler, 2)
        assert await left(scheduler, 1)


@scenario
async def test_a_running_job_is_forgotten_after_its_step():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1, passing=True)
        await heard.wait_for(Started)
        await scheduler.forget(job_id(1))
        assert await left(scheduler, 1)
        script.let(1)
        await heard.wait_for(Cancelled)
        script.let(2)
        again = await follow(scheduler, "a", 2)
        await again.wait_for(Started)  # the one before is over for the scheduler, too
        assert not await left(scheduler, 1)


@scenario
async def test_a_job_that_is_over_is_forgotten():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1, passing=True)
        script.let(2)
        await heard.wait_for(Done)
        assert await left(scheduler, 1)
        await scheduler.forget(job_id(1))
        await scheduler.forget(job_id(1))
        assert not await left(scheduler, 1)


@scenario
async def test_a_picture_is_never_forgotten():
    """A passing job that was refused leaves its id to others."""
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        await scheduler.forget(job_id(1))
        script.let(2)
        await heard.wait_for(Done)
        await scheduler.forget(job_id(1))
        assert await left(scheduler, 1)


def test_a_new_server_knows_no_passing_jobs(tmp_path):
    async def begin():
        async with running(tmp_path) as (scheduler, script):
            script.available.clear()
            await follow(scheduler, "a", 1, 2, passing=True)
            await follow(scheduler, "a", 3)

    async def go_on():
        async with running(tmp_path) as (scheduler, script):
            heard = await follow(scheduler, "a", 3)
            script.let(2)
            await heard.wait_for(Done)
            assert script.order == [job_id(3)]
            assert not await left(scheduler, 1)

    asyncio.run(begin())
    asyncio.run(go_on())


@pytest.mark.parametrize("passing", [False, True])
def test_a_client_that_leaves_while_its_job_is_written_leaves_no_half_of_it(tmp_path, monkeypatch, passing):
    writing, written = threading.Event(), threading.Event()
    add = Database.add

    def slowly(*arguments):
        writing.set()
        assert written.wait(30)
        add(*arguments)

    async def leave():
        async with running(tmp_path) as (scheduler, script):
            task = asyncio.create_task(scheduler.submit("a", submit(1, passing=passing)))
            await asyncio.to_thread(writing.wait, 30)
            task.cancel()
            forgetting = asyncio.create_task(scheduler.forget(job_id(1))) if passing else None
            await asyncio.sleep(0)
            written.set()
            if forgetting is not None:
                await forgetting
                script.let(3)  # one for the cancelled one, if it was begun
                await (await follow(scheduler, "a", 2)).wait_for(Done)
                assert not await left(scheduler, 1)
                return
            heard = await follow(scheduler, "a", 1)  # its client comes back and says it again
            script.let(2)
            await heard.wait_for(Done)

    monkeypatch.setattr(Database, "add", slowly)
    asyncio.run(leave())
