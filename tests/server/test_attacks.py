"""What an attacker would try on a running server, and the refusal each attempt meets. SECURITY.md lists them."""

import asyncio
import contextlib
import http.client
import logging
import socket
import struct
import threading
import time
from dataclasses import replace
from urllib.parse import urlsplit

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import scripted
from running import SECONDS, Running
from server import handshakes
from server.client import Refusal, new_job
from server.protocol import location
from server.protocol.frames import CHUNK_BYTES, MAX_FRAME, Chunk
from server.protocol.messages import (
    Cancel,
    Export,
    Generated,
    Hello,
    Kept,
    Refused,
    Submit,
    Upload,
    UploadReady,
    UploadRefused,
)
from server.protocol.wire import Wire
from server.session import MAX_MESSAGE

WIRE = Wire(msgpack.packb, msgpack.unpackb)
HELLO = Hello(protocol=(1, 0), client="test", version="1")
LIMITS = {"max_connections": 4, "message_rate": 1, "message_burst": 40, "upload_bytes": 4000, "layer_bytes": 3000}
PATHS = ["../../etc/passwd", "/etc/passwd", "C:\\Windows\\win.ini", "\\\\evil\\share", "a/b", "..", ".", "a\0b", ""]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(location.VARIABLE, str(tmp_path_factory.mktemp("runtime") / "server.json"))
        patch.setattr(handshakes, "SECONDS", 2.0)
        with Running(tmp_path_factory.mktemp("layers"), scripted.load, **LIMITS) as running:
            yield running


@contextlib.contextmanager
def greeted(server):
    """A bare websocket whose greeting is over."""
    with server.socket() as raw:
        raw.send(WIRE.encode(HELLO))
        raw.recv(SECONDS)
        yield raw


def refusal(raw, *frames):
    """Send frames; the code in the server's last word and the close code."""
    last = None
    try:
        for frame in frames:
            raw.send(frame)
        while True:
            last = WIRE.decode(raw.recv(SECONDS))
    except ConnectionClosed as closed:
        return getattr(last, "code", None), closed.rcvd.code


def submit(**values):
    defaults = {
        "job": new_job(),
        "width": 64,
        "height": 64,
        "background": Generated(prompt="a beach at sunset"),
        "foregrounds": (Generated(prompt="a red apple"),),
        "model": "tiny",
        "steps": 1,
    }
    return Submit(**{**defaults, **values})


def raw_submit(**values):
    """What no client of ours would let itself say."""
    return msgpack.packb({**submit().to_map(), **values})


def still_serves(server):
    """After whatever was tried. The connections of the attempt may take a moment to end."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            server.client().close()
        except InvalidStatus:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return True


def address(server):
    parts = urlsplit(server.runtime.url)
    return parts.hostname, parts.port


# ---- a web page, another user, another program


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", "file://", "http://localhost:8737"]
)
def test_a_web_page_cannot_open_a_websocket(server, origin):
    with pytest.raises(InvalidStatus) as refused:
        server.socket(Origin=origin)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "127.1", "2130706433"])
def test_a_name_made_to_point_here_is_not_answered_to(server, host):
    with pytest.raises(InvalidStatus) as refused:
        server.socket(Host=host)
    assert refused.value.response.status_code == 421


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer x", "Basic dTpw", "Bearer {token}x", "bearer {token}"])
def test_another_user_has_no_token(server, token):
    value = "" if token is None else token.format(token=server.runtime.token)
    with pytest.raises(InvalidStatus) as refused:
        server.socket(Authorization=value)
    assert refused.value.response.status_code == 401


def test_the_token_in_a_url_opens_nothing(server):
    assert server.get(f"/?token={server.runtime.token}")[0] == 404
    assert server.get(f"/?token={server.runtime.token}", Authorization="")[0] == 401


def test_the_token_is_256_bits_of_chance(server):
    assert len(server.runtime.token) == 43


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_a_form_on_a_web_page_can_do_nothing(server, method):
    """Only GET is understood: there is nothing that a cross-site form could change, and no CORS header allows more."""
    request = http.client.HTTPConnection(*address(server), timeout=SECONDS)
    with contextlib.closing(request), contextlib.suppress(http.client.HTTPException, ConnectionError):
        request.request(method, "/", body=b"a=b", headers=server.headers)
        answer = request.getresponse()
        assert answer.status >= 400
        assert not [name for name, _ in answer.getheaders() if name.lower().startswith("access-control")]
    assert still_serves(server)


# ---- nothing is named by a path


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("field", ["model", "sampler"])
def test_names_are_looked_up_and_never_opened(server, field, path):
    with greeted(server) as raw:
        raw.send(raw_submit(**{field: path}))
        answer = WIRE.decode(raw.recv(SECONDS))
    assert answer.type == "failed"
    assert answer.code in ("unknown_model", "invalid_request", "invalid_message")


@pytest.mark.parametrize("path", PATHS)
def test_a_job_or_layer_has_an_id_and_no_path(server, path):
    kept = {**Kept(layer="0" * 64, width=1, height=1, name="x", prompt="x").to_map(), "layer": path}
    with greeted(server) as raw:
        raw.send(raw_submit(foregrounds=[kept]))
        assert WIRE.decode(raw.recv(SECONDS)).code == "invalid_message"
    for message in ({"type": "cancel", "job": path}, {"type": "upload", "transfer": 0, "layer": path, "bytes": 4}):
        with greeted(server) as raw:
            assert refusal(raw, msgpack.packb(message)) == ("invalid_message", 1008)


# ---- bombs


def test_compressed_frames_are_not_unpacked(server):
    with greeted(server) as raw:
        raw.socket.sendall(struct.pack(">BB4x", 0x80 | 0x40 | 0x02, 0x80))  # RSV1: “deflated”
        with pytest.raises(ConnectionClosed) as closed:
            raw.recv(SECONDS)
    assert closed.value.rcvd.code == 1002
    assert still_serves(server)


BOMBS = {
    "a message that only claims to be long": (b"\xdf\xff\xff\xff\xff", "bad_frame"),
    "nested 100,000 deep": (b"\x91" * 100_000, "bad_frame"),
    "a map of maps, 100,000 deep": (b"\x81\xa1a" * 100_000, "bad_frame"),
    "a map of 1000 keys": (msgpack.packb({str(i): i for i in range(1000)}), "bad_frame"),
    "a list of 100,000": (msgpack.packb({"type": "hello", "list": [0] * 100_000}), "bad_frame"),
    "a type of its own": (msgpack.packb({"type": "hello", "x": msgpack.ExtType(5, b"cos\nsystem")}), "bad_frame"),
    "a message of a megabyte": (msgpack.packb({"type": "x", "y": bytes(MAX_MESSAGE)}), "too_large"),
    "no map": (msgpack.packb([1, 2, 3]), "bad_frame"),
    "keys that are no text": (msgpack.packb({1: 2}), "bad_frame"),
}


@pytest.mark.parametrize(("frame", "code"), BOMBS.values(), ids=BOMBS.keys())
def test_bombs_of_msgpack_do_not_go_off(server, frame, code):
    with greeted(server) as raw:
        assert refusal(raw, frame) == (code, 1008)
    assert still_serves(server)


def test_a_frame_above_the_limit_is_not_read(server):
    with greeted(server) as raw:
        assert refusal(raw, bytes(MAX_FRAME + 1)) == (None, 1009)
    assert still_serves(server)


def test_a_frame_in_endless_pieces_is_not_collected(server):
    with greeted(server) as raw:
        code = None
        try:
            raw.send(bytes(2**16) for _ in range(1000))
            raw.recv(SECONDS)
        except ConnectionClosed as closed:
            code = closed.rcvd and closed.rcvd.code
    assert code == 1009
    assert still_serves(server)


# ---- too much


def test_too_many_messages_are_refused(server):
    frames = [WIRE.encode(Cancel(job=new_job())) for _ in range(60)]
    with greeted(server) as raw:
        assert refusal(raw, *frames) == ("too_fast", 1008)
    assert still_serves(server)


def test_tiny_chunks_are_messages(server):
    with greeted(server) as raw:
        raw.send(WIRE.encode(Upload(transfer=0, layer="0" * 64, bytes=3000)))
        assert isinstance(WIRE.decode(raw.recv(SECONDS)), UploadReady)
        assert refusal(raw, *(WIRE.encode(Chunk(0, index, b"x")) for index in range(60))) == ("too_fast", 1008)


def test_a_layer_above_the_limit_is_refused_before_it_is_sent(server):
    with server.client() as client:
        client._send(Upload(transfer=0, layer="0" * 64, bytes=3001))
        answer = client._receive()
    assert (answer.type, answer.code) == ("upload_refused", "too_large")


def test_uploads_are_counted_and_connecting_again_does_not_help(tmp_path, monkeypatch):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    with Running(tmp_path / "layers", scripted.load, upload_bytes=4000) as server:
        for number in range(2):
            with server.client() as client:
                client.upload(bytes([number]) * 1500)
                client.upload(bytes([number]) * 1500)  # is there already, costs nothing
        for _ in range(2):
            with server.client() as client, pytest.raises(Refusal) as refused:
                client.upload(bytes([7]) * 1500)
            assert refused.value.code == "quota_exceeded"


def test_an_upload_under_way_does_not_allow_a_second(server):
    with greeted(server) as raw:
        for transfer in range(2):
            raw.send(WIRE.encode(Upload(transfer=transfer, layer=f"{transfer}" * 64, bytes=4)))
        answers = [WIRE.decode(raw.recv(SECONDS)) for _ in range(2)]
    (refused,) = [answer for answer in answers if isinstance(answer, UploadRefused) and answer.transfer == 1]
    assert refused.code == "unexpected_message"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"width": 5000}, "invalid_request"),
        ({"width": 2**31}, "invalid_message"),
        ({"width": 63}, "invalid_request"),
        ({"width": 4096, "height": 64}, "invalid_request"),
        ({"steps": 10_000}, "invalid_request"),
        ({"guidance_scale": float("nan")}, "invalid_message"),
        ({"guidance_scale": 1e300}, "invalid_message"),
        ({"seed": 2**64 - 1}, "invalid_message"),
        ({"background": Generated(prompt="x" * 2001).to_map()}, "invalid_request"),
        ({"background": Generated(prompt="x", negative_prompt="x" * 2001).to_map()}, "invalid_request"),
        ({"foregrounds": [Generated(prompt="x").to_map()] * 7}, "invalid_request"),
        ({"foregrounds": [Generated(prompt="x").to_map()] * 65}, "invalid_message"),
        ({"foregrounds": []}, "invalid_message"),
    ],
    ids=str,
)
def test_a_job_beyond_the_limits_is_refused(server, values, code):
    with greeted(server) as raw:
        raw.send(raw_submit(**values))
        answer = WIRE.decode(raw.recv(SECONDS))
    assert (answer.type, answer.seq, answer.code) == ("failed", 0, code)


def test_files_are_made_a_few_at_a_time(server):
    exporting = server.app._jobs.exporting
    asyncio.run_coroutine_threadsafe(exporting.acquire(), server._loop).result(SECONDS)  # one takes long
    try:
        with server.client() as client:
            job = new_job()
            client.submit(submit(job=job))
            assert list(client.events(job))[-1].type == "done"
            for _ in range(20):
                client._send(Export(job=job, format="psd"))
            answers = [client._receive() for _ in range(12)]
        assert {(answer.type, answer.code) for answer in answers} == {("fetch_failed", "queue_full")}
    finally:
        server._loop.call_soon_threadsafe(exporting.release)


def test_what_is_not_read_yet_waits_at_the_client(server):
    """While the server is busy with one message, 100 MB behind it stay in the client and in the system's buffers."""
    checking, sent = server.app._jobs.checking, []
    asyncio.run_coroutine_threadsafe(checking.acquire(), server._loop).result(SECONDS)  # one request takes long

    def flood(raw):
        with contextlib.suppress(ConnectionClosed):
            raw.send(WIRE.encode(submit()))
            for _ in range(400):
                raw.send(WIRE.encode(Chunk(0, 0, bytes(CHUNK_BYTES))))
                sent.append(CHUNK_BYTES)

    with greeted(server) as raw:
        flooding = threading.Thread(target=flood, args=(raw,))
        flooding.start()
        try:
            before = -1
            while len(sent) != before:  # until nothing more is taken
                before = len(sent)
                flooding.join(1)
            assert sum(sent) < 32 * 2**20
        finally:
            server._loop.call_soon_threadsafe(checking.release)
        flooding.join(SECONDS)
        assert len(sent) == 400, "and once it is read, all of it goes through"


def test_connections_are_counted(server):
    with contextlib.ExitStack() as stack:
        for _ in range(LIMITS["max_connections"]):
            stack.enter_context(server.client())
        with pytest.raises(InvalidStatus) as refused:
            server.client()
    assert refused.value.response.status_code == 503
    assert still_serves(server)


def test_who_does_not_finish_a_handshake_is_cut_off_and_keeps_nobody_out(server):
    """Twice as many sockets as the server may have, each saying half a request and then nothing."""
    most = 5 * LIMITS["max_connections"]
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(address(server), SECONDS)) for _ in range(2 * most)]
        for raw in idle:
            with contextlib.suppress(OSError):
                raw.sendall(b"GET / HTTP/1.1\r\nHost: ")
        deadline = time.monotonic() + SECONDS
        for raw in idle:
            raw.settimeout(max(0.1, deadline - time.monotonic()))
            with contextlib.suppress(ConnectionError):
                assert raw.recv(1) == b"", "closed by the server, not by us"
        assert still_serves(server)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0" * 1000 + b"\r\n\r\n",
    ],
    ids=["long path", "many headers", "long header", "TLS to a plain port", "zeros"],
)
def test_a_request_that_is_none_is_cut_off_without_a_line_in_the_log(server, request_bytes, caplog):
    with caplog.at_level(logging.INFO), socket.create_connection(address(server), SECONDS) as raw:
        raw.sendall(request_bytes)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := raw.recv(1000):
                answer += part
    assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 101"))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert still_serves(server)


# ---- what is written down


def test_neither_prompts_nor_the_token_are_logged(server, caplog):
    """Not even at the level of a developer's curiosity."""
    secret = "my unannounced character"
    with caplog.at_level(logging.INFO):
        with greeted(server) as raw:
            raw.send(raw_submit(width=63, background=Generated(prompt=secret).to_map()))
            WIRE.decode(raw.recv(SECONDS))
        with greeted(server) as raw:
            raw.send(raw_submit(width="wide", background={"kind": "generated", "prompt": secret, "seed": secret}))
            WIRE.decode(raw.recv(SECONDS))
        with greeted(server) as raw:
            assert refusal(raw, msgpack.packb({"type": "cancel", "job": secret}))[0] == "invalid_message"
        with contextlib.suppress(InvalidStatus):
            server.socket(Authorization=f"Bearer {server.runtime.token}x")
    assert caplog.text, "the test looks at a log"
    assert secret not in caplog.text
    assert server.runtime.token not in caplog.text


def test_what_a_client_calls_itself_cannot_forge_log_lines(server, caplog):
    with caplog.at_level(logging.INFO), server.socket() as raw:
        raw.send(WIRE.encode(replace(HELLO, client="me\nERROR server: all is lost\x1b[2J")))
        raw.recv(SECONDS)
    assert not [record for record in caplog.records if "\n" in record.getMessage() or "\x1b" in record.getMessage()]


def test_the_last_word_names_what_was_wrong(server):
    with greeted(server) as raw:
        raw.send(b"garbage")
        answer = WIRE.decode(raw.recv(SECONDS))
    assert isinstance(answer, Refused)
    assert answer.message
