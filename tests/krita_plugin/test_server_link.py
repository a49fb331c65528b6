"""The link with a scripted server on loopback, which uses the real protocol."""

import contextlib
import hashlib
import os
import queue
import threading
import time

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from layerfusion.server.protocol import MAJOR, MINOR, location, messages
from layerfusion.server.protocol.frames import CHUNK_BYTES, Chunk, split
from layerfusion.server.protocol.location import Runtime
from link_harness import JOB, SECONDS, WELCOME, Peer, Scripted, online, same


def layer(data, *, transfer=9, sha256=None):
    return messages.LayerBegin(
        job=JOB,
        seq=2,
        transfer=transfer,
        index=0,
        name="Background",
        role="background",
        x=-5,
        y=7,
        width=len(data) // 40,
        height=10,
        blend="normal",
        opacity=1.0,
        visible=True,
        bytes=len(data),
        sha256=sha256 or hashlib.sha256(data).hexdigest(),
    )


def test_the_link_finds_the_server_and_sends_its_token(link, events):
    done = threading.Event()

    def script(peer):
        hello = peer.greet()
        assert (hello.protocol, hello.client) == ((MAJOR, MINOR), "layerfusion-krita")
        done.wait(SECONDS)

    with Scripted(script) as server:
        assert same(online(events).welcome, WELCOME)
        done.set()
    assert server.requests[0].headers["Authorization"] == "Bearer secret"
    assert "Origin" not in server.requests[0].headers
    assert "Sec-WebSocket-Extensions" not in server.requests[0].headers


def test_proxies_from_the_environment_are_not_used(link, events, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "socks_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Scripted(Peer.greet):
        online(events)


def test_a_layer_in_chunks_arrives_completely(link, events):
    data = os.urandom(4 * 200_000)

    def script(peer):
        peer.greet()
        begin = layer(data)
        note = messages.Progress(job=JOB, stage="drawing", step=1, total=2)
        first, *rest = split(9, data)
        peer.put(begin, first, note, *rest, messages.LayerEnd(job=JOB, seq=2, transfer=9))
        peer.put(messages.Done(job=JOB, seq=3, layers=1))
        peer.get(messages.Cancel)

    assert len(data) > 3 * CHUNK_BYTES
    with Scripted(script):
        online(events)
        assert events.get(timeout=SECONDS).stage == "drawing", "messages come between the chunks"
        arrived = events.get(timeout=SECONDS)
        assert (arrived.picture.x, arrived.picture.y, arrived.picture.width) == (-5, 7, 20_000)
        assert arrived.picture.data == data
        assert events.get(timeout=SECONDS).layers == 1
        link.send(plugin_message("Cancel", job=JOB))


def plugin_message(name, **values):
    from krita_layerfusion.protocol import messages as ours

    return getattr(ours, name)(**values)


BAD = os.urandom(400)


@pytest.mark.parametrize(
    "frames",
    [
        [layer(BAD, sha256="0" * 64), *split(9, BAD), messages.LayerEnd(job=JOB, seq=2, transfer=9)],
        [layer(BAD), *split(9, BAD[:-4]), messages.LayerEnd(job=JOB, seq=2, transfer=9)],
        [layer(BAD), *split(9, BAD + b"more")],
        [layer(BAD), Chunk(9, 1, BAD)],
        [Chunk(8, 0, b"of nothing")],
        [messages.LayerEnd(job=JOB, seq=2, transfer=4)],
    ],
    ids=["digest", "too few", "too many", "order", "unannounced", "end of nothing"],
)
def test_pixels_that_are_not_those_announced_end_the_connection(link, events, frames):
    def script(peer):
        peer.greet()
        peer.put(*frames)
        peer.connection.recv(timeout=SECONDS)

    with Scripted(script):
        online(events)
        event = events.get(timeout=SECONDS)
        assert type(event).__name__ == "Offline"
        assert not event.resumable
        assert event.message


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x93abc", b"text", "text"], ids=repr)
def test_malformed_frames_end_the_connection_and_the_link_reconnects(link, events, frame):
    met = []

    def script(peer):
        peer.greet()
        met.append(1)
        if len(met) == 1:
            peer.connection.send(frame)
        peer.connection.recv(timeout=SECONDS)

    with Scripted(script):
        online(events)
        assert type(events.get(timeout=SECONDS)).__name__ == "Offline"
        online(events)


def test_a_refusal_is_reported_with_the_servers_message(link, events):
    def script(peer):
        peer.get(messages.Hello)
        peer.put(messages.Refused(code="unsupported_version", message="Too old.", hint="Install the plugin again."))

    with Scripted(script):
        event = events.get(timeout=SECONDS)
        assert (event.resumable, event.message, event.hint) == (False, "Too old.", "Install the plugin again.")


def test_a_server_of_another_major_version_is_refused(link, events):
    def script(peer):
        peer.get(messages.Hello)
        peer.connection.send(msgpack.packb({**WELCOME.to_map(), "protocol": [2, 0]}))
        peer.connection.recv(timeout=SECONDS)

    with Scripted(script):
        assert "different versions" in events.get(timeout=SECONDS).message


def test_a_wrong_token_is_reported(plugin, link, events):
    def refuse(connection, request):
        return connection.respond(401, "no\n")

    with serve(lambda _: None, "127.0.0.1", 0, process_request=refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        location.write(Runtime(url=f"ws://127.0.0.1:{port}/", token="x", pid=os.getpid(), version="1", protocol="1.0"))
        assert "(401)" in events.get(timeout=SECONDS).message
        server.shutdown()
        thread.join()


def test_a_lost_connection_is_made_again(link, events):
    with Scripted(Peer.greet):
        online(events)
        event = events.get(timeout=SECONDS)
        assert (type(event).__name__, event.resumable) == ("Offline", True)
        online(events)


def test_jobs_are_not_resumable_after_the_server_has_ended(link, events):
    def script(peer):
        peer.greet()
        location.path().unlink()

    with Scripted(script):
        online(events)
        event = events.get(timeout=SECONDS)
        assert (event.resumable, event.message) == (False, "")


def test_stop_ends_an_idle_connection_at_once(link, events):
    def script(peer):
        peer.greet()
        with pytest.raises(ConnectionClosed):
            peer.connection.recv(timeout=SECONDS)

    with Scripted(script):
        online(events)
        stopping = threading.Thread(target=link.stop)
        stopping.start()
        stopping.join(SECONDS)
        assert not stopping.is_alive() and not link._thread.is_alive()
        assert events.empty(), "nobody is left to be told"


def test_stop_ends_a_link_that_is_just_connecting(link, events):
    asked, stopped = threading.Event(), threading.Event()

    def wait(connection, request):
        asked.set()
        stopped.wait(SECONDS)

    def talk(connection):
        with contextlib.suppress(ConnectionClosed):
            Peer(connection).greet()
            connection.recv()

    with serve(talk, "127.0.0.1", 0, process_request=wait) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        location.write(Runtime(url=f"ws://127.0.0.1:{port}/", token="x", pid=os.getpid(), version="1", protocol="1.0"))
        assert asked.wait(SECONDS)
        stopping = threading.Thread(target=link.stop)
        stopping.start()
        while not link._stopping.is_set():
            time.sleep(0.01)
        stopped.set()
        link._thread.join(SECONDS)
        assert not link._thread.is_alive() and events.empty()
        stopping.join()
        server.shutdown()
        thread.join()


def test_a_layer_continues_where_the_connection_was_lost(link, events):
    from dataclasses import replace

    from krita_layerfusion.protocol.messages import Resume

    data = os.urandom(4 * 200_000)
    first, *rest = split(9, data)
    welcome = replace(WELCOME, protocol=(1, 4))
    asked = queue.Queue()

    def script(peer):
        peer.get(messages.Hello)
        peer.put(welcome)
        if asked.empty():
            asked.put(None)
            peer.put(layer(data), first, messages.Progress(job=JOB, stage="drawing", step=1, total=2))
            return
        asked.put(peer.get(messages.Resume))
        left = data[len(first.data) :]
        peer.put(replace(layer(data, transfer=0), skipped=len(first.data)), *split(0, left))
        peer.put(messages.LayerEnd(job=JOB, seq=2, transfer=0))
        peer.get(messages.Cancel)

    with Scripted(script):
        online(events)
        assert type(events.get(timeout=SECONDS)).__name__ == "Progress"
        assert type(events.get(timeout=SECONDS)).__name__ == "Offline"
        online(events)
        link.send(Resume(job=JOB, after=1))
        arrived = events.get(timeout=SECONDS)
        assert type(arrived).__name__ == "ArrivedLayer"
        assert arrived.picture.data == data
    assert asked.get() is None
    assert asked.get(timeout=SECONDS).received == len(first.data)
    assert sum(len(chunk.data) for chunk in rest) == len(data) - len(first.data)
