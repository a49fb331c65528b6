"""Passing jobs on a server with a scripted engine: glances of Live, which are in no list and leave nothing behind."""

import contextlib
import sqlite3
import time

import pytest

from conversing import draw, layers, submit
from layerfusion.server.protocol import location
from layerfusion.server.protocol.messages import Cancelled, Done, Progress
from running import SECONDS, Running
from samples import job_id


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    with Running(tmp_path / "jobs", cancel_seconds=0.5) as running:
        yield running


def rows(server):
    """The ids of all jobs on disk, also those in no list."""
    with contextlib.closing(sqlite3.connect(server.app._database.path)) as database:
        return [row[0] for row in database.execute("SELECT id FROM jobs ORDER BY number")]


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def listed(server):
    with server.client() as client:
        return [job.job for job in client.jobs()]


def test_a_passing_job_is_drawn_and_in_no_list(server):
    with server.client() as client:
        job = submit("layers=3", passing=True)
        *messages, done = draw(client, job)
        assert isinstance(done, Done)
        assert len(layers(messages)) == 3
        assert listed(server) == []
        assert client.jobs() == ()
        assert rows(server) == [job.job]  # its layers can be fetched as long as the client is there
    until(lambda: rows(server) == [])


def test_a_client_that_leaves_in_mid_job_leaves_nothing(server):
    with server.client() as other:
        kept = submit("layers=1")
        draw(other, kept)
        with server.client() as client:
            client.submit(submit("seconds=0.2 steps=200", passing=True))
            waiting = submit("layers=1", passing=True)
            client.submit(waiting)
            while not isinstance(client._receive(), Progress):
                pass
            assert listed(server) == [kept.job]
        until(lambda: rows(server) == [kept.job])
        after = submit("layers=1")
        assert isinstance(draw(other, after)[-1], Done)  # nothing is drawn any more but this
        assert listed(server) == [after.job, kept.job]


def test_a_cancelled_passing_job_is_deleted(server):
    with server.client() as client:
        job = submit("seconds=0.2 steps=200", passing=True)
        client.submit(job)
        while not isinstance(client._receive(), Progress):
            pass
        client.cancel(job.job)
        while not isinstance(client._receive(), Cancelled):
            pass
        until(lambda: rows(server) == [])


def test_a_passing_job_drawn_again_is_a_picture(server):
    with server.client() as client:
        job = submit("layers=1", passing=True)
        draw(client, job)
        client.resubmit(job_id(1), of=job.job)
        list(client.events(job_id(1)))
        assert listed(server) == [job_id(1)]
