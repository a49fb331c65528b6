"""How clients find the server: the runtime file, which holds one server at a time."""

from __future__ import annotations

import contextlib
import http.client
import os
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.asyncio.server import Server

from layerfusion.server.config import ServerConfig
from layerfusion.server.errors import CannotServe
from layerfusion.server.net import tls
from layerfusion.server.net.listen import address
from layerfusion.server.protocol import MAJOR, MINOR, location


def check_alone() -> None:
    """Look whether another server of this user answers. It would lose its place in the runtime file, and its clients.

    Raises:
        CannotServe: it does.
    """
    other = location.read()
    if other is None:
        return
    parts = urlsplit(other.url)
    encryption = other.tls()
    if encryption is None:
        request = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
    else:
        request = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=2, context=encryption)
    with contextlib.closing(request), contextlib.suppress(OSError, http.client.HTTPException):
        request.request("GET", "/", headers={"Authorization": f"Bearer {other.token}"})
        if request.getresponse().status == HTTPStatus.OK:
            raise CannotServe(f"A server is running already: {other.url}, process {other.pid}.")


def announce(server: Server, config: ServerConfig, token: str, version: str) -> location.Runtime:
    """Tell clients, by the runtime file, where the server is.

    Raises:
        CannotServe: the file cannot be written.
    """
    host, port = address(server)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound to, replaced
    scheme = "ws" if config.tls_cert is None else "wss"
    runtime = location.Runtime(
        url=f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/",
        token=token,
        pid=os.getpid(),
        version=version,
        protocol=f"{MAJOR}.{MINOR}",
        certificate="" if config.tls_cert is None else tls.certificate(config.tls_cert),
    )
    try:
        location.write(runtime)
    except OSError as error:
        raise CannotServe(
            f"{location.path()} cannot be written ({error.strerror or error}), so no client would find the server."
        ) from error
    return runtime
