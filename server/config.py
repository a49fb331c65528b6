"""The settings of a server."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import platformdirs

from layerfusion.engine.errors import InvalidRequest

NO_PROMPTS_VARIABLE = "LAYERFUSION_NO_PROMPTS"
"""Environment variable: if it is set to anything, exported files hold no prompts and no seeds."""

DEFAULT_PORT = 8737
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MAX_WORKERS = 64
TOKEN_CHARACTERS = 32
"""Shortest token that a user may choose: 32 random letters and digits have more than 128 bits of entropy."""


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s*]+")
"""Without “null”, which any page can have, in a sandboxed frame."""


def default_folder() -> Path:
    """The default folder of the jobs. It is among the user's data, because any program may empty a cache folder."""
    return platformdirs.user_data_path("layerfusion", appauthor=False) / "jobs"


def database(folder: Path) -> Path:
    """The path of the database in a server's folder."""
    return folder / "jobs.sqlite"


def layers(folder: Path) -> Path:
    """The path of the layer store in a server's folder."""
    return folder / "layers"


def users(folder: Path) -> Path:
    """The path of the file of the users in a server's folder."""
    return folder / "users.json"


def browsers(folder: Path) -> Path:
    """The path of the file of the signed-in browsers in a server's folder."""
    return folder / "browsers.json"


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """The validated settings of one server.

    Attributes:
        host: the address to listen on: "localhost" or an IP address. An address that other machines can reach needs
            `tls_cert` or `unencrypted`.
        port: 1-65535; 0 is any free port; None is `DEFAULT_PORT`, or any free port if that is taken.
        names: host names by which clients reach the server, besides its address and "localhost".
        tls_cert: PEM file with the certificate chain, the server's own certificate first. If set, the server uses TLS.
        tls_key: PEM file with the private key; None if `tls_cert` contains the key.
        unencrypted: allows other machines to connect without TLS, so that the network can read the token, the prompts
            and the pictures.
        token: the token that clients must send; None makes a new one at every start.
        folder: the folder of the jobs and layers.
        origins: values of the `Origin` header of web pages that may connect; empty by default.
        max_connections: most open websockets. Four times as many further sockets may be in their handshake.
        waiting_jobs: most waiting jobs of one client.
        all_waiting_jobs: most waiting jobs of all clients together.
        layer_bytes: largest upload of a layer, in bytes.
        file_bytes: largest upload of a file to be read, in bytes.
        upload_bytes: most bytes that one IP address may upload per hour.
        message_rate: most messages per second on one connection, on average.
        message_burst: most messages at once on one connection.
        job_seconds: a job is deleted this long after its end, if it was fetched or a week has passed.
        store_bytes: limit of all layers together, in bytes. From nine tenths on, the oldest jobs are deleted if
            allowed; while the store is full, no job is accepted.
        free_bytes: bytes of the disk that are left free. Like a full store, a disk with less room accepts no job.
        upload_seconds: an uploaded layer is deleted this long after the last job or connection that needs it.
        log: file of the log, in place of the error stream.
        log_level: "debug", "info", "warning" or "error".
        drain_seconds: when the server is stopped, the running job may take this long to finish.
        cancel_seconds: a cancelled job may take this long to stop; then the worker process is killed.
        silence_seconds: if a job makes no progress for this long, the worker process is killed.
        devices: torch's names of the devices that draw, one worker process for each entry; None is the best device of
            the machine. A device may be named several times.
        memory: name of the memory policy of the workers, or "auto".
        executor: "process" draws in worker processes of this machine, "ray" in actors of a Ray cluster.
        ray_address: address of the cluster; None starts one on this machine.
        workers: number of actors; None is one for each card of the cluster, or one.

    Raises:
        InvalidRequest: other machines could connect without encryption, the host is not an address, the port is out of
            range, the token is too weak, or a device has no name that torch knows.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    names: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    unencrypted: bool = False
    token: str | None = field(default=None, repr=False)
    folder: Path = field(default_factory=default_folder)
    origins: tuple[str, ...] = ()
    max_connections: int = 16
    waiting_jobs: int = 32
    all_waiting_jobs: int = 1024
    layer_bytes: int = 4 * 4096 * 4096
    file_bytes: int = 2**29
    upload_bytes: int = 4 * 1024**3
    message_rate: float = 100
    message_burst: int = 1000
    job_seconds: float = 30 * 24 * 3600
    store_bytes: int = 16 * 1024**3
    free_bytes: int = 128 * 1024**2
    upload_seconds: float = 600
    log: Path | None = None
    log_level: str = "warning"
    drain_seconds: float = 3
    cancel_seconds: float = 30
    silence_seconds: float = 900
    devices: tuple[str | None, ...] = (None,)
    memory: str = "auto"
    executor: Literal["process", "ray"] = "process"
    ray_address: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if not self._is_loopback() and self.tls_cert is None and not self.unencrypted:
            raise InvalidRequest(
                f"The address {self.host} can be reached from other machines, and the connection is not encrypted.",
                f"Use a tunnel (“ssh -L {DEFAULT_PORT}:127.0.0.1:{DEFAULT_PORT} HOST” from there), or --tls-cert and "
                "--tls-key.",
            )
        if self.tls_key is not None and self.tls_cert is None:
            raise InvalidRequest("There is a --tls-key but no certificate.", "Give the certificate with --tls-cert.")
        if self.port is not None and not 0 <= self.port <= 65_535:
            raise InvalidRequest(
                f"The port {self.port} does not exist.", "Choose one from 1 to 65535, or 0 for any free port."
            )
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise InvalidRequest(
                    f"“{origin:.100}” is not the origin of a web page.",
                    "Give scheme, host and, if it has one, the port, without a path: https://gallery.example.",
                )
        if self.token is not None and (len(self.token) < TOKEN_CHARACTERS or not _is_token(self.token)):
            short = len(self.token) < TOKEN_CHARACTERS
            raise InvalidRequest(
                f"The token has {len(self.token)} characters, which are too few."
                if short
                else "The token has characters other than printable ASCII without spaces.",
                f"Use at least {TOKEN_CHARACTERS} random letters and digits.",
            )

        if not 1 <= len(self.devices) <= MAX_WORKERS:
            raise InvalidRequest(
                f"{len(self.devices)} workers cannot be started.", f"Choose a number from 1 to {MAX_WORKERS}."
            )
        for name in self.devices:
            if name is not None and not re.fullmatch(r"cpu|mps|cuda(:\d{1,3})?", name):
                raise InvalidRequest(f"“{name:.40}” is not a device.", "Name devices as torch does: cuda:0,cuda:1,cpu")

    @property
    def threads(self) -> int | None:
        """Threads of each worker, so that those without a card share the processor; None leaves the choice to torch."""
        sharing = sum(name in (None, "cpu") for name in self.devices)
        return max(1, (os.cpu_count() or 1) // sharing) if sharing > 1 else None

    def _is_loopback(self) -> bool:
        if self.host in LOOPBACK:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            raise InvalidRequest(
                f"“{self.host}” is not an address to listen on.",
                "Give an IP address of this machine, 0.0.0.0 for all of them, or none for this machine only.",
            ) from None


def _is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
