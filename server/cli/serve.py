"""`layerfusion serve`: the server for Krita."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from layerfusion.server.cli.environment import keep_offline
from layerfusion.server.cli.token import read_token
from layerfusion.server.worker.process import MEMORY


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped, and return the exit code.

    Raises:
        InvalidRequest: a port or an address that is none, other machines without encryption, a weak token.
        UnreadableFile: the token's file cannot be read, or others can read it too.
    """
    from layerfusion.server.config import ServerConfig
    from layerfusion.server.net.app import serve

    given: dict[str, Any] = {
        "host": arguments.host,
        "port": arguments.port,
        "names": tuple(arguments.name),
        "tls_cert": _path(arguments.tls_cert),
        "tls_key": _path(arguments.tls_key),
        "unencrypted": arguments.unencrypted,
        "token": None if arguments.token_file is None else read_token(Path(arguments.token_file)),
        "origins": tuple(arguments.origin),
    }
    if arguments.folder is not None:
        given["folder"] = Path(arguments.folder)
    if arguments.keep_days is not None:
        given["job_seconds"] = arguments.keep_days * 24 * 3600
    if arguments.keep_gigabytes is not None:
        given["store_bytes"] = int(arguments.keep_gigabytes * 1e9)
    config = ServerConfig(**given)
    keep_offline()  # the worker process inherits it
    os.environ[MEMORY] = arguments.memory  # and this
    return serve(config)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
