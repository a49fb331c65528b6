"""A complete server on a real socket: connections, uploads and submissions that are accepted or refused."""

import contextlib
import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bare import HELLO, WIRE, exchange, greeted
from layerfusion.server import translate
from layerfusion.server.client.client import Refusal, new_job
from layerfusion.server.net import connection as connection_module
from layerfusion.server.protocol import MAJOR, MINOR
from layerfusion.server.protocol.frames import MAX_FRAME, Chunk
from layerfusion.server.protocol.messages import (
    Failed,
    Generated,
    Hello,
    Kept,
    Refused,
    Upload,
    UploadReady,
    UploadRefused,
)
from running import SECONDS
from samples import submit

PIXELS = bytes(range(256)) * 16


# ---- who is let in


def test_a_plain_request_with_the_token_is_answered(server):
    status, text = server.get()
    assert status == 200
    assert text.startswith("layerfusion ")


def test_strangers_are_refused_before_the_upgrade(subtests, server):
    for headers, status in [
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": ""}, 401),
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
    ]:
        with subtests.test(headers=headers, status=status):
            assert server.get(**headers)[0] == status
            with pytest.raises(InvalidStatus) as refused:
                server.socket(**headers)
            assert refused.value.response.status_code == status


def test_other_paths_are_not_found(server):
    assert server.get("/etc/passwd")[0] == 404


def test_the_number_of_connections_is_limited(server):
    server.wait_until_left()
    with contextlib.ExitStack() as stack:
        for _ in range(server.config.max_connections):
            stack.enter_context(server.client())
        with pytest.raises(InvalidStatus) as refused:
            server.client()
        assert refused.value.response.status_code == 503
    deadline = time.monotonic() + SECONDS
    while server.get()[1] != f"layerfusion {server.app.version}, 0 connected\n":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    server.client().close()


def test_pixels_are_never_compressed(server):
    with server.socket(compression="deflate") as raw:
        assert "Sec-WebSocket-Extensions" not in raw.response.headers


# ---- the greeting


def test_welcome_has_the_models_and_limits(server):
    with server.client() as client:
        welcome = client.welcome
    assert welcome.protocol == (MAJOR, MINOR)
    assert [model.name for model in welcome.models] == ["tiny"]
    assert welcome.limits.frame_bytes == MAX_FRAME


def test_another_version_is_refused(server):
    with server.socket() as raw:
        (refused,), code = exchange(raw, WIRE.encode(Hello(protocol=(2, 0), client="new", version="9")))
    assert (refused.code, code) == ("unsupported_version", 1008)
    assert refused.hint == "Update the server."


def test_a_client_that_sends_no_hello_is_disconnected(server, monkeypatch):
    monkeypatch.setattr(connection_module, "_HELLO_SECONDS", 0.1)
    with server.socket() as raw:
        with pytest.raises(ConnectionClosed) as closed:
            raw.recv(SECONDS)
        assert closed.value.rcvd.code == 1008


def test_garbage_ends_the_connection_with_a_reason(subtests, server):
    for frame, code, close in [
        (b"garbage", "bad_frame", 1008),
        (b"\x01", "bad_frame", 1008),
        ("text", "bad_frame", 1003),
        (msgpack.packb({"type": "cancel", "job": "x"}), "invalid_message", 1008),
    ]:
        with subtests.test(frame=frame, code=code, close=close):
            with greeted(server) as raw:
                (refused,), closed = exchange(raw, frame)
            assert isinstance(refused, Refused)
            assert (refused.code, closed) == (code, close)
            server.client().close()


def test_an_oversized_frame_ends_the_connection(server):
    with greeted(server) as raw:
        assert exchange(raw, bytes(MAX_FRAME + 1)) == ([], 1009)
    server.client().close()


def test_a_sender_that_breaks_ends_its_connection_and_no_other(server, monkeypatch):
    class Broken(connection_module.Outbox):
        async def next(self):
            raise RuntimeError("a bug")

    with server.client() as other:
        with monkeypatch.context() as patch:
            patch.setattr(connection_module, "Outbox", Broken)
            with server.socket() as raw:
                assert exchange(raw, WIRE.encode(HELLO)) == ([], 1011)
        other.upload(b"still here")


# ---- uploads


def test_an_upload_is_stored_and_not_asked_for_again(server):
    with server.client() as client:
        layer = client.upload(PIXELS)
        assert layer == hashlib.sha256(PIXELS).hexdigest()
        assert client.upload(PIXELS) == layer
    assert server.app._store.read(layer) == PIXELS


def upload(client, announced, sent):
    """Announce one layer, send another one, and return the server's last message."""
    client._send(Upload(transfer=0, layer=hashlib.sha256(announced).hexdigest(), bytes=len(announced)))
    client._wait_for(UploadReady)
    client._send(Chunk(0, 0, sent))
    return client._receive()


def test_pixels_that_were_not_announced_are_not_stored(subtests, server):
    for case, announced, sent in [("larger", b"more", b"than announced"), ("another", b"this", b"that")]:
        with subtests.test(case), server.client() as client:
            answer = upload(client, announced, sent)
            assert isinstance(answer, UploadRefused)
            assert answer.code == "bad_transfer"
            assert not server.app._store.has(hashlib.sha256(announced).hexdigest())
            assert not server.app._store.has(hashlib.sha256(sent).hexdigest())
            client.upload(b"good")


def test_a_layer_that_is_too_large_is_refused(server):
    with server.client() as client:
        client._send(Upload(transfer=0, layer="0" * 64, bytes=client.welcome.limits.layer_bytes + 1))
        answer = client._receive()
    assert (answer.code, answer.transfer) == ("too_large", 0)


def test_a_full_disk_is_reported(server, monkeypatch):
    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with server.client() as client, pytest.raises(Refusal, match="No space left") as refused:
        client.upload(b"to a full disk")
    assert refused.value.code == "unwritable_file"


def test_an_incomplete_upload_leaves_no_file(server):
    with server.client() as client:
        client._send(Upload(transfer=0, layer="0" * 64, bytes=8))
        client._wait_for(UploadReady)
        client._send(Chunk(0, 0, b"half"))
    drafts = server.config.folder / "layers" / "drafts"
    deadline = time.monotonic() + SECONDS
    while list(drafts.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- jobs that are refused


def test_a_job_that_cannot_be_drawn_is_refused(subtests, server):
    for values, code in [
        ({"width": 63}, "invalid_request"),
        ({"height": 5000}, "invalid_request"),
        ({"width": 4096}, "invalid_request"),
        ({"background": Generated(prompt="")}, "invalid_request"),
        ({"background": Generated(prompt="x" * 100_000)}, "invalid_request"),
        ({"foregrounds": (Kept(layer="0" * 64, width=1, height=1, name="x", prompt="x"),)}, "unknown_layer"),
        ({"model": "../../secrets"}, "unknown_model"),
    ]:
        with subtests.test(values=values, code=code):
            with server.client() as client, pytest.raises(Refusal) as refused:
                client.submit(submit(**values))
            assert refused.value.code == code
            assert refused.value.message


def test_an_invalid_job_is_refused_by_name(server):
    with greeted(server) as raw:
        job = new_job()
        raw.send(msgpack.packb({**submit(job=job).to_map(), "width": "wide"}))
        answer = WIRE.decode(raw.recv(SECONDS))
    assert isinstance(answer, Failed)
    assert (answer.job, answer.seq, answer.code) == (job, 0, "invalid_message")


def test_unknown_jobs_are_refused_as_unknown(server):
    with server.client() as client:
        with pytest.raises(Refusal, match="There is no job"):
            client.resume(new_job())
        job = new_job()
        client.cancel(job)
        (answer,) = client.events(job)
    assert (answer.code, answer.seq) == ("unknown_job", 0)


def test_a_job_id_cannot_be_used_for_two_jobs(server):
    with server.client() as client:
        first = submit()
        client.submit(first)
        with pytest.raises(Refusal) as refused:
            client.submit(submit(job=first.job, seed=5))
        assert refused.value.code == "job_exists"
        client.submit(first)
        client.cancel(first.job)


def test_what_is_said_about_a_job_is_looked_up_beside_the_event_loop(server, monkeypatch):
    """A folder of models may lie on a slow disk."""
    asked, answer = threading.Event(), threading.Event()

    def notice(_submit):
        asked.set()
        assert answer.wait(SECONDS)
        return "slow"

    monkeypatch.setattr(translate, "model_notice", notice)
    with server.client() as client, ThreadPoolExecutor(1) as thread:
        try:
            accepted = thread.submit(client.submit, submit())
            assert asked.wait(SECONDS)
            assert server.get()[0] == 200  # by the event loop
        finally:
            answer.set()
        assert accepted.result().notice == "slow"
