"""`layerfusion connect`: a server on another machine, for Krita and the other commands."""

import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import scripted
from layerfusion.server.cli.main import main
from layerfusion.server.client.client import Client
from layerfusion.server.config import users
from layerfusion.server.errors import CannotServe
from layerfusion.server.net.announce import alone
from layerfusion.server.protocol import location
from layerfusion.server.storage.users import User, Users
from running import SECONDS, Running

TLS = Path(__file__).parents[1] / "net" / "tls"


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A server with TLS, its runtime file elsewhere, and the file with ada's token."""
    folder = tmp_path_factory.mktemp("studio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(location.VARIABLE, str(folder / "server.json"))
        encrypted = {"tls_cert": TLS / "cert.pem", "tls_key": TLS / "key.pem"}
        with Running(folder / "jobs", scripted.load, names=("gpu.test",), **encrypted) as running:
            token = folder / "ada.token"
            token.write_text(Users(users(folder / "jobs")).add(User(name="ada")))
            token.chmod(0o600)
            yield urlsplit(running.runtime.url).port, token


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The artist's machine: the runtime file, and a name for the server."""
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    look_up = socket.getaddrinfo

    def known(host, *rest, **options):
        return look_up("127.0.0.1" if host == "gpu.test" else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    return tmp_path / "server.json"


def connect(*words):
    return main(["connect", *map(str, words)])


def test_every_client_of_this_machine_then_finds_it(studio, home, capsys):
    port, token = studio
    assert connect(f"wss://gpu.test:{port}/", "--token-file", token, "--tls-ca", TLS / "cert.pem") == 0
    assert "as ada" in capsys.readouterr().out
    if sys.platform != "win32":
        assert home.stat().st_mode & 0o777 == 0o600
    runtime = location.read()
    assert runtime.is_elsewhere
    with Client.connect(timeout=SECONDS) as client:
        assert client.welcome.user == "ada"
    assert main(["status"]) == 0
    assert "on another machine" in capsys.readouterr().out
    with pytest.raises(CannotServe, match="connect --off"), alone():
        pass
    assert connect("--off") == 0
    assert location.read() is None
    assert not home.exists()


def test_elsewhere_the_certificate_is_valid_for_its_name_only(studio, home, capsys):
    """The certificate may be that of an authority, which has signed those of others, too."""
    port, token = studio
    assert connect(f"wss://127.0.0.1:{port}/", "--token-file", token, "--tls-ca", TLS / "cert.pem") == 1
    assert "No connection" in capsys.readouterr().err
    assert connect(f"wss://gpu.test:{port}/", "--token-file", token) == 1, "the system does not trust it"
    assert not home.exists()


def test_a_wrong_token_is_not_remembered(studio, home, tmp_path, capsys):
    port, _ = studio
    wrong = tmp_path / "wrong"
    wrong.write_text("x" * 43)
    wrong.chmod(0o600)
    assert connect(f"wss://gpu.test:{port}/", "--token-file", wrong, "--tls-ca", TLS / "cert.pem") == 1
    assert "401" in capsys.readouterr().err
    assert not home.exists()


def test_a_server_that_runs_here_is_not_forgotten(studio, home, tmp_path, capsys):
    port, token = studio
    with Running(tmp_path / "jobs", scripted.load) as here:
        before = home.read_bytes()
        for words in [(f"wss://gpu.test:{port}/", "--token-file", token), ("--off",)]:
            assert connect(*words) == 1
            assert f"process {here.runtime.pid}" in capsys.readouterr().err
        assert home.read_bytes() == before


def test_mistakes_are_said_in_one_line(capsys, tmp_path):
    for words in [(), ("http://gpu.test/",), ("wss://gpu.test:1/", "--token-file", tmp_path / "no")]:
        assert connect(*words) == 2
        assert capsys.readouterr().err.count("\n") == 1
