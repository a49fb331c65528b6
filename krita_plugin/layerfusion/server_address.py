"""Which server the plugin uses: that of this computer, or one whose address and token the artist has entered.

The choice is in the runtime file, so that it is the same for Krita and for LayerFusion's commands.
"""

from __future__ import annotations

import socket
import ssl
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .bundled import InvalidStatus, WebSocketException
from .handshake import connection, greet
from .protocol import MAJOR, MINOR, location
from .protocol.errors import InvalidMessage, ProtocolError
from .translation import tr

_HERE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Answer:
    """What came of an attempt to connect.

    Attributes:
        good: whether the server can be used.
        words: what is right or wrong, as a sentence.
        remedy: what to do or to know, as a sentence; may be empty.
    """

    good: bool
    words: str
    remedy: str = ""


class Unusable(Exception):
    """What was entered cannot be used; `answer` says why."""

    def __init__(self, words: str, remedy: str) -> None:
        super().__init__(words)
        self.answer = Answer(False, words, remedy)


def entered(address: str, token: str, certificate: str) -> location.Runtime:
    """The server that the artist has entered.

    Args:
        address: such as `wss://studio.example:8737/`.
        token: the token that its owner gave out.
        certificate: path of the server's own certificate in PEM; empty if the system trusts it, or for `ws`.

    Raises:
        Unusable: it is no address, or the token is missing, or the certificate cannot be read.
    """
    try:
        parts = urlsplit(address.strip())
        usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an address that is none
        usable = False
    if not usable:
        raise Unusable(
            tr("“{address}” is not the address of a server.", address=address),
            tr("Write wss://HOST:PORT/, or ws://HOST:PORT/ for a server on this computer or through a tunnel."),
        )
    if not token.strip():
        raise Unusable(tr("The token is missing."), tr("Ask the owner of the server for one."))
    try:
        text = Path(certificate).read_text("ascii") if certificate else ""
        runtime = location.Runtime(
            url=address.strip(),
            token=token.strip(),
            pid=location.ELSEWHERE,
            version="unknown",
            protocol=f"{MAJOR}.{MINOR}",
            certificate=text,
        )
        runtime.tls()
    except (OSError, ValueError, InvalidMessage) as error:  # ssl.SSLError is an OSError
        raise Unusable(
            tr("The certificate “{path}” cannot be used ({reason}).", path=certificate, reason=error),
            tr("Choose the server's own certificate, a PEM file, or none."),
        ) from error
    return runtime


def tried(runtime: location.Runtime | None) -> Answer:
    """Connect once, and say in words what is right or wrong. It takes up to 10 seconds.

    Args:
        runtime: the server; None if none runs on this computer.
    """
    if runtime is None:
        return Answer(False, tr("No server is running on this computer."), tr("Press Start server."))
    try:
        with connection(runtime) as opened:
            welcome = greet(opened, str(uuid.uuid4()))
    except ProtocolError as error:
        return Answer(False, error.message, error.hint)
    except (OSError, WebSocketException) as error:
        return _failure(runtime, error)
    if welcome.problem:
        return Answer(False, tr("The server answers, but it cannot draw now: {reason}", reason=welcome.problem))
    models = ", ".join(model.title for model in welcome.models)
    words = tr("Connected to LayerFusion {version}. Models: {models}", version=welcome.version, models=models)
    if not runtime.url.startswith("wss:") and urlsplit(runtime.url).hostname not in _HERE:
        return Answer(True, words, tr("The connection is not encrypted: others in the network can read along."))
    return Answer(True, words)


def use(runtime: location.Runtime | None) -> None:
    """Use a server on another computer from now on, or with None that of this one.

    Raises:
        Unusable: a server is running on this computer.
        OSError: the runtime file cannot be written.
    """
    before = location.read()
    if before is not None and not before.is_elsewhere:
        if runtime is None:
            return
        raise Unusable(
            tr("A server is running on this computer."),
            tr("Stop it first, with Ctrl-C in its terminal or by restarting the computer."),
        )
    if runtime is not None:
        location.write(runtime)
    elif before is not None:
        location.remove(before)


def _failure(runtime: location.Runtime, error: Exception) -> Answer:
    host = urlsplit(runtime.url).hostname or ""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        if status == 401:
            return Answer(
                False,
                tr("The server does not know this token."),
                tr("Ask its owner for a token, and paste all of it."),
            )
        said = (error.response.body or b"").decode("utf-8", "replace").strip()[:300]
        return Answer(False, tr("The server refused the connection ({status}).", status=f"{status} {said}".strip()))
    if isinstance(error, ssl.SSLCertVerificationError):
        return Answer(
            False,
            tr("The certificate of “{host}” is not trusted ({reason}).", host=host, reason=error.verify_message),
            tr("Choose the server's own certificate, which its owner can give you."),
        )
    if isinstance(error, socket.gaierror):
        return Answer(False, tr("There is no computer named “{host}”.", host=host), tr("Check the address."))
    if isinstance(error, ConnectionRefusedError):
        return Answer(
            False,
            tr("No server answers at {address}.", address=runtime.url),
            tr("Start the server there, and check the port."),
        )
    if isinstance(error, TimeoutError):
        return Answer(
            False,
            tr("{address} does not answer.", address=runtime.url),
            tr("Check the address, and whether a firewall lets it through."),
        )
    if isinstance(error, (WebSocketException, ssl.SSLError)):
        return Answer(
            False,
            tr("What answers at {address} is no LayerFusion server ({reason}).", address=runtime.url, reason=error),
            tr("Check the port, and whether the address begins with ws or wss."),
        )
    return Answer(
        False,
        tr("There is no connection to {address} ({reason}).", address=runtime.url, reason=error),
        tr("Check the address and the network."),
    )
