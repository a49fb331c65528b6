"""A bare websocket to a running server, for what no decent client says."""

import contextlib

import msgpack
from websockets.exceptions import ConnectionClosed

from layerfusion.server.protocol.messages import Hello
from layerfusion.server.protocol.wire import Wire
from running import SECONDS
from samples import submit

WIRE = Wire(msgpack.packb, msgpack.unpackb)
HELLO = Hello(protocol=(1, 0), client="test", version="1")


@contextlib.contextmanager
def greeted(server):
    """A websocket whose greeting is over."""
    with server.socket() as raw:
        raw.send(WIRE.encode(HELLO))
        raw.recv(SECONDS)
        yield raw


def exchange(raw, *frames):
    """Send frames and return everything until the server closes: the messages and the close code."""
    received = []
    with contextlib.suppress(ConnectionClosed):  # it may close before the last frame; what it said is still to be read
        for frame in frames:
            raw.send(frame)
    try:
        while True:
            received.append(WIRE.decode(raw.recv(SECONDS)))
    except ConnectionClosed as closed:
        return received, closed.rcvd.code


def refusal(raw, *frames):
    """Send frames; the code in the server's last word, None if it says none, and the close code."""
    received, close = exchange(raw, *frames)
    return getattr(received[-1], "code", None) if received else None, close


def raw_submit(**values):
    """What no client of ours would let itself say."""
    return msgpack.packb({**submit().to_map(), **values})
