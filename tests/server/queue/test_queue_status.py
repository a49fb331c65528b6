"""The queue positions that waiting clients get."""

import asyncio

from layerfusion.server.protocol.messages import Done, Queued, Started
from layerfusion.server.queue.estimates import Estimates
from layerfusion.server.queue.fair_queue import FairQueue
from layerfusion.server.queue.job import Job
from layerfusion.server.queue.queue_status import QueueStatus
from layerfusion.server.queue.slots import Slots
from samples import job_id, submit
from scheduling import Heard, Script, follow, position, running, scenario


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
async def test_the_estimate_is_sent_as_soon_as_there_is_one():
    async with running() as (scheduler, script):
        script.available.clear()
        heard = await follow(scheduler, "a", 1, 11)
        assert scheduler.position(await scheduler.find(job_id(1))) == (0, 0.0)
        assert scheduler.position(await scheduler.find(job_id(11))) == (1, None)
        script.available.set()
        script.let(4)
        await heard.wait_for(Done, 2)
        script.available.clear()
        for number in (2, 3):
            await scheduler.submit("a", submit(number))
        position, starts_in = scheduler.position(await scheduler.find(job_id(2)))
        assert (position, starts_in) == (0, 0.0)
        position, starts_in = scheduler.position(await scheduler.find(job_id(3)))
        assert position == 1
        assert starts_in is not None and 0 < starts_in < 20


@scenario
async def test_places_are_sent_at_a_limited_rate_and_the_last_is_right():
    async with running(status_seconds=1000) as (scheduler, script):
        script.available.clear()
        heard = await follow(scheduler, "a", *range(1, 21))
        script.available.set()
        script.let(36)
        await heard.wait_for(Done, 18)
        assert sum(isinstance(message, Queued) for message in heard) == 19
    async with running(status_seconds=0.05) as (scheduler, script):
        script.available.clear()
        heard = await follow(scheduler, "a", *range(1, 4))
        script.available.set()
        script.let(2)
        await heard.wait_for(Queued, 3)  # of the two that wait, and of the last once the second is begun
        assert (heard[-1].job, heard[-1].position) == (job_id(3), 1)


@scenario
async def test_many_waiting_jobs_are_told_in_pieces_and_those_that_started_meanwhile_are_not():
    queue, heard = FairQueue(), Heard()
    jobs = [Job(submit(number), "a") for number in range(1, 251)]
    for job in jobs:
        job.listeners.add(heard)
        queue.add(job)
    status = QueueStatus(queue, Estimates(), Slots([Script()]), 0)
    status.tell()
    assert len(heard) == 100
    jobs[-1].started = 1.0
    for _ in range(5):  # turns of the event loop
        await asyncio.sleep(0)
    assert [(note.job, note.position) for note in heard] == [(job_id(number + 1), number) for number in range(249)]
