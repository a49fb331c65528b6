"""What strangers can do before the access policy has seen their request: little, for a short time, and not many of them
at once."""

from __future__ import annotations

import asyncio
import logging

from websockets.asyncio.server import ServerConnection

SECONDS = 10.0
"""For the encryption and for the request, each."""


def at_most(sockets: int) -> type[ServerConnection]:
    """The kind of connection of a server that has no more than so many, strangers included. One more is cut off."""

    class Counted(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            if len(self.server.handlers) > sockets:
                self.transport.abort()

    return Counted


def quiet_logger() -> logging.Logger:
    """For the websockets library, which otherwise writes a traceback, with what the stranger sent, for every request
    that is none: whoever can reach the port could fill the disk."""
    logger = logging.getLogger("websockets.server")
    if _is_worth_a_line not in logger.filters:
        logger.addFilter(_is_worth_a_line)
    return logger


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return record.msg != "opening handshake failed"
