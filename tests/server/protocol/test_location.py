"""The runtime file: it is found, private and complete, and a file of an ended server is recognised."""

import ctypes
import os
import ssl
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from layerfusion.server.protocol import location
from layerfusion.server.protocol.location import Runtime

RUNTIME = Runtime(url="ws://127.0.0.1:1/", token="secret-token", pid=os.getpid(), version="0.1.0", protocol="1.0")


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "server.json"
    monkeypatch.setenv(location.VARIABLE, str(path))
    return path


def test_what_is_written_is_read(file):
    assert location.read() is None
    location.write(RUNTIME)
    assert location.read() == RUNTIME


def test_leaves_nothing_else_behind(file):
    location.write(RUNTIME)
    location.write(RUNTIME)
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes; the folder is the user's own")
def test_only_the_owner_can_read_it(file):
    before = os.umask(0)
    try:
        location.write(RUNTIME)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_does_not_write_through_a_link(file, tmp_path):
    other = tmp_path / "other"
    other.write_text("mine")
    file.parent.mkdir()
    file.symlink_to(other)
    location.write(RUNTIME)
    assert other.read_text() == "mine"
    assert not file.is_symlink()


def test_a_failed_write_leaves_the_old_file(file, monkeypatch):
    location.write(RUNTIME)

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        location.write(Runtime(url="x", token="x", pid=1, version="x", protocol="x"))
    assert location.read() == RUNTIME
    assert list(file.parent.iterdir()) == [file]


def test_a_server_that_has_ended_is_not_found(file):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(timeout=30)
    location.write(Runtime(url="ws://x", token="x", pid=ended.pid, version="x", protocol="x"))
    assert location.read() is None


def test_a_process_id_that_cannot_be_is_not_found(file):
    location.write(Runtime(url="ws://x", token="x", pid=2**40, version="x", protocol="x"))
    assert location.read() is None


def test_a_server_elsewhere_has_no_process_here(file):
    location.write(Runtime(url="ws://x", token="x", pid=location.ELSEWHERE, version="x", protocol="x"))
    assert location.read().is_elsewhere
    assert not location.is_running(0), "for the system it would be our own group of processes"


def test_a_broken_file_is_no_server(subtests, file):
    for text in ["", "{", "[]", "5", "null", "{}", '{"url": 5}', "\x00\xff"]:
        with subtests.test(text=text):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="latin-1")
            assert location.read() is None


def test_unknown_fields_of_a_later_version_are_ignored(file):
    location.write(RUNTIME)
    file.write_text(file.read_text("utf-8").replace("{", '{"mood": "fine", ', 1), "utf-8")
    assert location.read() == RUNTIME


def test_removes_only_what_it_wrote(file):
    location.write(RUNTIME)
    location.remove(Runtime(url="ws://other", token="other", pid=os.getpid(), version="x", protocol="1.0"))
    assert location.read() == RUNTIME
    location.remove(RUNTIME)
    assert not file.exists()
    location.remove(RUNTIME)


def test_the_file_is_in_the_users_state_folder(subtests, monkeypatch):
    for platform, variables, expected in [
        ("linux", {"XDG_STATE_HOME": "/state"}, Path("/state/layerfusion/server.json")),
        ("linux", {}, Path("/home/me/.local/state/layerfusion/server.json")),
        ("darwin", {}, Path("/home/me/Library/Application Support/layerfusion/server.json")),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local/layerfusion/server.json")),
        ("win32", {}, Path("/home/me/AppData/Local/layerfusion/server.json")),
    ]:
        with subtests.test(platform=platform, variables=variables, expected=expected):
            for name in (location.VARIABLE, "XDG_STATE_HOME", "LOCALAPPDATA"):
                monkeypatch.delenv(name, raising=False)
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setattr(sys, "platform", platform)
            monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
            assert location.path() == expected


def test_the_token_is_not_printed():
    assert "secret-token" not in repr(RUNTIME)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes; the folder is the user's own")
def test_a_file_that_others_can_read_or_write_is_not_trusted(subtests, file):
    for mode in [0o644, 0o620, 0o602, 0o604]:
        with subtests.test(mode=mode):
            location.write(RUNTIME)
            file.chmod(mode)
            assert location.read() is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no owners in this sense")
def test_a_file_of_another_user_is_not_trusted(file, monkeypatch):
    location.write(RUNTIME)
    monkeypatch.setattr(os, "getuid", lambda: file.stat().st_uid + 1)
    assert location.read() is None


def test_without_encryption_there_is_no_ssl_context():
    assert RUNTIME.tls() is None


def test_the_certificate_that_is_given_is_trusted_whatever_name_it_bears():
    pem = (Path(__file__).parents[1] / "net" / "tls" / "cert.pem").read_text("ascii")
    context = replace(RUNTIME, url="wss://127.0.0.1:1/", certificate=pem).tls()
    assert context is not None
    assert len(context.get_ca_certs()) == 1
    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_REQUIRED)
    with pytest.raises(ssl.SSLError):
        replace(RUNTIME, url="wss://127.0.0.1:1/", certificate="damaged").tls()


def test_without_a_certificate_the_systems_trusted_ones_are_used():
    context = replace(RUNTIME, url="wss://example.org/").tls()
    assert context is not None
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.skipif(sys.platform == "win32", reason="stands in for what Windows has")
def test_windows_processes_are_checked_without_sending_a_signal(monkeypatch, subtests):
    class Function:
        """Replaces a function of a library; ctypes sets attributes on it."""

        def __init__(self, call):
            self._call = call

        def __call__(self, *arguments):
            return self._call(*arguments)

    def kernel32(handle, code):
        def exit_code(_handle, place):
            place._obj.value = code
            return True

        closed = []
        calls = (lambda *_: handle), exit_code, closed.append
        opening, asking, closing = (Function(call) for call in calls)
        library = SimpleNamespace(OpenProcess=opening, GetExitCodeProcess=asking, CloseHandle=closing)
        monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=library), raising=False)
        return closed

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("this would end the process, or send it Ctrl-C"))
    for handle, code, running in [(7, 259, True), (7, 0, False), (None, 0, False)]:
        with subtests.test(handle=handle, code=code):
            closed = kernel32(handle, code)
            assert location.is_running(4711) is running
            assert closed == ([] if handle is None else [handle])


def test_a_process_of_another_user_counts_as_running(monkeypatch):
    def refuse(_pid, _signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(sys, "platform", "linux")
    assert location.is_running(4711)


@pytest.mark.skipif(sys.platform == "win32", reason="it is about other systems there")
def test_file_modes_are_ignored_on_windows(file, monkeypatch):
    location.write(RUNTIME)
    file.chmod(0o666)
    assert not location.is_secret(file.stat())
    monkeypatch.setattr(sys, "platform", "win32")
    assert location.is_secret(file.stat())
