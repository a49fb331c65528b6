"""Opens and keeps a server's folder: the lock, the list of jobs with its backup, the layers, and room for more."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Set

from layerfusion.engine.errors import EngineError, UnwritableFile
from layerfusion.server.config import ServerConfig, database, layers
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.storage.lock import FolderLock
from layerfusion.server.storage.rescue import back_up, check_together
from layerfusion.server.storage.retention import Inventory, prune
from layerfusion.server.storage.room import Room

logger = logging.getLogger(__name__)

_PRUNE_SECONDS = 600.0


class Housekeeper:
    """Keeps one folder. Use it as a context manager, in a thread that may wait for the disk; then `run` it as a task.

    Args:
        config: the server's settings.
        uploads: returns the SHA-256 of the layers that connected clients have uploaded.

    Attributes:
        database, store: the folder's.

    Raises:
        StoreInUse, BrokenStore, UnwritableFile: the folder cannot be used.
    """

    database: Database
    store: LayerStore

    def __init__(self, config: ServerConfig, uploads: Callable[[], Set[str]]) -> None:
        self._config = config
        self._uploads = uploads
        self._room = Room(config.folder, store_bytes=config.store_bytes, free_bytes=config.free_bytes)
        self._pruning = asyncio.Lock()
        self._woken = asyncio.Event()
        self._backed_up = -1
        self._working = threading.Lock()  # the task may be cancelled while its thread works

    def __enter__(self) -> Housekeeper:
        with contextlib.ExitStack() as stack:
            folder = self._config.folder
            stack.callback(FolderLock(folder).release)
            if aside := check_together(folder):
                logger.warning("the layers had no list of jobs: set aside in %s; see “layerfusion jobs recover”", aside)
            try:
                self._open()
            except UnwritableFile:
                if not self._room.give_up_reserve():
                    raise
                self._open()
            stack.callback(self.database.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack, self._working:
            self._back_up()

    def _open(self) -> None:
        self.store = LayerStore(layers(self._config.folder))
        self.database = Database(database(self._config.folder))

    @property
    def used(self) -> int:
        """Bytes of the layers and files in the store, as far as known."""
        return self._room.used

    def wrote(self, size: int) -> None:
        """Count bytes that were added to the store."""
        self._room.used += size

    def wake(self) -> None:
        """Keep house soon: jobs were deleted, which the backup still has."""
        self._woken.set()

    async def run(self) -> None:
        """Delete old jobs and back up the list, now and every ten minutes."""
        while True:
            self._woken.clear()
            await self.clean()
            await asyncio.to_thread(self._back_up_now)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PRUNE_SECONDS):
                    await self._woken.wait()

    async def make_room(self, more: int = 0) -> bool:
        """Whether there is room for so many more bytes, or for another job; if not, old jobs are deleted first."""
        if not self._room.has(more):
            await self.clean()
        return self._room.has(more)

    async def clean(self) -> None:
        """Delete old jobs, and more while the store or the disk is nearly full, the oldest fetched ones first."""
        async with self._pruning:
            try:
                await asyncio.to_thread(self._clean, self._uploads())
            except EngineError as error:
                logger.error("nothing was pruned: %s", error)

    def _clean(self, uploads: Set[str]) -> None:
        with self._working:
            try:
                self._prune(self._config.store_bytes, uploads)
            except UnwritableFile:
                if not self._room.give_up_reserve():
                    raise
                self._prune(self._config.store_bytes, uploads)
            if lacking := self._room.lacking():
                self._prune(max(0, self._room.used - lacking), uploads)
            self._room.keep_reserve()

    def _prune(self, max_bytes: int, uploads: Set[str]) -> None:
        before = self._room.used
        kept: Inventory = prune(
            self.database,
            self.store,
            max_seconds=self._config.job_seconds,
            max_bytes=max_bytes,
            upload_seconds=self._config.upload_seconds,
            uploads=uploads,
        )
        self._room.used += kept.bytes - before  # what was written meanwhile may be counted twice, until the next time

    def _back_up_now(self) -> None:
        with self._working:
            self._back_up()

    def _back_up(self) -> None:
        if self.database.changes == self._backed_up:
            return
        try:
            self.database.save_service()
            changes = self.database.changes  # before the copy, which may lack what changes meanwhile
            back_up(self.database, self._config.folder)
        except EngineError as error:
            logger.error("the list of jobs was not backed up: %s", error)
        else:
            self._backed_up = changes
