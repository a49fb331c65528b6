"""`layerfusion generate --server`: the same picture, drawn by a server on this machine or another."""

from __future__ import annotations

import argparse
import contextlib
import os
import ssl
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.events import Event
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.stack import LayerStack
from layerfusion.server.cli.console import CommandError, UsageError, say
from layerfusion.server.cli.token_file import read_token
from layerfusion.server.client.client import Client
from layerfusion.server.client.remote_pipeline import Stopped, draw
from layerfusion.server.config import LOOPBACK
from layerfusion.server.net.tls import certificate
from layerfusion.server.protocol.errors import ProtocolError

TOKEN_VARIABLE = "LAYERFUSION_TOKEN"  # noqa: S105 - the name of a variable
_WRONG_REQUEST = {"invalid_request", "invalid_layer", "invalid_message", "unknown_model", "too_large"}


def add_options(group: Any) -> None:
    """Declare `--server` and what it needs."""
    server = "have a server draw it: ws://HOST:PORT/, wss://HOST:PORT/, or local for the one on this machine"
    group.add_argument("--server", metavar="URL", help=server)
    group.add_argument(
        "--token-file", metavar="FILE", help=f"that server's token (default: the variable {TOKEN_VARIABLE})"
    )
    group.add_argument(
        "--tls-ca", metavar="FILE", help="its certificate in PEM, if the system does not trust it by itself"
    )


def check(arguments: argparse.Namespace) -> None:
    """
    Raises:
        UsageError: something is asked for that does not come over the wire.
    """
    if arguments.masks or arguments.inspect is not None:
        option = "--masks" if arguments.masks else "--inspect"
        raise UsageError(f"{option} looks into the network and does not come over the wire; leave out --server.")


class Remote:
    """A server that draws.

    Args:
        arguments: of the command line.

    Raises:
        UsageError: no server's address, or no token.
        UnreadableFile: the token or the certificate cannot be read.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._name = arguments.server
        self._connect = _connection(arguments)

    def first_model(self) -> str:
        """The model the server offers first, whatever this machine has.

        Raises:
            CommandError: no connection.
        """
        with self._errors(), self._connect() as client:
            return client.welcome.models[0].name

    def draw(
        self, request: GenerationRequest, seeds: Sequence[int], watch: Callable[[Iterable[Event]], LayerStack]
    ) -> Generator[LayerStack, None, None]:
        """Have one picture a seed drawn. All are queued at once, or none.

        Args:
            request: what is asked for.
            seeds: one a picture.
            watch: shows progress until a stack is finished.

        Raises:
            UsageError: a request the server does not take.
            CommandError: no connection, or the server failed.
        """
        with self._errors(), contextlib.closing(draw(self._connect, request, seeds)) as events:
            for _ in seeds:
                yield watch(events)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """What goes wrong between here and the server, in the command line's words."""
        try:
            yield
        except ProtocolError as error:
            kind = UsageError if error.code in _WRONG_REQUEST else CommandError
            raise kind(str(error)) from error
        except Stopped as stopped:
            raise CommandError(str(stopped)) from stopped
        except InvalidStatus as error:
            raise CommandError(f"{self._name} refused the connection: {reason(error)}") from error
        except (OSError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
            raise CommandError(f"No connection to {self._name}: {error}") from error


def _connection(arguments: argparse.Namespace) -> Callable[[], Client]:
    """How to reach the server: by the runtime file, or by what the command line says."""
    if arguments.server == "local":
        return lambda: Client.connect(timeout=None)
    scheme, host = split_url(arguments.server)
    tls = _trust(arguments.tls_ca) if scheme == "wss" else None
    check_encrypted(scheme, host)
    token = token_of(arguments.token_file)
    return lambda: Client.open(arguments.server, token, tls, timeout=None)


def check_encrypted(scheme: str, host: str) -> None:
    """Warn if others can read along."""
    if scheme != "wss" and host not in LOOPBACK:
        say(f"The connection to {host} is not encrypted: the network can read along.", sys.stderr)


def split_url(url: str) -> tuple[str, str]:
    """Scheme and host of a server's address.

    Raises:
        UsageError: it is none.
    """
    with contextlib.suppress(ValueError):  # a port or an address that is none
        parts = urlsplit(url)
        if parts.scheme in ("ws", "wss") and parts.hostname and parts.port != 0:
            return parts.scheme, parts.hostname
    raise UsageError(f"“{url}” is no server; write ws://HOST:PORT/, wss://HOST:PORT/ or local.")


def token_of(file: str | None) -> str:
    """The token in a file, or else in the environment.

    Raises:
        UsageError: there is none.
        UnreadableFile: the file cannot be read, or others can read it.
    """
    token = os.environ.get(TOKEN_VARIABLE, "") if file is None else read_token(Path(file))
    if not token:
        raise UsageError(f"The server wants its token: give --token-file, or set {TOKEN_VARIABLE}.")
    return token


def read_certificate(path: Path) -> str:
    """The server's own certificate, the first in a PEM file.

    Raises:
        UnreadableFile: it cannot be read, or has none.
    """
    _trust(str(path))
    return certificate(path)


def _trust(file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if file is not None:
        try:
            context.load_verify_locations(file)
        except OSError as error:  # ssl.SSLError is one
            raise UnreadableFile(
                f"The certificate “{file}” cannot be read ({error.strerror or error}).", "Give a PEM file."
            ) from error
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the server's own, which nobody else has signed
    return context


def reason(error: InvalidStatus) -> str:
    body = (error.response.body or b"").decode("utf-8", "replace").strip()
    return f"{error.response.status_code} {body}"[:300]
