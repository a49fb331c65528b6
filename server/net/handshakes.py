"""Limits for connections before the access policy has checked their request: their number, their time, their logs."""

from __future__ import annotations

import asyncio
import logging

from websockets.asyncio.server import ServerConnection

SECONDS = 10.0
"""Time limit in seconds for the TLS handshake, and again for the HTTP request."""


def at_most(sockets: int) -> type[ServerConnection]:
    """A connection class for a server with at most `sockets` connections, including those that are not yet checked.
    Further connections are aborted."""

    class Counted(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            if len(self.server.handlers) > sockets:
                self.transport.abort()

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
