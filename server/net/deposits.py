"""What one client adds to the layer store besides its jobs: uploads, layers of files, and scaled layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from layerfusion.server.net.housekeeping import Housekeeper
from layerfusion.server.net.rate_limits import RateLimits
from layerfusion.server.net.rights import Rights
from layerfusion.server.protocol.errors import QuotaExceeded, StoreFull
from layerfusion.server.queue.scheduler import Scheduler
from layerfusion.server.storage.database import Database


class Deposits:
    """The deposits of one connection.

    Args:
        rights: what the client may use; a finished deposit is added.
        limits: the rate limits of deposits, in bytes.
        names: returns the names under which the client is counted, see `RateLimits.take`.
        keeper, scheduler, database: the server's.
        seconds: time for which a deposit is kept after the connection without a job.

    Attributes:
        held: SHA-256 of the layers that are not pruned while the client is connected.
    """

    def __init__(
        self,
        rights: Rights,
        limits: RateLimits,
        names: Callable[[], Mapping[str, float | None]],
        *,
        keeper: Housekeeper,
        scheduler: Scheduler,
        database: Database,
        seconds: float,
    ) -> None:
        self._rights = rights
        self._limits = limits
        self._names = names
        self._keeper = keeper
        self._scheduler = scheduler
        self._database = database
        self._seconds = seconds
        self.held: set[str] = set()

    async def admit(self, size: int) -> None:
        """Count bytes that the client is about to add.

        Raises:
            QuotaExceeded: the client has added too many in the last hour.
            StoreFull: the server has no room for them.
        """
        if not self._limits.take(self._names(), size):
            raise QuotaExceeded(
                f"{size} bytes are too much now: this client or address has uploaded a lot in the last hour.",
                "Wait some minutes.",
            )
        if not await self._keeper.make_room(size):
            raise StoreFull(
                f"The server has no room for {size} more bytes.",
                "Fetch or delete jobs (“layerfusion jobs”), or give the server more disk space.",
            )

    async def record(self, digest: str, size: int) -> None:
        """Record a deposit in the database."""
        await self._scheduler.on_disk(self._database.add_loose, digest, size, self._rights.client, self._seconds)

    async def add(self, digest: str, size: int) -> None:
        """Record a layer that was just written, and keep it while the client is connected."""
        self.held.add(digest)
        await self.record(digest, size)
        self.finished(digest, size)

    async def hold(self, digest: str) -> None:
        """Keep an upload of an earlier connection while this one lasts, because its client still works with it."""
        if await self._scheduler.on_disk(self._database.has_loose, self._rights.client, digest):
            self.held.add(digest)

    def finished(self, digest: str, size: int) -> None:
        """The bytes are in the store: the client may use them."""
        self._rights.uploaded.add(digest)
        self._keeper.wrote(size)
