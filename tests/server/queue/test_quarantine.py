"""Requests that kill the worker process."""

import pytest

from layerfusion.server.protocol.errors import Quarantined
from layerfusion.server.protocol.messages import Done, Failed
from samples import submit
from scheduling import follow, running, scenario


@scenario
async def test_a_request_that_killed_the_worker_twice_is_refused():
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
        with pytest.raises(Quarantined, match="has died 2 times over this request"):
            await scheduler.submit("b", submit(3, seed=3))
        script.deadly = False
        other = await follow(scheduler, "b", 4, width=128)
        script.let(2)
        await other.wait_for(Done)


@scenario
async def test_a_success_resets_the_count_of_deaths():
    async with running() as (scheduler, script):
        for number, deadly in ((1, True), (2, False), (3, True)):
            script.deadly = deadly
            heard = await follow(scheduler, "a", number)
            script.let(2)
            await heard.wait_for((Done, Failed))
        assert heard[-1].code == "worker_died"
