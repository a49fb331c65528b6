"""Whether the server can do its work: what `/healthz` and `/status` say of the worker, the store and the disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

STARTING_SECONDS = 180.0
"""A worker may take so long to start, on a slow disk, before the server counts as unwell."""

FREE_BYTES = 512 * 1024**2
"""With less space on the disk the server counts as unwell: a picture of 4096 px has about 300 MB of layers."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The state of one part.

    Attributes:
        part: "worker", "store" or "disk".
        well: whether it can do its work.
        text: the state in a few words, for people. It has nothing of any job.
    """

    part: str
    well: bool
    text: str


class Health:
    """Looks at the parts of one server.

    Args:
        folder: the server's folder.
        ready: returns for each worker whether it can take a job.
        problem: returns why no worker can start; None while there is hope.
        store: returns the bytes in the store and its limit.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        folder: Path,
        ready: Callable[[], list[bool]],
        problem: Callable[[], str | None],
        store: Callable[[], tuple[int, int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._ready = ready
        self._problem = problem
        self._store = store
        self._clock = clock
        self._unready_since: float | None = clock()

    def look(self, *, answers: bool) -> tuple[Finding, ...]:
        """The present state. It asks the file system, so it may wait for a slow disk.

        Args:
            answers: whether the list of jobs answers.
        """
        return self._worker(), self._room(answers), self._disk()

    def free_bytes(self) -> int | None:
        """Free space on the disk; None if it cannot be asked."""
        try:
            return shutil.disk_usage(self._folder).free
        except OSError:
            return None

    def watch(self) -> None:
        """Note whether a worker is ready. Call it now and then, so that `look` knows for how long none was."""
        if any(self._ready()):
            self._unready_since = None
        elif self._unready_since is None:
            self._unready_since = self._clock()

    def _worker(self) -> Finding:
        self.watch()
        if self._unready_since is None:
            ready = self._ready()
            text = "ready" if all(ready) else f"{sum(ready)} of {len(ready)} ready"
            return Finding(part="worker", well=True, text=text)
        if problem := self._problem():
            return Finding(part="worker", well=False, text=problem)
        seconds = self._clock() - self._unready_since
        return Finding(part="worker", well=seconds < STARTING_SECONDS, text=f"starting for {seconds:.0f} s")

    def _room(self, answers: bool) -> Finding:
        used, limit = self._store()
        if not answers:
            return Finding(part="store", well=False, text="the list of jobs does not answer")
        return Finding(part="store", well=used < limit, text=f"{used / 1e9:.1f} of {limit / 1e9:.1f} GB used")

    def _disk(self) -> Finding:
        free = self.free_bytes()
        if free is None:
            return Finding(part="disk", well=False, text="cannot be read")
        return Finding(part="disk", well=free >= FREE_BYTES, text=f"{free / 1e9:.1f} GB free")
