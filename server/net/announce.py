"""Writes the runtime file, by which clients find the server. It describes one server per user."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import logging
import os
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.asyncio.server import Server

from layerfusion.server.config import ServerConfig
from layerfusion.server.errors import CannotServe
from layerfusion.server.net import tls
from layerfusion.server.net.listen import address
from layerfusion.server.protocol import MAJOR, MINOR, location
from layerfusion.server.storage.lock import lock

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the runtime file for this server, so that no other one of this user takes its clients.

    The lock also holds while a server is suspended and does not answer. A server that answers without it is one of an
    earlier version.

    Raises:
        CannotServe: another server is running, or the folder of the runtime file cannot be written.
    """
    path = location.path().with_name(f"{location.path().name}.lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise _unwritable(error) from error
    try:
        other = location.read()
        if other is not None and other.is_elsewhere:
            raise CannotServe(
                f"This machine uses the server at {other.url}. To start one here, first run: layerfusion connect --off"
            )
        try:
            lock(file)
        except OSError:
            raise CannotServe(f"A server is running already{'' if other is None else _named(other)}.") from None
        if other is not None and ask(other) is not None:
            raise CannotServe(f"A server is running already{_named(other)}.")
        yield
    finally:
        os.close(file)


def _named(other: location.Runtime) -> str:
    return f": {other.url}, process {other.pid}"


async def stay_announced(runtime: location.Runtime) -> None:
    """Write the runtime file again whenever it is missing or names a server that has ended."""
    path = location.path()
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            if await asyncio.to_thread(location.read, path) is None:
                await asyncio.to_thread(location.write, runtime, path)
                logger.warning("the runtime file was written again")
        except OSError as error:
            logger.error("the runtime file cannot be written again: %s", error.strerror or error)


def ask(other: location.Runtime) -> str | None:
    """The lines that the server in a runtime file says about itself; None if it does not answer. A file with a damaged
    address or certificate names no server."""
    try:
        parts = urlsplit(other.url)
        encryption = other.tls()
        if encryption is None:
            request = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
        else:
            request = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=2, context=encryption)
        with contextlib.closing(request):
            request.request("GET", "/", headers={"Authorization": f"Bearer {other.token}"})
            answer = request.getresponse()
            return answer.read(65_536).decode("utf-8", "replace") if answer.status == HTTPStatus.OK else None
    except (OSError, ValueError, http.client.HTTPException):  # ssl.SSLError is an OSError
        return None


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
        raise _unwritable(error) from error
    return runtime


def _unwritable(error: OSError) -> CannotServe:
    return CannotServe(
        f"{location.path()} cannot be written ({error.strerror or error}); without it no client finds the server."
    )
