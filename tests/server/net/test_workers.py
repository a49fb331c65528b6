"""A server with several workers, each a real process; the engine is scripted unless a test says otherwise."""

import os

from layerfusion.server.protocol.messages import Done, Failed, Generated, Started
from running import Running
from samples import submit


def test_two_workers_draw_at_the_same_time(tmp_path, runtime_file):
    with Running(tmp_path, devices=("cpu", "cpu")) as server, server.client() as client:
        first, second = (submit(blended_prompt="hang=2 layers=1"), submit(blended_prompt="hang=2 layers=1"))
        for job in (first, second):
            client.submit(job)
        for job in (first, second):
            assert any(isinstance(event, Started) for event in client.events(job.job))
        pids = [worker.pid for worker in server.app._workers]
        assert len({os.getpid(), *pids}) == 3


def test_a_worker_that_dies_takes_only_its_own_job_with_it(tmp_path, runtime_file):
    with Running(tmp_path, devices=("cpu", "cpu")) as server, server.client() as client:
        dying, drawing = submit(blended_prompt="die=1"), submit(steps=8, blended_prompt="seconds=0.1 layers=2")
        for job in (drawing, dying):
            client.submit(job)
        *_, last = client.events(dying.job)
        assert isinstance(last, Failed)
        assert last.code == "worker_died"
        *_, last = client.events(drawing.job)
        assert isinstance(last, Done)


def test_a_device_that_the_machine_does_not_have_is_named(tmp_path, runtime_file):
    with Running(tmp_path, None, devices=("cuda:99",)) as server, server.client() as client:
        job = submit(steps=1, background=Generated(prompt="a beach"))
        client.submit(job)
        *_, last = client.events(job.job)
        assert isinstance(last, Failed)
        assert "cuda:99" in last.message and "cpu" in (last.hint or "")
