"""Closing a connection on which messages are still to come."""

from __future__ import annotations

import contextlib
import threading

from websockets.exceptions import ConcurrencyError, ConnectionClosed
from websockets.sync.client import ClientConnection


def close(socket: ClientConnection) -> None:
    """Close a connection in order, whatever was not received from it.

    websockets stops reading while more than `max_queue` messages wait. It would then wait its whole `close_timeout` for
    the server's answer, which lies behind them. They are therefore received and dropped meanwhile.
    """
    reading = threading.Thread(target=_discard, args=(socket,), name="layerfusion-closing", daemon=True)
    reading.start()
    socket.close()
    reading.join()


def _discard(socket: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed, ConcurrencyError):  # the latter if another thread receives already
        while True:
            socket.recv()
