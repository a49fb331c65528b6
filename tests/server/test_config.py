"""Server settings: only this machine may connect unless the settings say otherwise."""

from pathlib import Path

import pytest

from layerfusion.engine.errors import InvalidRequest
from layerfusion.server.config import ServerConfig


def test_listens_on_this_machine(subtests):
    for host in ["127.0.0.1", "::1", "localhost"]:
        with subtests.test(host=host):
            assert ServerConfig(host=host).host == host


def test_other_machines_reach_it_only_encrypted_or_by_saying_so(subtests):
    for host in ["0.0.0.0", "::", "192.168.1.5", "::ffff:192.168.1.5"]:
        with subtests.test(host=host):
            with pytest.raises(
                InvalidRequest, match="can be reached from other machines, and the connection is not encrypted"
            ):
                ServerConfig(host=host)
            assert ServerConfig(host=host, tls_cert=Path("cert.pem")).host == host
            assert ServerConfig(host=host, unencrypted=True).host == host


def test_refuses_what_is_no_address(subtests):
    for host in ["", "example.com", "localhost.example.com", "127.0.0.1:80", "127.1", "*"]:
        with subtests.test(host=host), pytest.raises(InvalidRequest, match="is not an address to listen on"):
            ServerConfig(host=host, unencrypted=True)


def test_a_key_needs_its_certificate():
    with pytest.raises(InvalidRequest, match="There is a --tls-key but no certificate"):
        ServerConfig(tls_key=Path("key.pem"))


def test_refuses_a_token_that_can_be_guessed_or_not_be_sent(subtests):
    for token in ["", "x" * 31, "x" * 40 + "é", "x" * 20 + " " + "x" * 20, "x" * 40 + "\r\nHost: evil"]:
        with subtests.test(token=token):
            with pytest.raises(InvalidRequest, match="token") as refused:
                ServerConfig(token=token)
            assert not token or token not in str(refused.value)


def test_the_token_is_in_no_text_about_the_settings():
    assert "s3cret" not in repr(ServerConfig(token="s3cret" * 8))


def test_refuses_what_is_no_port(subtests):
    for port in [-1, 65_536]:
        with subtests.test(port=port), pytest.raises(InvalidRequest, match="port"):
            ServerConfig(port=port)


def test_each_device_has_a_worker_and_those_without_a_card_share_the_processor(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert ServerConfig().threads is None
    assert ServerConfig(devices=("cuda:0", "cuda:1", "cpu")).threads is None
    assert ServerConfig(devices=("cpu", "cpu", "cuda:0")).threads == 4
    assert ServerConfig(devices=(None,) * 16).threads == 1


def test_refuses_devices_that_torch_cannot_name(subtests):
    for name in ["", "gpu", "cuda:", "cuda:x", "cpu:0", "CUDA:0", "meta", "cuda:0;rm"]:
        with subtests.test(name=name), pytest.raises(InvalidRequest, match="is not a device"):
            ServerConfig(devices=(name,))
    for devices in [(), ("cpu",) * 65]:
        with pytest.raises(InvalidRequest, match="workers cannot be started"):
            ServerConfig(devices=devices)


def test_what_is_no_origin_of_a_page_is_refused(subtests):
    """“null” above all: every page can have that origin, in a sandboxed frame."""
    for origin in ["null", "*", "", "https://*.example", "gallery.example", "https://gallery.example/", "https://a b"]:
        with subtests.test(origin=origin), pytest.raises(InvalidRequest, match="without a path"):
            ServerConfig(origins=(origin,))
    for origin in ["https://gallery.example", "http://localhost:3000", "http://[::1]:3000", "tauri://localhost"]:
        ServerConfig(origins=(origin,))
