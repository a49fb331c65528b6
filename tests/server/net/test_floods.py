"""Floods of messages, uploads and connections, which must not harm the server. SECURITY.md lists them."""

import asyncio
import contextlib
import logging
import socket
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import scripted
from bare import HELLO, WIRE, greeted, raw_submit, refusal
from layerfusion.server.client.client import Refusal, new_job
from layerfusion.server.net import connection as connection_module
from layerfusion.server.net import handshakes
from layerfusion.server.protocol import location
from layerfusion.server.protocol.frames import CHUNK_BYTES, Chunk
from layerfusion.server.protocol.messages import Cancel, Export, Generated, Resume, Upload, UploadReady, UploadRefused
from running import SECONDS, Running
from samples import submit

LIMITS = {"max_connections": 4, "message_rate": 1, "message_burst": 40, "upload_bytes": 4000, "layer_bytes": 3000}


@pytest.fixture(scope="module")
def server(tmp_path_factory, runtime_file):
    """A server with narrow limits."""
    with Running(tmp_path_factory.mktemp("layers"), scripted.load, **LIMITS) as running:
        yield running


@pytest.fixture
def impatient(tmp_path, monkeypatch):
    """A server with narrow limits that soon aborts who does not finish a request."""
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    monkeypatch.setattr(handshakes, "SECONDS", 2.0)
    with Running(tmp_path / "layers", scripted.load, **LIMITS) as running:
        yield running


def test_too_many_messages_are_refused(server):
    frames = [WIRE.encode(Cancel(job=new_job())) for _ in range(60)]
    with greeted(server) as raw:
        assert refusal(raw, *frames) == ("too_fast", 1008)
    assert server.still_serves()


def test_tiny_chunks_count_as_messages(server):
    with greeted(server) as raw:
        raw.send(WIRE.encode(Upload(transfer=0, layer="0" * 64, bytes=3000)))
        assert isinstance(WIRE.decode(raw.recv(SECONDS)), UploadReady)
        assert refusal(raw, *(WIRE.encode(Chunk(0, index, b"x")) for index in range(60))) == ("too_fast", 1008)


def test_a_layer_above_the_limit_is_refused_before_it_is_sent(server):
    with server.client() as client:
        client._send(Upload(transfer=0, layer="0" * 64, bytes=3001))
        answer = client._receive()
    assert (answer.type, answer.code) == ("upload_refused", "too_large")


def test_the_upload_quota_holds_across_connections(tmp_path, monkeypatch):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    with Running(tmp_path / "layers", scripted.load, upload_bytes=4000) as server:
        for number in range(2):
            with server.client() as client:
                client.upload(bytes([number]) * 1500)
                client.upload(bytes([number]) * 1500)  # the server has it already, so it does not count
        for _ in range(2):
            with server.client() as client, pytest.raises(Refusal) as refused:
                client.upload(bytes([7]) * 1500)
            assert refused.value.code == "quota_exceeded"


def test_a_second_upload_at_the_same_time_is_refused(server):
    with greeted(server) as raw:
        for transfer in range(2):
            raw.send(WIRE.encode(Upload(transfer=transfer, layer=f"{transfer}" * 64, bytes=4)))
        answers = [WIRE.decode(raw.recv(SECONDS)) for _ in range(2)]
    (refused,) = [answer for answer in answers if isinstance(answer, UploadRefused) and answer.transfer == 1]
    assert refused.code == "unexpected_message"


def test_a_job_beyond_the_limits_is_refused(subtests, server):
    for values, code in [
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
    ]:
        with subtests.test(values=values, code=code):
            with greeted(server) as raw:
                raw.send(raw_submit(**values))
                answer = WIRE.decode(raw.recv(SECONDS))
            assert (answer.type, answer.seq, answer.code) == ("failed", 0, code)


def test_the_number_of_exports_at_the_same_time_is_limited(server):
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


def test_unread_messages_wait_at_the_client(server):
    """While the server processes one message, the next 100 MB stay in the client and in the system's buffers."""
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


def test_connections_above_the_limit_are_refused(server):
    server.wait_until_left()
    with contextlib.ExitStack() as stack:
        for _ in range(LIMITS["max_connections"]):
            stack.enter_context(server.client())
        with pytest.raises(InvalidStatus) as refused:
            server.client()
    assert refused.value.response.status_code == 503
    assert server.still_serves()


def test_unfinished_handshakes_are_aborted_and_do_not_block_clients(impatient):
    """Twice as many sockets as the server allows send half a request each, and then nothing."""
    most = 5 * LIMITS["max_connections"]
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(impatient.address, SECONDS)) for _ in range(2 * most)]
        for raw in idle:
            with contextlib.suppress(OSError):
                raw.sendall(b"GET / HTTP/1.1\r\nHost: ")
        deadline = time.monotonic() + SECONDS
        for raw in idle:
            raw.settimeout(max(0.1, deadline - time.monotonic()))
            with contextlib.suppress(ConnectionError):
                assert raw.recv(1) == b"", "closed by the server, not by us"
        assert impatient.still_serves()


NO_REQUESTS = {
    "long path": b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    "long header": b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "TLS to a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "zeros": b"\0" * 1000 + b"\r\n\r\n",
}


def test_an_invalid_request_is_aborted_and_not_logged(subtests, impatient, caplog):
    for case, request_bytes in NO_REQUESTS.items():
        with subtests.test(case):
            with caplog.at_level(logging.INFO), socket.create_connection(impatient.address, SECONDS) as raw:
                raw.sendall(request_bytes)
                answer = b""
                with contextlib.suppress(ConnectionError):
                    while part := raw.recv(1000):
                        answer += part
            assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 101"))
            assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
            assert impatient.still_serves()


def test_a_client_that_stops_reading_in_the_middle_of_a_layer_gives_its_place_back(server, monkeypatch):
    job = submit(steps=1, blended_prompt="layers=3 side=2000")
    with server.client() as client:
        client.submit(job)
        list(client.events(job.job))
    server.wait_until_left()
    monkeypatch.setattr(connection_module, "_STALL_SECONDS", 0.6)  # not before: a slow machine takes longer to read
    with contextlib.closing(socket.create_connection(server.address, SECONDS)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = server.address
        key = f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: {server.headers['Authorization']}\r\n"
        raw.sendall(
            f"{key}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        for message in (HELLO, Resume(job=job.job)):
            raw.sendall(masked(WIRE.encode(message)))
        deadline = time.monotonic() + SECONDS
        while b"welcome" not in raw.recv(4096, socket.MSG_PEEK):  # it has a place; looking takes nothing away
            assert time.monotonic() < deadline
            time.sleep(0.02)
        while server.app._connections:
            assert time.monotonic() < deadline, "the suspended client keeps its place"
            time.sleep(0.05)


def masked(data):
    """A binary frame of a client, with a mask of zeros."""
    assert len(data) < 126
    return bytes([0x82, 0x80 | len(data)]) + bytes(4) + data
