"""A bare websocket to a running server, for messages that our client does not send."""

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
    """A websocket after the greeting."""
    with server.socket() as raw:
        raw.send(WIRE.encode(HELLO))
        raw.recv(SECONDS)
        yield raw


def exchange(raw, *frames):
    """Send frames and receive until the server closes. Return the messages and the close code."""
    received = []
    with contextlib.suppress(ConnectionClosed):  # it may close before the last frame; its messages are read below
        for frame in frames:
            raw.send(frame)
    try:
        while True:
            received.append(WIRE.decode(raw.recv(SECONDS)))
    except ConnectionClosed as closed:
        return received, closed.rcvd.code


def refusal(raw, *frames):
    """Send frames. Return the `code` of the server's last message, None if it has none, and the close code."""
    received, close = exchange(raw, *frames)
    return getattr(received[-1], "code", None) if received else None, close


def raw_submit(**values):
    """A `submit` message whose fields are not validated."""
    return msgpack.packb({**submit().to_map(), **values})
