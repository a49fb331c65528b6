"""What a server is told when it starts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from layerfusion.engine.errors import InvalidRequest

DEFAULT_PORT = 8737
LOOPBACK = ("127.0.0.1", "::1", "localhost")
TOKEN_CHARACTERS = 32
"""Fewest of a token that a person chose: 32 random letters and digits hold more than 128 bits."""


def default_folder() -> Path:
    """Where jobs are kept if nobody says otherwise: with the user's data, as a cache may be emptied by anybody."""
    return platformdirs.user_data_path("layerfusion", appauthor=False) / "jobs"


def database(folder: Path) -> Path:
    """The list of jobs in a server's folder."""
    return folder / "jobs.sqlite"


def layers(folder: Path) -> Path:
    """The layers in a server's folder."""
    return folder / "layers"


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """One server's settings, valid when made.

    Attributes:
        host: the address it listens on: "localhost" or an IP address. Beyond loopback only with `tls_cert`, or with
            `unencrypted`.
        port: 1-65535; 0 takes any free one; None takes `DEFAULT_PORT`, or any free one if that is taken.
        names: host names by which clients reach it, besides its address and "localhost".
        tls_cert: PEM file of the certificate chain, the server's own first. The connection is encrypted then.
        tls_key: PEM file of its private key; None if `tls_cert` holds that too.
        unencrypted: other machines may connect although everybody between can read token, prompts and pictures.
        token: what clients must show; None makes a fresh one at every start.
        folder: where jobs and layers are kept.
        origins: web pages that may connect, as in their `Origin` header. None by default.
        max_connections: open at one time. Four times as many may be shaking hands.
        waiting_jobs: of one client.
        all_waiting_jobs: of all clients together.
        layer_bytes: largest upload.
        upload_bytes: of all uploads of one address in an hour.
        message_rate: messages a second of one connection, in the long run.
        message_burst: messages at once.
        job_seconds: a job is forgotten so long after its end, once it was fetched or a week has passed.
        store_bytes: of all layers together. From nine tenths on the oldest jobs are forgotten, if they may be; if not,
            no more are taken once it is full.
        upload_seconds: a layer that no job and no connection needs any more is removed after so long.
        drain_seconds: when the server is stopped, the job that is being drawn has so long to finish.
        cancel_seconds: a cancelled job has so long to stop before the process that draws is ended.
        silence_seconds: a job that makes no step for so long hangs, and the process is ended.

    Raises:
        InvalidRequest: an address other machines can reach without encryption, no address, no port, a weak token.
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
    upload_bytes: int = 4 * 1024**3
    message_rate: float = 100
    message_burst: int = 1000
    job_seconds: float = 30 * 24 * 3600
    store_bytes: int = 16 * 1024**3
    upload_seconds: float = 600
    drain_seconds: float = 3
    cancel_seconds: float = 30
    silence_seconds: float = 900

    def __post_init__(self) -> None:
        if not self._is_loopback() and self.tls_cert is None and not self.unencrypted:
            raise InvalidRequest(
                f"The address {self.host} can be reached from other machines, and the connection is not encrypted.",
                f"Use a tunnel (“ssh -L {DEFAULT_PORT}:127.0.0.1:{DEFAULT_PORT} HOST” from there), or --tls-cert and "
                "--tls-key.",
            )
        if self.tls_key is not None and self.tls_cert is None:
            raise InvalidRequest("A --tls-key without a certificate.", "Give the certificate with --tls-cert.")
        if self.port is not None and not 0 <= self.port <= 65_535:
            raise InvalidRequest(f"The port is {self.port}.", "Choose one from 1 to 65535, or 0 for any free one.")
        if self.token is not None and (len(self.token) < TOKEN_CHARACTERS or not _is_token(self.token)):
            raise InvalidRequest(
                f"The token has {len(self.token)} characters, or some that no header can carry.",
                f"Take at least {TOKEN_CHARACTERS} random letters and digits.",
            )

    def _is_loopback(self) -> bool:
        if self.host in LOOPBACK:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            raise InvalidRequest(
                f"“{self.host}” is no address to listen on.",
                "Give an IP address of this machine, 0.0.0.0 for all of them, or leave it out for this machine only.",
            ) from None


def _is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
