"""Jobs on several slots: which slot draws which job, and what holds for each alone. The executors are scripted."""

import asyncio

import pytest

from layerfusion.server.protocol.messages import Cancelled, Done, Failed, Started
from layerfusion.server.queue.scheduler import Scheduler
from samples import job_id
from scheduling import Script, drawing, follow, position, scenario


@scenario
async def test_each_slot_draws_a_job_at_the_same_time():
    first, second = Script(), Script()
    async with drawing([first, second]) as scheduler:
        heard = await follow(scheduler, "a", 1, 2, 3)
        await heard.wait_for(Started, 2)
        assert (first.order, second.order) == ([job_id(1)], [job_id(2)])
        second.let(2)
        await heard.wait_for(Started, 3)
        assert second.order == [job_id(2), job_id(3)]
        first.let(2)
        second.let(2)
        await heard.wait_for(Done, 3)


@scenario
async def test_a_job_goes_to_the_slot_that_has_its_model():
    scripts = [Script(), Script(), Script()]
    for script, model in zip(scripts, (None, "tiny", "sdxl"), strict=True):
        script.model = model
        script.let(8)
    async with drawing(scripts) as scheduler:
        for number, model in enumerate(("sdxl", "tiny", "sdxl", "tiny")):
            heard = await follow(scheduler, "a", number, model=model)
            await heard.wait_for(Done)
    assert [script.order for script in scripts] == [[], [job_id(1), job_id(3)], [job_id(0), job_id(2)]]


@scenario
async def test_a_new_model_is_loaded_where_the_last_job_is_longest_ago():
    scripts = [Script(), Script()]
    for script in scripts:
        script.let(8)
    async with drawing(scripts) as scheduler:
        for number, model in enumerate(("a", "b", "a", "c", "a")):
            heard = await follow(scheduler, "x", number, model=model)
            await heard.wait_for(Done)
    assert [script.order for script in scripts] == [[job_id(0), job_id(2), job_id(4)], [job_id(1), job_id(3)]]


@scenario
async def test_models_are_not_loaded_in_turns_where_each_slot_has_one():
    """Two clients with a model each, and one slot is busy: the other does not load its model at once."""
    one, other = Script(), Script()
    one.model, other.model = "a", "b"
    async with drawing([one, other]) as scheduler:
        other.let(2)
        one.available.clear()
        held = await follow(scheduler, "y", 10, model="b")
        await held.wait_for(Done)
        held = await follow(scheduler, "y", 11, model="b")
        await held.wait_for(Started)
        seconds = await follow(scheduler, "y", 12, model="b")  # waits for the busy slot
        firsts = await follow(scheduler, "x", 1, 2, model="a")
        one.let(6)
        one.available.set()
        await firsts.wait_for(Done, 2)
        assert one.order[:2] == [job_id(1), job_id(2)]
        other.let(4)
        await seconds.wait_for(Done)


@scenario
async def test_nobody_is_passed_over_for_long():
    """One slot is busy with the model of the next job; the other has the model of a client with many jobs."""
    busy, free = Script(), Script()
    busy.model, free.model = "a", "b"
    async with drawing([busy, free]) as scheduler:
        held = await follow(scheduler, "x", 1, model="a")
        await held.wait_for(Started)
        free.available.clear()
        waiting = await follow(scheduler, "x", 2, model="a")
        others = await follow(scheduler, "y", *range(11, 16), model="b")
        free.available.set()
        free.let(12)
        await waiting.wait_for(Done)
        await others.wait_for(Done, 5)
        assert free.order.index(job_id(2)) <= 2
        busy.let(2)
        await held.wait_for(Done)


@scenario
async def test_a_job_is_cancelled_on_its_own_slot():
    first, second = Script(), Script()
    async with drawing([first, second]) as scheduler:
        heard = await follow(scheduler, "a", 1, 2)
        await heard.wait_for(Started, 2)
        await scheduler.cancel(await scheduler.find(job_id(2)))
        second.let(1)
        await heard.wait_for(Cancelled)
        first.let(2)
        await heard.wait_for(Done)
        assert [event.job for event in heard if isinstance(event, Cancelled)] == [job_id(2)]


@scenario
async def test_the_death_of_one_slot_leaves_the_others_drawing():
    first, second = Script(), Script()
    second.deadly = True
    async with drawing([first, second]) as scheduler:
        heard = await follow(scheduler, "a", 1, 2, 3)
        await heard.wait_for(Started, 2)
        second.available.clear()
        second.let(1)
        await heard.wait_for(Failed)
        first.let(4)
        await heard.wait_for(Done, 2)
        assert (first.order, second.order) == ([job_id(1), job_id(3)], [job_id(2)])


@scenario
async def test_a_slot_that_is_not_ready_gets_no_job():
    starting, able = Script(), Script()
    starting.available.clear()
    able.let(4)
    async with drawing([starting, able]) as scheduler:
        heard = await follow(scheduler, "a", 1, 2)
        await heard.wait_for(Done, 2)
        assert starting.order == []
        late = await follow(scheduler, "a", 3)
        await late.wait_for(Started)
        starting.available.set()
        starting.let(2)
        more = await follow(scheduler, "a", 4)
        await more.wait_for(Done)
        assert starting.order == [job_id(4)]


@scenario
async def test_positions_and_starts_are_those_of_several_slots():
    first, second = Script(), Script()
    async with drawing([first, second]) as scheduler:
        heard = await follow(scheduler, "a", 1)
        await heard.wait_for(Started)
        second.available.clear()
        await follow(scheduler, "a", 2, 3)
        assert [await position(scheduler, number) for number in (1, 2, 3)] == [0, 0, 1]
        assert scheduler.position(await scheduler.find(job_id(2))) == (0, 0.0)
        second.available.set()
        await follow(scheduler, "a", 4)
        second.let(2)
        first.let(2)


@scenario
async def test_draining_waits_for_every_slot_and_stopping_interrupts_each():
    first, second = Script(), Script()
    async with drawing([first, second]) as scheduler:
        heard = await follow(scheduler, "a", 1, 2)
        await heard.wait_for(Started, 2)
        drained = asyncio.create_task(scheduler.drain(60))
        first.let(2)
        await heard.wait_for(Done)
        assert not drained.done()
        second.let(2)
        await drained
    async with drawing([first, second]) as scheduler:
        heard = await follow(scheduler, "a", 3, 4)
        await heard.wait_for(Started, 2)
    assert sorted(event.job for event in heard if isinstance(event, Failed)) == [job_id(3), job_id(4)]


def test_a_server_without_slots_is_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        Scheduler([], None)  # pyright: ignore[reportArgumentType]
