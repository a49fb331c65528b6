"""`layerfusion serve`: the server for Krita."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from layerfusion.engine.errors import InvalidRequest
from layerfusion.server.cli.environment import add_memory, prepare_libraries
from layerfusion.server.cli.token_file import read_token
from layerfusion.server.cli.values import number, whole
from layerfusion.server.config import MAX_WORKERS
from layerfusion.server.logs import LEVELS


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `serve`."""
    parser.description = (
        "Run the server for Krita and other programs until Ctrl-C. Only programs of this user on this "
        "machine can connect, unless --host says otherwise; see SECURITY.md."
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    port = "port it listens on; 0 takes any free one (default: 8737, or any free one if that is taken)"
    add("--port", metavar="N", type=whole(0, 65_535), help=port)
    add("--folder", metavar="DIR", help="where jobs and layers are kept (default: with the user's data)")
    days = "forget jobs that are older, in days (default: 30; jobs nobody fetched stay for a week at least)"
    add("--keep-days", metavar="N", type=number(0, 1e6), help=days)
    gigabytes = "forget the oldest jobs beyond so many gigabytes (default: 17)"
    add("--keep-gigabytes", metavar="X", type=number(0, 1e6), help=gigabytes)
    add("--origin", metavar="URL", action="append", default=[], help="a web page that may connect; may be repeated")
    add_memory(parser)
    cards = "devices that draw, a process for each, such as cuda:0,cuda:1,cpu (default: the best one of this machine)"
    add("--devices", metavar="LIST", help=cards)
    add("--workers", metavar="N", type=whole(1, MAX_WORKERS), help="processes that draw (default: one for each device)")
    ray = "ray draws in a Ray cluster, of this machine or of several (default: process)"
    add("--executor", choices=("process", "ray"), default="process", help=ray)
    add("--address", metavar="HOST:PORT", help="the Ray cluster's head (default: a cluster of this machine alone)")
    add("--host", metavar="ADDR", default="127.0.0.1", help="address to listen on (default: this machine only)")
    add("--name", metavar="HOST", action="append", default=[], help="a host name clients use; may be repeated")
    add("--tls-cert", metavar="FILE", help="certificate chain in PEM; it encrypts the connection")
    add("--tls-key", metavar="FILE", help="its private key in PEM, without a password")
    add("--token-file", metavar="FILE", help="the token that clients must show (default: a fresh one at every start)")
    add("--connections", metavar="N", type=whole(1, 10_000), help="most connections at the same time (default: 16)")
    add("--log", metavar="FILE", help="write the log to a file, and keep five older ones of 10 MB")
    add("--log-level", choices=LEVELS, default="warning", help="what is logged (default: warning and worse)")
    add(
        "--i-know-that-others-can-read-everything",
        dest="unencrypted",
        action="store_true",
        help="let other machines connect without encryption",
    )


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
        "memory": arguments.memory,
        "log": _path(arguments.log),
        "log_level": arguments.log_level,
    }
    if arguments.executor == "ray":
        if arguments.devices is not None:
            raise InvalidRequest(
                "Ray chooses the devices itself.", "Leave --devices out; --workers N says how many draw."
            )
        given |= {"executor": "ray", "ray_address": arguments.address, "workers": arguments.workers}
    elif arguments.address is not None:
        raise InvalidRequest("--address is the address of a Ray cluster.", "Add --executor ray.")
    else:
        given["devices"] = _devices(arguments.devices, arguments.workers)
    if arguments.connections is not None:
        given["max_connections"] = arguments.connections
    if arguments.folder is not None:
        given["folder"] = Path(arguments.folder)
    if arguments.keep_days is not None:
        given["job_seconds"] = arguments.keep_days * 24 * 3600
    if arguments.keep_gigabytes is not None:
        given["store_bytes"] = int(arguments.keep_gigabytes * 1e9)
    config = ServerConfig(**given)
    prepare_libraries()  # the worker process inherits it
    return serve(config)


def _devices(names: str | None, workers: int | None) -> tuple[str | None, ...]:
    """The device of each worker; the devices take turns where there are more workers."""
    devices: list[str | None] = [None] if names is None else [name.strip() for name in names.split(",")]
    number = len(devices) if workers is None else workers
    if number < len(devices):
        raise InvalidRequest(
            f"{len(devices)} devices cannot draw with {number} workers.", "Name fewer devices, or leave --workers out."
        )
    return tuple(devices[index % len(devices)] for index in range(number))


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
