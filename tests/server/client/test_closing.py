"""Closing a client's connection."""

import threading

import msgpack
import pytest
from websockets.sync.client import connect
from websockets.sync.server import serve

from layerfusion.server.client.client import Client
from layerfusion.server.protocol.greeting import Welcome
from layerfusion.server.protocol.wire import Wire
from message_examples import LIMITS, MODEL

WELCOME = Welcome(protocol=(1, 0), version="1", instance="a", models=(MODEL,), limits=LIMITS, codecs=("raw",))


@pytest.mark.parametrize("unread", [0, 16, 17, 1000])
def test_a_connection_is_closed_in_order_whatever_was_not_received(unread):
    """websockets alone would end with 1006 after ten seconds, as if the connection had been lost."""
    sent = threading.Event()

    def answer(connection):
        connection.recv()
        connection.send(Wire(msgpack.packb, msgpack.unpackb).encode(WELCOME))
        for _ in range(min(unread, 17)):
            connection.send(b"x")
        sent.set()
        for _ in range(unread - 17):
            connection.send(b"x")
        connection.recv()

    with serve(answer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        socket = connect(f"ws://127.0.0.1:{server.socket.getsockname()[1]}", proxy=None)
        client = Client(socket)
        assert sent.wait(30)
        client.close()
        server.shutdown()
    assert socket.close_code == 1000
