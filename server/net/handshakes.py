"""Limits for connections before the access policy has checked their request: their number, their time, their logs."""

from __future__ import annotations

import asyncio
import logging

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

SECONDS = 10.0
"""Time limit in seconds for the TLS handshake, and again for the HTTP request."""


def at_most(sockets: int) -> type[ServerConnection]:
    """A connection class for a server with at most `sockets` connections, including those that are not yet checked.

    For a further one, the oldest that is still in its handshake is aborted: strangers who open sockets and say nothing
    must not keep out a client, which says at once what it wants. Only if all are past their handshake, it is aborted.
    """

    class Counted(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            open_ones = [other for other in self.server.handlers if not other.transport.is_closing()]
            if len(open_ones) > sockets:
                waiting = (other for other in open_ones if other.state is State.CONNECTING)
                next(waiting, self).transport.abort()

    return Counted


def quiet_logger() -> logging.Logger:
    """The logger of the websockets library without its tracebacks for invalid requests. They contain what the client
    sent, so that anyone who can reach the port could fill the disk with them."""
    logger = logging.getLogger("websockets.server")
    if _is_worth_a_line not in logger.filters:
        logger.addFilter(_is_worth_a_line)
    return logger


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return record.msg != "opening handshake failed"
