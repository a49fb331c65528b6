"""What the server says of itself: the state of its parts, `/status`, and the figures of `/metrics`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from layerfusion.engine.errors import EngineError
from layerfusion.server.config import ServerConfig
from layerfusion.server.net import metrics
from layerfusion.server.net.health import Finding, Health
from layerfusion.server.net.metrics import Metric, counter, gauge
from layerfusion.server.net.request_handler import summary
from layerfusion.server.queue.scheduler import Scheduler
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.users import User
from layerfusion.server.worker.executor import Executor

logger = logging.getLogger(__name__)

_STORE_SECONDS = 5.0
"""Longest wait for the list of jobs before the store counts as unwell."""

_FRESH_SECONDS = 1.0
"""The state is looked at again after so long, so that strangers who ask all the time cost nothing."""

_LISTED = 100
"""Number of the newest jobs in `/status`."""


class Monitor:
    """Looks at one server.

    Args:
        config: its settings.
        scheduler, database, executors: its parts.
        connected: returns the number of connections.
        stored: returns the bytes in the store.
        version: version of the program.
    """

    def __init__(
        self,
        config: ServerConfig,
        scheduler: Scheduler,
        database: Database,
        executors: Sequence[Executor],
        *,
        connected: Callable[[], int],
        stored: Callable[[], int],
        version: str,
    ) -> None:
        self._config = config
        self._scheduler = scheduler
        self._database = database
        self._executors = executors
        self._connected = connected
        self._stored = stored
        self._version = version
        self._health = Health(
            config.folder,
            lambda: [executor.is_ready for executor in executors],
            lambda: scheduler.problem,
            lambda: (stored(), config.store_bytes),
        )
        self._looking = asyncio.Lock()
        self._looked: tuple[float, tuple[Finding, ...]] | None = None

    async def status(self, user: User, sign_ins: int) -> dict[str, Any]:
        """What `/status` tells a user: about the server, and the user's own jobs."""
        findings = await self.look()
        mine = None if user.admin else user.key("")
        try:
            records = await self._scheduler.on_disk(self._database.outlines, newest=_LISTED, client=mine)
        except EngineError as error:
            logger.error("jobs could not be listed: %s", error.code)
            records = []
        return {
            "version": self._version,
            "user": user.name,
            "well": all(finding.well for finding in findings),
            "health": {finding.part: finding.text for finding in findings},
            "connections": self._connected(),
            "sign_ins": sign_ins,
            "jobs": [summary(record).to_map() for record in records],
        }

    async def look(self) -> tuple[Finding, ...]:
        """The state of the parts, at most `_FRESH_SECONDS` old."""
        async with self._looking:
            if self._looked is None or time.monotonic() - self._looked[0] > _FRESH_SECONDS:
                try:
                    async with asyncio.timeout(_STORE_SECONDS):
                        await self._scheduler.on_disk(self._database.state, "")
                    answers = True
                except (TimeoutError, EngineError) as error:
                    logger.error("the list of jobs does not answer: %s", type(error).__name__)
                    answers = False
                findings = await asyncio.to_thread(self._health.look, answers=answers)
                self._looked = time.monotonic(), findings
            return self._looked[1]

    async def figures(self) -> str:
        """What `/metrics` says."""
        findings = await self.look()
        ready = [worker.is_ready for worker in self._executors]
        return metrics.text(
            [
                Metric("info", "gauge", "The version of the program.", {self._version: 1}, "version"),
                Metric("well", "gauge", "Whether a part can do its work.", {f.part: f.well for f in findings}, "part"),
                gauge("connections", "Open websockets.", self._connected()),
                gauge("workers", "Processes or actors that draw.", len(ready)),
                gauge("workers_ready", "Those that have started.", sum(ready)),
                gauge("jobs_waiting", "Jobs that wait.", self._scheduler.waiting),
                gauge("jobs_running", "Jobs that are being drawn.", self._scheduler.running),
                Metric("jobs_total", "counter", "Jobs that ended.", self._scheduler.ended, "end"),
                counter(
                    "drawing_seconds_total", "Time from start to end of all jobs.", self._scheduler.drawing_seconds
                ),
                counter("layer_bytes_total", "Bytes of all layers drawn.", self._scheduler.written_bytes),
                gauge("store_bytes", "Bytes of layers and files in the store.", self._stored()),
                gauge("store_limit_bytes", "Limit of the store.", self._config.store_bytes),
                gauge("disk_free_bytes", "Free bytes of the disk.", self._health.free_bytes() or 0),
            ]
        )
