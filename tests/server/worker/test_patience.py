"""Waiting counts only time in which this process could run."""

import asyncio

import pytest

from layerfusion.server.worker.patience import patient


class Clock:
    """A clock that the test sets; each look at it takes `step` seconds."""

    def __init__(self, *steps):
        self.now, self.steps = 0.0, list(steps)

    def __call__(self):
        self.now += self.steps.pop(0) if self.steps else 0.5
        return self.now


def wait(awaited, seconds, clock):
    async def scenario():
        return await patient(awaited(), seconds, clock)

    return asyncio.run(scenario())


async def never():
    await asyncio.Event().wait()


async def soon():
    await asyncio.sleep(0.01)
    return "done"


def test_a_result_in_time():
    assert wait(soon, 100, Clock()) == "done"


def test_time_that_passes_is_counted():
    clock = Clock()
    with pytest.raises(TimeoutError):
        wait(never, 1, clock)
    assert 1 <= clock.now < 4


def test_a_gap_is_not_counted_and_the_wait_begins_anew():
    clock = Clock(0, 0.5, 0, 3600, 0, 0.6)
    with pytest.raises(TimeoutError):
        wait(never, 1, clock)
    assert clock.now > 3600 + 1.0


def test_what_is_awaited_is_cancelled_with_the_waiting():
    ended = []

    async def watched():
        try:
            await never()
        finally:
            ended.append(True)

    with pytest.raises(TimeoutError):
        wait(watched, 0.01, Clock())
    assert ended == [True]
