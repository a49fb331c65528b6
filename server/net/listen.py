"""Binds the listening socket and sets the limits of the websocket connections."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from layerfusion.server.config import DEFAULT_PORT, ServerConfig
from layerfusion.server.errors import CannotServe
from layerfusion.server.net import handshakes
from layerfusion.server.net.access import SUBPROTOCOL
from layerfusion.server.protocol.frames import MAX_FRAME

Converse = Callable[[ServerConnection], Awaitable[None]]
Admit = Callable[[ServerConnection, Request], Awaitable[Response | None]]


async def listen(config: ServerConfig, converse: Converse, admit: Admit, tls: ssl.SSLContext | None) -> Server:
    """Bind the port. The server accepts connections after its `start_serving` was called.

    Args:
        config: host and port. Without a port, a free one is used if the default port is taken.
        converse: handles the connection of one client until it ends.
        admit: returns the response to a request before the upgrade, or None to allow the upgrade.
        tls: the TLS context; None means no encryption.

    Raises:
        CannotServe: the port cannot be used.
    """
    port = DEFAULT_PORT if config.port is None else config.port
    try:
        return await _bind(config, port, converse, admit, tls)
    except OSError as error:
        if config.port is not None:
            raise CannotServe(
                f"Port {port} cannot be used ({error.strerror or error}). Choose another one, or 0 for any free port."
            ) from error
        print(f"Port {port} is taken by another program; the server uses a free port instead.", flush=True)
        return await _bind(config, 0, converse, admit, tls)


async def _bind(
    config: ServerConfig, port: int, converse: Converse, admit: Admit, tls: ssl.SSLContext | None
) -> Server:
    # One address, even if "localhost" has two: a port that is free on one may be taken on the other.
    (*_, found), *_ = await asyncio.get_running_loop().getaddrinfo(config.host, port, type=socket.SOCK_STREAM)
    return await serve(
        converse,
        str(found[0]),
        port,
        process_request=admit,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        select_subprotocol=_select,
        compression=None,
        server_header=None,
        open_timeout=handshakes.SECONDS,
        create_connection=handshakes.at_most(5 * config.max_connections),
        logger=handshakes.quiet_logger(),
        ssl=tls,
        ping_interval=20,
        ping_timeout=60,
        close_timeout=5,
        max_size=MAX_FRAME,
        max_queue=4,  # received messages that were not processed yet take up memory
        write_limit=MAX_FRAME,
        start_serving=False,
    )


def _select(_socket: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The name of the protocol for a client that offers it, which browsers insist on. Never a token or a key."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


def address(server: Server) -> tuple[str, int]:
    """Host and port on which a server listens."""
    host, port, *_ = server.sockets[0].getsockname()
    return host, port
