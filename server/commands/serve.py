"""`layerfusion serve`: the server for Krita."""

from __future__ import annotations

import argparse
from pathlib import Path

from server.libraries import keep_offline


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped, and return the exit code.

    Raises:
        InvalidRequest: a port that is none.
    """
    from server.app import serve
    from server.config import ServerConfig

    given = {"port": arguments.port, "origins": tuple(arguments.origin)}
    if arguments.folder is not None:
        given["folder"] = Path(arguments.folder)
    config = ServerConfig(**given)
    keep_offline()  # the worker process inherits it
    return serve(config)
