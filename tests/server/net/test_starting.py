"""Start and stop of a server, and the runtime file."""

import asyncio
import os
import socket
import time
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed

import scripted
from layerfusion.server.client.client import Refusal
from layerfusion.server.config import ServerConfig
from layerfusion.server.errors import CannotServe
from layerfusion.server.net import listen as listen_module
from layerfusion.server.net.app import App
from layerfusion.server.protocol import location
from layerfusion.server.protocol.messages import Started
from running import SECONDS, Running
from samples import submit


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """The path of a runtime file for one test."""
    path = tmp_path / "server.json"
    monkeypatch.setenv(location.VARIABLE, str(path))
    return path


def test_clients_can_find_it(server, runtime_file):
    assert location.read() == server.runtime
    assert server.runtime.pid == os.getpid()
    assert runtime_file.exists()


def test_a_second_server_does_not_take_the_firsts_clients(server, tmp_path):
    before = server.runtime
    with pytest.raises(CannotServe, match="running already"), Running(tmp_path):
        pass
    assert location.read() == before


def test_a_file_whose_server_does_not_answer_is_replaced(alone, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stale = location.Runtime(url=f"ws://127.0.0.1:{port}/", token="x", pid=os.getpid(), version="x", protocol="1.0")
    location.write(stale)
    with Running(tmp_path) as running:
        assert location.read() == running.runtime
    assert not alone.exists()


def test_a_second_server_does_not_start_beside_one_that_does_not_answer(alone, tmp_path, monkeypatch):
    """As if the first was suspended: nobody answers, and its process exists."""
    with Running(tmp_path / "first") as first:
        monkeypatch.setattr("layerfusion.server.net.announce.ask", lambda _: None)
        with (
            pytest.raises(CannotServe, match=f"running already: .*process {os.getpid()}"),
            Running(tmp_path / "second"),
        ):
            pass
        assert location.read() == first.runtime
    with Running(tmp_path / "second"):
        pass


def test_a_server_whose_file_is_gone_announces_itself_again(alone, tmp_path, monkeypatch):
    monkeypatch.setattr("layerfusion.server.net.announce._LOOK_SECONDS", 0.02)
    with Running(tmp_path) as running:
        for damage in (alone.unlink, lambda: alone.write_text("{}"), lambda: alone.write_text("")):
            damage()
            deadline = time.monotonic() + SECONDS
            while location.read() != running.runtime:
                assert time.monotonic() < deadline
                time.sleep(0.02)
    assert not alone.exists()


def test_a_file_with_a_damaged_address_or_certificate_is_replaced(alone, tmp_path):
    for number, (url, certificate) in enumerate([("ws://127.0.0.1:none/", ""), ("wss://127.0.0.1:1/", "damaged")]):
        location.write(
            location.Runtime(url=url, token="x", pid=os.getpid(), version="x", protocol="1.0", certificate=certificate)
        )
        with Running(tmp_path / str(number)) as running:
            assert location.read() == running.runtime


def test_a_taken_port_is_reported(alone, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotServe, match=f"Port {port} cannot be used"), Running(tmp_path, port=port):
            pass
    assert not alone.exists()


def test_a_free_port_is_used_if_the_default_one_is_taken(alone, tmp_path, monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(listen_module, "DEFAULT_PORT", port)
        with Running(tmp_path, port=None) as running:
            assert urlsplit(running.runtime.url).port not in (port, None)
            running.client().close()
    assert f"Port {port} is taken" in capsys.readouterr().out


def test_a_server_that_cannot_write_the_runtime_file_does_not_run(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "file" / "server.json"))
    with pytest.raises(CannotServe, match="no client finds the server"), Running(tmp_path / "layers"):
        pass


@pytest.mark.parametrize("host", ["localhost", "::1"])
def test_other_names_of_this_machine(alone, tmp_path, host):
    if host == "::1":
        try:
            socket.create_server((host, 0), family=socket.AF_INET6).close()
        except OSError as error:
            pytest.skip(f"no IPv6 here: {error}")
    with Running(tmp_path, host=host) as running:
        running.client().close()


def test_an_exception_in_the_scheduler_stops_the_server(alone, tmp_path, monkeypatch):
    async def fail(self):
        raise RuntimeError("a bug")

    monkeypatch.setattr("layerfusion.server.net.app.Scheduler.run", fail)

    async def scenario():
        await asyncio.wait_for(App(ServerConfig(port=0, folder=tmp_path), scripted.load).run(), SECONDS)

    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(scenario())
    assert not alone.exists()


def test_clients_are_told_when_it_stops(alone, tmp_path):
    with Running(tmp_path, scripted.load, drain_seconds=0.1) as running, running.client() as client:
        job = submit(steps=150, blended_prompt="seconds=0.1")
        client.submit(job)
        events = client.events(job.job)
        while not isinstance(next(events), Started):
            pass  # one that waits would simply go on waiting
        running.stop()
        *_, last = events
        assert (last.code, last.seq > 0) == ("interrupted", True)
        with pytest.raises(Refusal) as refused:
            client._receive()
        assert refused.value.code == "server_stopping"
        with pytest.raises(ConnectionClosed) as closed:
            client._receive()
        assert closed.value.rcvd.code == 1001
    assert not alone.exists()


def test_a_server_whose_worker_cannot_start_says_so(alone, tmp_path, monkeypatch):
    monkeypatch.setattr("layerfusion.server.worker.starts._LONGEST_PAUSE", 0.05)
    with Running(tmp_path / "jobs", die_at_start) as running:
        deadline = time.monotonic() + 3 * SECONDS  # three starts of a process
        while "could not start" not in (said := running.get()[1]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert said.splitlines()[1].startswith("The process that draws could not start ")
        with running.client() as client:
            assert client.welcome.problem in said or "could not start" in client.welcome.problem
            with pytest.raises(Refusal) as refused:
                client.submit(submit())
            assert refused.value.code == "cannot_draw"


class _DiesAtStart:
    """A loader whose import in the worker ends the process, like a broken torch."""

    def __reduce__(self):
        return os._exit, (3,)

    def __call__(self, model):
        raise AssertionError


die_at_start = _DiesAtStart()
