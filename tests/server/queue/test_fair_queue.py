"""The order in which jobs are drawn, and the limits of the queue."""

import pytest

from layerfusion.server.protocol.errors import JobExists, QueueFull, UnknownJob
from layerfusion.server.protocol.messages import Cancelled, Done, Started, Variant
from samples import job_id, submit
from scheduling import Heard, follow, position, running, scenario


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
async def test_a_client_changes_the_order_of_its_own_waiting_jobs_only():
    async with running() as (scheduler, script):
        script.available.clear()
        mine = await follow(scheduler, "a", 1, 2, 3)
        theirs = await follow(scheduler, "b", 11)
        scheduler.move("a", job_id(3), job_id(1))
        scheduler.move("a", job_id(1), None)
        for job, before in ((11, None), (11, 2), (2, 11), (2, 2), (2, 99), (99, 2)):
            scheduler.move("a", job_id(job), job_id(before) if before else None)
        assert [await position(scheduler, number) for number in (3, 11, 2, 1)] == [0, 1, 2, 3]
        script.available.set()
        script.let(8)
        await mine.wait_for(Done, 3)
        await theirs.wait_for(Done)
        assert script.order == [job_id(number) for number in (3, 11, 2, 1)]


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
async def test_replaced_jobs_do_not_count_against_the_clients_limit():
    async with running(waiting_jobs=1) as (scheduler, script):
        script.available.clear()
        for number in range(1, 6):
            await scheduler.submit("a", submit(number, replaces="sketch.kra"))
        assert await position(scheduler, 5) == 0


@scenario
async def test_a_client_may_not_fill_the_queue():
    async with running(waiting_jobs=2) as (scheduler, script):
        script.available.clear()
        await follow(scheduler, "a", 1, 2)
        with pytest.raises(QueueFull, match="2 of your jobs are waiting"):
            await scheduler.submit("a", submit(3))
        await scheduler.submit("b", submit(3))


@scenario
async def test_all_clients_together_may_not_fill_the_queue_either():
    async with running(all_waiting_jobs=2) as (scheduler, script):
        script.available.clear()
        for client in ("a", "b"):
            await scheduler.submit(client, submit(ord(client)))
        with pytest.raises(QueueFull, match="2 jobs of all clients"):
            await scheduler.submit("c", submit(3))


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
async def test_variants_are_accepted_all_or_none():
    async with running(waiting_jobs=2) as (scheduler, script):
        script.available.clear()
        variants = tuple(Variant(job=job_id(number), seed=number) for number in (2, 3))
        with pytest.raises(QueueFull):
            await scheduler.submit("a", submit(1, variants=variants))
        for number in (1, 2, 3):
            with pytest.raises(UnknownJob):
                await scheduler.find(job_id(number))


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
