"""Clients that come back to a job, and jobs that outlive a server."""

import tempfile
from pathlib import Path

import pytest

from layerfusion.server.protocol.errors import UnknownJob
from layerfusion.server.protocol.messages import Done, Failed, LayerBegin, Resubmit, Started
from layerfusion.server.storage.database import Database
from samples import job_id, layer_begin, submit
from scheduling import Heard, follow, running, scenario


@scenario
async def test_a_client_that_comes_back_gets_exactly_the_missing_events():
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
async def test_a_client_that_resumes_twice_gets_new_events_once():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        scheduler.follow(await scheduler.find(job_id(1)), heard)
        script.let(2)
        await heard.wait_for(Done)
        assert [event.seq for event in heard.events()] == [1, 1, 2, 3]


@scenario
async def test_a_client_that_comes_back_to_a_finished_job_gets_all_its_events():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        script.let(2)
        await heard.wait_for(Done)
        assert scheduler._jobs == {}
        late = Heard()
        scheduler.follow(await scheduler.find(job_id(1)), late, after=1)
        assert late.events() == heard.events()[1:]


@scenario
async def test_the_next_server_draws_waiting_jobs_and_reports_interrupted_ones():
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
        records = Database(Path(folder) / "jobs.sqlite")
        records.add([submit(1)], "a")
        records.append(Started(job=job_id(1), seq=1))
        records.append(layer_begin(job_id(1), seq=2))
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
async def test_an_interrupted_job_is_drawn_again_only_once():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        script.let(2)
        await heard.wait_for(Done)
        again = Resubmit(job=job_id(2), of=job_id(1))
        assert await scheduler.resubmit("a", again) == await scheduler.resubmit("b", again)
        with pytest.raises(UnknownJob):
            await scheduler.resubmit("a", Resubmit(job=job_id(3), of=job_id(99)))


@scenario
async def test_acknowledged_events_are_recorded():
    async with running() as (scheduler, script):
        heard = await follow(scheduler, "a", 1)
        script.let(2)
        await heard.wait_for(Done)
        await scheduler.acknowledge(job_id(1), 3)
        assert scheduler._database.find(job_id(1)).fetched is not None
        await scheduler.acknowledge(job_id(99), 3)
