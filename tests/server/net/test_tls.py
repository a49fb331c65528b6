"""TLS for other machines: addresses, names and the certificate."""

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import scripted
from layerfusion.engine.errors import InvalidRequest
from layerfusion.server.cli.main import main
from layerfusion.server.cli.remote import _trust
from layerfusion.server.client.client import Client
from layerfusion.server.net import tls
from layerfusion.server.protocol import location
from running import SECONDS, Running

CERT = Path(__file__).parent / "tls" / "cert.pem"
KEY = Path(__file__).parent / "tls" / "key.pem"
OTHER = """
import sys
from pathlib import Path
from layerfusion.server.net.tls import server_context
server_context(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(location.VARIABLE, str(tmp_path_factory.mktemp("runtime") / "server.json"))
        encrypted = {"tls_cert": CERT, "tls_key": KEY}
        folder = tmp_path_factory.mktemp("layers")
        with Running(folder, scripted.load, host="0.0.0.0", names=("gpu.test",), **encrypted) as running:
            yield running


def status(server, host):
    """The status of an HTTP request over TLS with `host` in its header `Host`."""
    port = urlsplit(server.runtime.url).port
    with contextlib.closing(
        http.client.HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=server.runtime.tls())
    ) as request:
        request.request("GET", "/", headers={**server.headers, "Host": host.format(port=port)})
        return request.getresponse().status


def test_clients_on_this_machine_trust_the_certificate_in_the_runtime_file(server):
    assert server.runtime.url.startswith("wss://127.0.0.1:")
    runtime = location.read()
    assert runtime == server.runtime
    assert runtime.certificate == tls.certificate(CERT)
    with Client.connect(runtime, timeout=SECONDS) as client:
        assert client.welcome.models
        assert client._socket.socket.version() in ("TLSv1.2", "TLSv1.3")


def test_another_certificate_is_not_trusted(server):
    stranger = replace(server.runtime, certificate="")  # only what the system trusts
    with pytest.raises(ssl.SSLCertVerificationError):
        Client.connect(stranger, timeout=SECONDS)


def test_on_other_machines_the_certificate_is_valid_for_its_name_only(server):
    """`generate --tls-ca` with a self-signed certificate."""
    context = _trust(str(CERT))
    address = ("127.0.0.1", urlsplit(server.runtime.url).port)
    with socket.create_connection(address, SECONDS) as raw, context.wrap_socket(raw, server_hostname="gpu.test") as own:
        assert own.version() in ("TLSv1.2", "TLSv1.3")
    with socket.create_connection(address, SECONDS) as raw, pytest.raises(ssl.SSLCertVerificationError, match="name"):
        context.wrap_socket(raw, server_hostname="evil.example")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_versions_are_refused(server):
    context = server.runtime.tls()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    address = ("127.0.0.1", urlsplit(server.runtime.url).port)
    with socket.create_connection(address, SECONDS) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw)


def test_requests_without_tls_get_no_answer(server):
    with socket.create_connection(("127.0.0.1", urlsplit(server.runtime.url).port), SECONDS) as raw:
        raw.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.runtime.token}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionResetError):
            assert b"layerfusion" not in raw.recv(1000)


def test_its_own_addresses_and_names_are_accepted_as_host(subtests, server):
    for host, expected in [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("gpu.test:{port}", 200),
        ("GPU.test:{port}", 200),
        ("gpu.test", 421),
        ("gpu.test.evil.example:{port}", 421),
        ("evil.example:{port}", 421),
        ("192.0.2.7:{port}", 421),
        ("0.0.0.0:{port}", 421),
    ]:
        with subtests.test(host=host, expected=expected):
            assert status(server, host) == expected


def test_a_token_is_needed_with_tls_too(server):
    port = urlsplit(server.runtime.url).port
    with contextlib.closing(
        http.client.HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=server.runtime.tls())
    ) as request:
        request.request("GET", "/status")
        assert request.getresponse().status == 401


@pytest.mark.parametrize("missing", ["cert", "key"])
def test_missing_files_are_named(tmp_path, missing):
    cert, key = (tmp_path / "none.pem", KEY) if missing == "cert" else (CERT, tmp_path / "none.pem")
    with pytest.raises(InvalidRequest, match=r"none\.pem.*cannot be used \(No such file"):
        tls.server_context(cert, key)


def test_files_that_do_not_belong_together_are_named(tmp_path):
    (tmp_path / "text.pem").write_text("hello")
    for cert, key in ((tmp_path / "text.pem", KEY), (CERT, tmp_path / "text.pem"), (CERT, None)):
        with pytest.raises(InvalidRequest, match="cannot be used"):
            tls.server_context(cert, key)


def test_a_certificate_and_its_key_may_be_one_file(tmp_path):
    both = tmp_path / "both.pem"
    both.write_text(KEY.read_text() + CERT.read_text())
    tls.server_context(both, None)
    assert tls.certificate(both) == tls.certificate(CERT)
    assert "PRIVATE" not in tls.certificate(both)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the locked key")
def test_a_key_with_a_password_is_refused_without_a_prompt(tmp_path):
    locked = tmp_path / "locked.pem"
    lock = ["openssl", "pkey", "-in", KEY, "-aes256", "-passout", "pass:secret", "-out", locked]
    subprocess.run(lock, check=True, timeout=SECONDS)
    ended = subprocess.run(
        [sys.executable, "-c", OTHER, str(CERT), str(locked)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert "the key has a password" in ended.stderr


def serve(capsys, folder, *arguments):
    """Run the command and return its exit code, output and error output."""
    code = main(["serve", "--port", "0", "--folder", str(folder / "layers"), *arguments])
    assert not (folder / "layers").exists(), "nothing was begun"
    return code, *capsys.readouterr()


def test_the_command_refuses_in_one_sentence(subtests, tmp_path, monkeypatch, capsys):
    for arguments, code, said in [
        (["--host", "0.0.0.0"], 2, "can be reached from other machines, and the connection is not encrypted"),
        (["--host", "example.com"], 2, "is not an address to listen on"),
        (["--tls-cert", "none.pem"], 1, "The certificate none.pem"),
        (["--tls-key", str(KEY)], 2, "There is a --tls-key but no certificate"),
    ]:
        with subtests.test(arguments=arguments, code=code, said=said):
            monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
            ended, out, err = serve(capsys, tmp_path, *arguments)
            assert (ended, out) == (code, "")
            assert said in err
            assert err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_weak_or_readable_token_is_refused(subtests, tmp_path, capsys):
    for content, mode, said in [
        ("x" * 40, 0o644, "can be read by other users"),
        ("short", 0o600, "The token has 5 characters"),
        ("", 0o600, "The token has 0 characters"),
        ("é" * 40, 0o600, "it is not plain text"),
    ]:
        with subtests.test(content=content, mode=mode, said=said):
            token = tmp_path / "token"
            token.write_text(content, encoding="utf-8")
            token.chmod(mode)
            code, out, err = serve(capsys, tmp_path, "--token-file", str(token))
            assert (code, out) == (2, "")
            assert said in err
            assert not content or content not in err


def test_the_cookie_of_a_browser_is_sent_over_tls_only(server):
    def get(path, **headers):
        port = urlsplit(server.runtime.url).port
        with contextlib.closing(
            http.client.HTTPSConnection("127.0.0.1", port, timeout=SECONDS, context=server.runtime.tls())
        ) as request:
            request.request("GET", path, headers=headers)
            answer = request.getresponse()
            return answer.headers, answer.read().decode()

    _, code = get("/code", **server.headers)
    headers, text = get("/session", **{"X-Layerfusion-Code": code.strip()})
    name, *attributes = headers["Set-Cookie"].split("; ")
    assert name.startswith("__Host-layerfusion-")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    _, status = get("/status", Cookie=name, **{"X-Layerfusion-Key": json.loads(text)["key"]})
    assert json.loads(status)["user"] == ""
