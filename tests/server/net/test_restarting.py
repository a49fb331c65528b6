"""A server that starts again, stops, or cannot begin: its jobs go on, and its folder is not spoiled."""

import pytest

from conversing import draw, layers, receive, submit
from layerfusion.engine.errors import EngineError
from layerfusion.server.client.client import Refusal, new_job
from layerfusion.server.errors import BrokenStore, StoreInUse
from layerfusion.server.protocol import location
from layerfusion.server.protocol.messages import (
    Ack,
    Done,
    Failed,
    Fetch,
    FetchFailed,
    Progress,
    Resubmit,
)
from layerfusion.server.storage.database import Database
from running import Running
from scripted import bgra, load


@pytest.fixture(autouse=True)
def runtime_file(monkeypatch, tmp_path):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))


def test_jobs_continue_after_a_restart_of_the_server(tmp_path):
    running, waiting, drawn = submit("hang=1", steps=3), submit(seed=5), submit(seed=6)
    with Running(tmp_path / "jobs", load, drain_seconds=0.1) as server, server.client() as client:
        before = draw(client, drawn)
        client.submit(running)
        client.submit(waiting)
        for event in client.events(running.job):
            if isinstance(event, Progress):
                server.stop()
                break
        *_, last = client.events(running.job)
        assert (last.code, last.seq) == ("interrupted", 2)
    with Running(tmp_path / "jobs", load) as server, server.client() as client:
        client.resume(drawn.job)
        assert layers(client.events(drawn.job)) == layers(before)
        client.resume(running.job, after=1)
        assert [(type(event), event.code) for event in client.events(running.job)] == [(Failed, "interrupted")]
        client.resume(waiting.job)
        assert layers(client.events(waiting.job)) == {index: bgra(5, index, 8) for index in (0, 1)}
        again = Resubmit(job=new_job(), of=waiting.job)
        client._send(again)
        assert layers(client.events(again.job)) == {index: bgra(5, index, 8) for index in (0, 1)}


def test_a_stopping_server_lets_the_running_job_finish(tmp_path):
    job = submit("seconds=0.1", steps=5)
    with Running(tmp_path / "jobs", load, drain_seconds=20) as server, server.client() as client:
        client.submit(job)
        for event in client.events(job.job):
            if isinstance(event, Progress) and event.step == 1:
                server.stop()
        assert isinstance(event, Done)


def test_jobs_are_refused_while_the_disk_is_full(tmp_path):
    with Running(tmp_path / "jobs", load) as server, server.client() as client:
        server.app._database._file.query("PRAGMA query_only = ON")
        with pytest.raises(Refusal, match="cannot be written") as refused:
            client.submit(submit())
        assert refused.value.code == "unwritable_file"
        server.app._database._file.query("PRAGMA query_only = OFF")
        assert isinstance(draw(client, submit())[-1], Done)


def test_jobs_are_refused_while_the_store_is_full(tmp_path):
    with Running(tmp_path / "jobs", load, store_bytes=500) as server, server.client() as client:
        job = submit()
        *_, done = draw(client, job)
        with pytest.raises(Refusal) as refused:
            client.submit(submit())
        assert refused.value.code == "store_full"
        client._send(Ack(job=job.job, seq=done.seq))
        assert isinstance(draw(client, submit())[-1], Done)  # what was fetched made room
        client._send(Fetch(job=job.job, index=0))
        assert receive(client, FetchFailed).code == "unknown_job"


def test_two_servers_cannot_use_one_folder(tmp_path, monkeypatch):
    with Running(tmp_path / "jobs", load):
        monkeypatch.setenv(location.VARIABLE, str(tmp_path / "other.json"))
        with pytest.raises(StoreInUse, match="used by a running server"), Running(tmp_path / "jobs", load):
            pass
    Running(tmp_path / "jobs", load).__enter__().__exit__()


def test_a_damaged_database_is_reported_and_not_changed(tmp_path):
    folder = tmp_path / "jobs"
    folder.mkdir(mode=0o700)
    (folder / "jobs.sqlite").write_bytes(b"not a database" * 1000)
    (folder / "jobs.sqlite").chmod(0o600)
    with pytest.raises(BrokenStore, match="run “layerfusion jobs recover”"), Running(folder, load):
        pass
    assert (folder / "jobs.sqlite").read_bytes() == b"not a database" * 1000
    (folder / "jobs.sqlite").unlink()
    Running(folder, load).__enter__().__exit__()
    Database(folder / "jobs.sqlite", read_only=True).close()


def test_a_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="cannot be written"), Running(tmp_path / "file" / "jobs", load):
        pass
