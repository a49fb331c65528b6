"""What a server is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from engine.errors import InvalidRequest

DEFAULT_PORT = 8737
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _default_folder() -> Path:
    return platformdirs.user_cache_path("layerfusion", appauthor=False) / "layers"


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """One server's settings, valid when made.

    Attributes:
        host: where it listens; one of `LOOPBACK`.
        port: 1-65535; 0 takes any free one; None takes `DEFAULT_PORT`, or any free one if that is taken.
        folder: where layers are kept.
        origins: web pages that may connect, as in their `Origin` header. None by default.
        max_connections: open at one time.
        waiting_jobs: of one connection.
        layer_bytes: largest upload.
        finished_jobs: how many are remembered.
        finished_seconds: for how long they are.
        store_bytes: layers beyond this are removed, oldest first, if no job or connection needs them.
        store_seconds: layers older than this are removed likewise.

    Raises:
        InvalidRequest: an address other machines can reach, or a port that is none.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    folder: Path = field(default_factory=_default_folder)
    origins: tuple[str, ...] = ()
    max_connections: int = 16
    waiting_jobs: int = 32
    layer_bytes: int = 4 * 4096 * 4096
    finished_jobs: int = 256
    finished_seconds: float = 3600
    store_bytes: int = 4 * 1024**3
    store_seconds: float = 24 * 3600

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK:
            raise InvalidRequest(
                f"The address {self.host!r} can be reached from other machines, or is none.",
                "For now the server listens on this machine only; use the default, and a tunnel such as "
                f"“ssh -L {DEFAULT_PORT}:127.0.0.1:{DEFAULT_PORT} HOST” from elsewhere.",
            )
        if self.port is not None and not 0 <= self.port <= 65_535:
            raise InvalidRequest(f"The port is {self.port}.", "Choose one from 1 to 65535, or 0 for any free one.")
