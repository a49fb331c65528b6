"""Notices always arrive, also at clients that read slowly or reconnect late."""

import asyncio
import time

import pytest

import samples
from layerfusion.server.client.client import new_job
from layerfusion.server.net.outbox import Outbox
from layerfusion.server.protocol import location
from layerfusion.server.protocol.messages import Done, Notice, Progress, is_last
from layerfusion.server.storage.layer_store import LayerStore
from running import Running
from scripted import load, notice_text

JOBS = 25


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(location.VARIABLE, str(tmp_path_factory.mktemp("runtime") / "server.json"))
        with Running(tmp_path_factory.mktemp("jobs"), load) as running:
            yield running


def submit(seed, **values):
    """A job whose engine sends two notices."""
    return samples.submit(job=new_job(), blended_prompt="layers=1 notices=2", seed=seed, **{"steps": 2, **values})


def told(events):
    return [(event.code, event.text) for event in events if isinstance(event, Notice)]


def expected(seed):
    return [("prompt_truncated", notice_text(seed, number)) for number in range(2)]


def test_notices_are_sent_although_progress_is_dropped(tmp_path):
    async def scenario():
        box = Outbox(LayerStore(tmp_path))
        jobs = [new_job() for _ in range(JOBS)]
        for step in range(100):
            for job in jobs:
                box.put(Progress(job=job, stage="drawing", step=step, total=100))
                if step == 50:
                    box.put(Notice(job=job, seq=2, code="prompt_truncated", text=job))
        for job in jobs:
            box.put(Done(job=job, seq=3, layers=0))
        taken = [await box.next() for _ in range(2 * JOBS)]
        assert [item.text for item in taken if isinstance(item, Notice)] == jobs
        assert sum(isinstance(item, Done) for item in taken) == JOBS
        assert not any(isinstance(item, Progress) for item in taken), "jobs that are over have no progress"

    asyncio.run(scenario())


def test_a_client_that_reads_late_gets_the_notices_of_all_its_jobs(server):
    with server.client() as slow, server.client() as other:
        jobs = [submit(seed) for seed in range(JOBS)]
        for job in jobs:
            slow._send(job)
        while sum(job.ended is not None for job in other.jobs(newest=JOBS)) < JOBS:
            time.sleep(0.05)
        for job in jobs:
            events = list(slow.events(job.job))
            assert told(events) == expected(job.seed)
            assert [event.seq for event in events if isinstance(event, Notice)] == [2, 3]


def test_notices_are_resumed_after_the_client_was_disconnected(server):
    job = submit(seed=77)
    with server.client() as client:
        client.submit(job)
    with server.client() as client:
        client.resume(job.job)
        assert told(client.events(job.job)) == expected(77)
    with server.client() as client:
        client.resume(job.job, after=2)
        assert told(client.events(job.job)) == expected(77)[1:], "the first was received already"


def test_notices_survive_a_restart_of_the_server(server, tmp_path, monkeypatch):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    job = submit(seed=5)
    with Running(tmp_path / "jobs", load) as first, first.client() as client:
        client.submit(job)
        assert is_last(list(client.events(job.job))[-1])
    with Running(tmp_path / "jobs", load) as second, second.client() as client:
        client.resume(job.job)
        assert told(client.events(job.job)) == expected(5)
