"""The supervisor of the worker process: it sends jobs, cancels them, and survives the worker's death.

The engine is scripted, because the real one takes seconds to import; `test_process.py` tests the real one."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


def test_a_worker_that_cannot_start_is_reported_until_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr("layerfusion.server.worker.starts._LONGEST_PAUSE", 0.05)
    (tmp_path / "layers").touch()

    async def scenario():
        async with WorkerSupervisor(tmp_path / "layers", load=scripted.load) as worker:
            assert worker.problem is None
            await worker.failing()
            problem = worker.problem
            (tmp_path / "layers").unlink()
            await worker.ready()
            assert worker.problem is None
            return problem

    problem = asyncio.run(asyncio.wait_for(scenario(), SECONDS))
    assert problem is not None and "could not start" in problem and "exit code 1" in problem


def test_nothing_that_is_sent_to_a_busy_worker_stops_the_event_loop(drawing):
    """More than a pipe holds: a worker in a long step reads nothing."""
    worker, _, wait = drawing
    job = submit(8, blended_prompt="hang=1")
    large = submit(9, background=samples.Generated(prompt="x" * 100_000))

    async def scenario():
        await worker.ready()
        async for message in worker.run(job):
            if is_drawing(message) and message.step == 0:
                for _ in range(1000):
                    worker.cancel(job.job)
                for _ in range(20):
                    worker._process.send(large)
                await asyncio.sleep(0)
                before = worker.pid
                worker._process.kill()
                break
        while worker.pid in (before, None):  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.02)

    wait(scenario())


def test_a_job_is_cancelled_once(drawing, monkeypatch):
    worker, _, wait = drawing
    sent = []
    job = submit(10, steps=150, blended_prompt="seconds=0.05")

    def cancel():
        send = worker._process.send
        monkeypatch.setattr(worker._process, "send", lambda message: (sent.append(message), send(message)))
        for _ in range(300):
            worker.cancel(job.job)

    *_, last = wait(draw_until(worker, job, cancel))
    assert isinstance(last, Cancelled)
    assert len(sent) == 1


def test_a_hang_is_no_death(tmp_path):
    async def scenario():
        async with WorkerSupervisor(tmp_path, load=scripted.load, silence_seconds=0.5) as worker:
            return await draw(worker, submit(11, blended_prompt="hang=1"))

    *_, last = asyncio.run(asyncio.wait_for(scenario(), SECONDS))
    assert last.code == "worker_hung"


ORPHAN = """
import asyncio, sys
from pathlib import Path
import samples, scripted
from layerfusion.server.worker.supervisor import WorkerSupervisor

async def main():
    async with WorkerSupervisor(Path(sys.argv[1]), load=scripted.load) as worker:
        await worker.ready()
        async for message in worker.run(samples.submit(1, blended_prompt="hang=1")):
            print(worker.pid, flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the test asks POSIX whether a process is there")
def test_a_worker_in_a_long_step_ends_with_its_server(tmp_path):
    script = tmp_path / "orphan.py"
    script.write_text(ORPHAN)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    arguments = [sys.executable, str(script), str(tmp_path / "layers")]
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) as server:
        worker = int(server.stdout.readline())
        server.kill()
        server.wait()
    deadline = time.monotonic() + SECONDS
    while is_alive(worker):
        assert time.monotonic() < deadline, "an orphan"
        time.sleep(0.05)


def is_alive(pid):
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
        return sys.platform != "linux" or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
