"""A scripted server on loopback for the plugin's link; it uses the real protocol."""

import os
import threading

import msgpack
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from layerfusion.server.protocol import location, messages
from layerfusion.server.protocol.location import Runtime
from layerfusion.server.protocol.wire import Wire

SECONDS = 100
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
