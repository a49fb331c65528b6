"""The supervisor of the worker process: it sends jobs, cancels them, and survives the worker's death.

The engine is scripted, because the real one takes seconds to import; `test_process.py` tests the real one."""

import asyncio
import contextlib
import os
import signal
import sys

import pytest

import samples
import scripted
from layerfusion.server.protocol.messages import Cancelled, Done, LayerBegin, Progress, is_last
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.worker.supervisor import WorkerSupervisor

SECONDS = 100
KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL


def submit(number, **values):
    return samples.submit(number, **{"steps": 2, **values})


@contextlib.contextmanager
def supervised(folder):
    """A worker with its store, and methods to wait for it."""
    store = LayerStore(folder)
    with asyncio.Runner() as runner:
        worker = WorkerSupervisor(store.folder, load=scripted.load)
        runner.run(worker.__aenter__())
        yield worker, store, lambda coroutine: runner.run(asyncio.wait_for(coroutine, SECONDS))
        runner.run(worker.__aexit__())
        assert not is_running(worker)


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    with supervised(tmp_path_factory.mktemp("layers")) as found:
        yield found


def is_running(worker):
    return worker._process._process.is_alive()


async def draw(worker, job):
    await worker.ready()
    return [message async for message in worker.run(job)]


async def draw_until(worker, job, act):
    """Draw, and call a function with the worker when it is at the first step."""
    await worker.ready()
    messages = []
    async for message in worker.run(job):
        if isinstance(message, Progress) and message.stage == "drawing" and not any(map(is_drawing, messages)):
            act()
        messages.append(message)
    return messages


def is_drawing(message):
    return isinstance(message, Progress) and message.stage == "drawing"


def test_draws_into_the_store(drawing):
    worker, store, wait = drawing
    messages = wait(draw(worker, submit(1)))
    layers = [message for message in messages if isinstance(message, LayerBegin)]
    assert messages[-1] == Done(job=submit(1).job, seq=1, layers=len(layers))
    assert sum(is_last(message) for message in messages) == 1
    assert [layer.role for layer in layers] == ["background", "foreground"]
    assert all(len(store.read(layer.sha256)) == layer.bytes for layer in layers)
    assert [message.step for message in messages if is_drawing(message)] == [0, 1, 2]


def test_a_cancelled_job_stops_between_two_steps(drawing):
    worker, _, wait = drawing
    job = submit(3, steps=150, blended_prompt="seconds=0.05")
    *messages, last = wait(draw_until(worker, job, lambda: worker.cancel(job.job)))
    assert last == Cancelled(job=job.job, seq=1)
    assert max(message.step for message in messages if is_drawing(message)) < 20
    assert not any(isinstance(message, LayerBegin) for message in messages)


def test_a_late_cancel_does_not_hit_the_next_job(drawing):
    worker, _, wait = drawing
    wait(draw(worker, submit(4)))
    worker.cancel(submit(4).job)
    assert isinstance(wait(draw(worker, submit(5)))[-1], Done)


def test_a_killed_worker_fails_its_job_and_is_replaced_busy_or_idle(drawing):
    worker, _, wait = drawing
    wait(worker.ready())
    first = worker.pid
    *_, last = wait(draw_until(worker, submit(6, steps=150, blended_prompt="hang=1"), lambda: os.kill(first, KILL)))
    assert (last.code, last.job) == ("worker_died", submit(6).job)
    if sys.platform != "win32":
        assert "signal 9" in last.message

    async def kill_when_idle():
        await worker.ready()
        second = worker.pid
        os.kill(second, KILL)
        while worker.pid == second:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.02)
        await worker.ready()
        return second

    second = wait(kill_when_idle())
    assert isinstance(wait(draw(worker, submit(7)))[-1], Done)
    assert len({first, second, worker.pid}) == 3


def test_repeated_deaths_delay_the_next_start(tmp_path, monkeypatch):
    """The pause doubles each time. The clock is real; the worker dies at once because it cannot use its folder."""
    pauses = []

    async def scenario():
        real = asyncio.sleep

        async def sleep(seconds):
            pauses.append(seconds)
            await real(0)

        monkeypatch.setattr("layerfusion.server.worker.supervisor.asyncio.sleep", sleep)
        (tmp_path / "file").touch()
        async with WorkerSupervisor(tmp_path / "file", load=scripted.load):
            while len(pauses) < 4:
                await real(0.02)

    asyncio.run(asyncio.wait_for(scenario(), SECONDS))
    assert pauses[:4] == [0.0, 0.5, 1.5, 3.5]
