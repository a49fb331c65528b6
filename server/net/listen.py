"""The socket clients connect to: where it is bound, and within which limits connections are made."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from layerfusion.server.config import DEFAULT_PORT, ServerConfig
from layerfusion.server.errors import CannotServe
from layerfusion.server.net import handshakes
from layerfusion.server.protocol.frames import MAX_FRAME

Converse = Callable[[ServerConnection], Awaitable[None]]
Admit = Callable[[ServerConnection, Request], Response | None]


async def listen(config: ServerConfig, converse: Converse, admit: Admit, tls: ssl.SSLContext | None) -> Server:
    """Bind the port. Connections are taken once `start_serving` of the server is called.

    Args:
        config: host and port; where no port is given and the usual one is taken, any free one.
        converse: talks to one client until it has gone.
        admit: looks at a request before the upgrade; None lets it happen.
        tls: how connections are encrypted; None for not at all.

    Raises:
        CannotServe: the port cannot be used.
    """
    port = DEFAULT_PORT if config.port is None else config.port
    try:
        return await _bind(config, port, converse, admit, tls)
    except OSError as error:
        if config.port is not None:
            raise CannotServe(
                f"Port {port} cannot be used ({error.strerror or error}). Choose another, or 0 for any free one."
            ) from error
        print(f"Port {port} is taken by another program; using a free one.", flush=True)
        return await _bind(config, 0, converse, admit, tls)


async def _bind(
    config: ServerConfig, port: int, converse: Converse, admit: Admit, tls: ssl.SSLContext | None
) -> Server:
    # One address, even where "localhost" has two: a free port of one may be taken on the other.
    (*_, found), *_ = await asyncio.get_running_loop().getaddrinfo(config.host, port, type=socket.SOCK_STREAM)
    return await serve(
        converse,
        str(found[0]),
        port,
        process_request=admit,
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
        max_queue=4,  # a client's unread messages are the server's memory
        write_limit=MAX_FRAME,
        start_serving=False,
    )


def address(server: Server) -> tuple[str, int]:
    """Host and port it listens on."""
    host, port, *_ = server.sockets[0].getsockname()
    return host, port
