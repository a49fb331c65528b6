"""The link with a scripted server on loopback, which uses the real protocol."""

import hashlib
import os
import queue
import threading

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from layerfusion.server.protocol import MAJOR, MINOR, location, messages
from layerfusion.server.protocol.frames import CHUNK_BYTES, Chunk, split
from layerfusion.server.protocol.location import Runtime
from layerfusion.server.protocol.wire import Wire

SECONDS = 20
WIRE = Wire(msgpack.packb, msgpack.unpackb)
JOB = "01234567-89ab-cdef-0123-456789abcdef"
LIMITS = dict.fromkeys(("chunk_bytes", "layer_bytes", "min_side", "max_side", "prompt_characters", "foregrounds"), 1)
WELCOME = messages.Welcome(
    protocol=(1, 0),
    version="0.1.0",
    instance="one",
    models=(),
    limits=messages.Limits(**LIMITS, frame_bytes=1, max_aspect=1.0, steps=1, waiting_jobs=1),
    codecs=("raw",),
)


class Scripted:
    """A server that passes its connections to `script`, one after the other."""

    def __init__(self, script):
        self.requests, self.wrong = [], []
        self._script = script
        self._server = serve(self._handle, "127.0.0.1", 0, compression=None, close_timeout=0.2)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self):
        self._thread.start()
        location.write(Runtime(url=self.url, token="secret", pid=os.getpid(), version="0.1.0", protocol="1.0"))
        return self

    def __exit__(self, *_):
        location.path().unlink(missing_ok=True)
        self._server.shutdown()
        self._thread.join()
        assert not self.wrong, self.wrong

    def _handle(self, connection):
        self.requests.append(connection.request)
        try:
            self._script(Peer(connection))
        except ConnectionClosed:
            pass
        except Exception as error:
            self.wrong.append(error)


class Peer:
    """The server's side of a connection."""

    def __init__(self, connection):
        self.connection = connection

    def get(self, kind):
        item = WIRE.decode(self.connection.recv(timeout=SECONDS))
        assert isinstance(item, kind), item
        return item

    def put(self, *items):
        for item in items:
            self.connection.send(WIRE.encode(item))

    def greet(self):
        hello = self.get(messages.Hello)
        self.put(WELCOME)
        return hello


@pytest.fixture
def events():
    return queue.Queue()


@pytest.fixture
def link(plugin, events, monkeypatch, tmp_path):
    """A running link without a server."""
    from krita_layerfusion.server_link import Offline, ServerLink

    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    monkeypatch.setattr("krita_layerfusion.server_link.RETRY_SECONDS", 0.05)
    running = ServerLink(events.put)
    running.start()
    assert events.get(timeout=SECONDS) == Offline(resumable=False)
    yield running
    running.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "layerfusion-link"]


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


def online(events):
    event = events.get(timeout=SECONDS)
    assert type(event).__name__ == "Online", event
    return event


def submit():
    from krita_layerfusion.protocol.messages import Generated, Submit

    return Submit(
        job=JOB,
        width=64,
        height=64,
        background=Generated(prompt="b"),
        foregrounds=(Generated(prompt="a"),),
        model="tiny",
    )


def same(message, other):
    """Compare types and maps, because the messages of the plugin's copy of the protocol have other classes."""
    return message.type == other.type and message.to_map() == other.to_map()


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


def test_a_kept_picture_is_uploaded_before_its_job(link, events, plugin):
    from krita_layerfusion.images import Picture

    data = os.urandom(4 * 100_000)
    got = queue.Queue()

    def script(peer):
        peer.greet()
        upload = peer.get(messages.Upload)
        assert (upload.bytes, upload.layer) == (len(data), hashlib.sha256(data).hexdigest())
        peer.put(messages.UploadReady(transfer=upload.transfer))
        received = b""
        while len(received) < len(data):
            chunk = peer.get(Chunk)
            assert chunk.transfer == upload.transfer
            received += chunk.data
        assert received == data
        peer.put(messages.Uploaded(transfer=upload.transfer))
        got.put(peer.get(messages.Submit))

    with Scripted(script):
        online(events)
        link.submit(submit(), (Picture(0, 0, 100_000, 1, data),))
        assert same(got.get(timeout=SECONDS), submit())


def test_two_kept_pictures_are_uploaded_one_after_the_other(link, events, plugin):
    from krita_layerfusion.images import Picture

    first, second = b"one!", b"two!" * 2
    got = queue.Queue()

    def script(peer):
        peer.greet()
        for data in (first, second):
            upload = peer.get(messages.Upload)
            assert upload.layer == hashlib.sha256(data).hexdigest()
            peer.put(messages.UploadReady(transfer=upload.transfer))
            assert peer.get(Chunk).data == data
            peer.put(messages.Uploaded(transfer=upload.transfer))
        got.put(peer.get(messages.Submit))

    with Scripted(script):
        online(events)
        link.submit(submit(), (Picture(0, 0, 1, 1, first), Picture(0, 0, 2, 1, second)))
        assert same(got.get(timeout=SECONDS), submit())


def test_a_picture_the_server_has_already_is_not_sent_again(link, events, plugin):
    from krita_layerfusion.images import Picture

    got = queue.Queue()

    def script(peer):
        peer.greet()
        peer.put(messages.Uploaded(transfer=peer.get(messages.Upload).transfer))
        got.put(peer.get(messages.Submit))

    with Scripted(script):
        online(events)
        link.submit(submit(), (Picture(0, 0, 1, 1, b"bgra"),))
        assert got.get(timeout=SECONDS).job == JOB


def test_a_job_that_is_cancelled_during_its_upload_is_not_submitted(link, events, plugin):
    from dataclasses import replace

    from krita_layerfusion.images import Picture
    from krita_layerfusion.protocol.messages import Cancel, Variant

    other, third = JOB[:-1] + "0", JOB[:-1] + "1"
    got = queue.Queue()

    def script(peer):
        peer.greet()
        first = peer.get(messages.Upload).transfer
        second = peer.get(messages.Upload).transfer
        assert [peer.get(messages.Cancel).job for _ in range(2)] == [JOB, other]
        peer.put(messages.Uploaded(transfer=first), messages.Uploaded(transfer=second))
        got.put(peer.get(messages.Submit).job)
        got.put(peer.get(messages.Cancel).job)

    with Scripted(script):
        online(events)
        link.submit(submit(), (Picture(0, 0, 1, 1, b"bgra"),))
        link.submit(
            replace(submit(), job=third, variants=(Variant(job=other, seed=1),)), (Picture(0, 0, 1, 1, b"BGRA"),)
        )
        link.send(Cancel(job=JOB))
        link.send(Cancel(job=other))
        assert [got.get(timeout=SECONDS) for _ in range(2)] == [third, other], "only what was not cancelled"


def test_a_refused_upload_is_the_failure_of_its_job(link, events, plugin):
    from krita_layerfusion.images import Picture

    def script(peer):
        peer.greet()
        transfer = peer.get(messages.Upload).transfer
        peer.put(messages.UploadRefused(transfer=transfer, code="too_large", message="Too large.", hint="Crop it."))
        peer.connection.recv(timeout=SECONDS)

    with Scripted(script):
        online(events)
        link.submit(submit(), (Picture(0, 0, 1, 1, b"bgra"),))
        failed = events.get(timeout=SECONDS)
        assert same(failed, messages.Failed(job=JOB, seq=0, code="too_large", message="Too large.", hint="Crop it."))


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
        ended = threading.Event()
        threading.Thread(target=lambda: (link.stop(), ended.set())).start()
        assert ended.wait(3)
        assert events.empty(), "nobody is left to be told"


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
