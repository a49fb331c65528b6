"""`layerfusion connect`: have Krita and the other commands use a server on another machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.cli.console import CommandError, UsageError, say
from layerfusion.server.cli.remote import check_encrypted, read_certificate, reason, split_url, token_of
from layerfusion.server.client.client import Client
from layerfusion.server.protocol import MAJOR, MINOR, location
from layerfusion.server.protocol.errors import ProtocolError


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `connect`."""
    parser.description = (
        "Have Krita and the other commands of this machine use a server on another one, whose owner has given you a "
        "token. No server can be started here meanwhile."
    )
    parser.set_defaults(run=run)
    parser.add_argument("url", metavar="URL", nargs="?", help="wss://HOST:PORT/, or ws://HOST:PORT/ through a tunnel")
    parser.add_argument("--token-file", metavar="FILE", help="your token (default: the variable LAYERFUSION_TOKEN)")
    parser.add_argument("--tls-ca", metavar="FILE", help="the server's own certificate in PEM, if it is self-signed")
    parser.add_argument("--off", action="store_true", help="use a server of this machine again")


def run(arguments: argparse.Namespace) -> None:
    """Connect once, and remember the server.

    Raises:
        UsageError: no server's address, or no token.
        UnreadableFile: the token or the certificate cannot be read.
        UnwritableFile: the runtime file cannot be written.
        CommandError: no connection, or a server is running on this machine.
    """
    before = location.read()
    if before is not None and not before.is_elsewhere:
        raise CommandError(f"A server is running on this machine (process {before.pid}). Stop it first.")
    if arguments.off:
        if before is not None:
            location.remove(before)
        say("Krita and the other commands use a server of this machine.")
        return
    if arguments.url is None:
        raise UsageError("Name the server: layerfusion connect wss://HOST:PORT/ --token-file FILE")
    _connect(arguments)


def _connect(arguments: argparse.Namespace) -> None:
    scheme, host = split_url(arguments.url)
    check_encrypted(scheme, host)
    runtime = location.Runtime(
        url=arguments.url,
        token=token_of(arguments.token_file),
        pid=location.ELSEWHERE,
        version="unknown",
        protocol=f"{MAJOR}.{MINOR}",
        certificate="" if arguments.tls_ca is None else read_certificate(Path(arguments.tls_ca)),
    )
    try:
        with Client.connect(runtime) as client:
            user, models = client.welcome.user, [model.name for model in client.welcome.models]
    except InvalidStatus as error:
        raise CommandError(f"{arguments.url} refused the connection: {reason(error)}") from error
    except ProtocolError as error:
        raise CommandError(str(error)) from error
    except (OSError, InvalidHandshake, InvalidURI) as error:
        raise CommandError(f"No connection to {arguments.url}: {error}") from error
    try:
        location.write(runtime)
    except OSError as error:
        raise UnwritableFile(f"{location.path()} cannot be written ({error.strerror or error}).") from error
    say(f"Krita and the other commands use {arguments.url} as {user or 'its owner'}, with {', '.join(models)}.")
