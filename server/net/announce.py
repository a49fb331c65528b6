"""Writes the runtime file, by which clients find the server. It describes one server per user."""

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
    """Check that no other server of this user is running, because this one would replace it in the runtime file.

    Raises:
        CannotServe: another server answers.
    """
    other = location.read()
    if other is not None and other.is_elsewhere:
        raise CannotServe(
            f"This machine uses the server at {other.url}. To start one here, first run: layerfusion connect --off"
        )
    if other is not None and _answers(other):
        raise CannotServe(f"A server is running already: {other.url}, process {other.pid}.")


def _answers(other: location.Runtime) -> bool:
    """Whether the server in a runtime file answers. A file with a damaged address or certificate names no server."""
    try:
        parts = urlsplit(other.url)
        encryption = other.tls()
        if encryption is None:
            request = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
        else:
            request = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=2, context=encryption)
        with contextlib.closing(request):
            request.request("GET", "/", headers={"Authorization": f"Bearer {other.token}"})
            return request.getresponse().status == HTTPStatus.OK
    except (OSError, ValueError, http.client.HTTPException):  # ssl.SSLError is an OSError
        return False


def announce(server: Server, config: ServerConfig, token: str, version: str) -> location.Runtime:
    """Write the runtime file for a listening server.

    Raises:
        CannotServe: the file cannot be written.
    """
    host, port = address(server)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - replaced, not bound
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
            f"{location.path()} cannot be written ({error.strerror or error}); without it no client finds the server."
        ) from error
    return runtime
