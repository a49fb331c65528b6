"""Retention: deleting jobs that are old, exceed the disk quota or are not wanted any more, with their layers.

Jobs that are not over are never deleted; jobs that nobody has fetched are kept for at least a week after their end.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass

from layerfusion.server.protocol.errors import NotFinished
from layerfusion.server.protocol.messages import State
from layerfusion.server.storage.database import LIVE, Database
from layerfusion.server.storage.layer_store import LayerStore

UNFETCHED_SECONDS = 7 * 24 * 3600.0
"""A job that nobody has fetched is kept for at least this time after its end, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The state after pruning.

    Attributes:
        jobs: number of jobs that are left.
        bytes: size of their layers and files, each counted once.
        removed: number of deleted jobs.
    """

    jobs: int
    bytes: int
    removed: int


def prune(
    database: Database,
    store: LayerStore,
    *,
    max_seconds: float,
    max_bytes: int,
    upload_seconds: float,
    uploads: Set[str] = frozenset(),
    now: Callable[[], float] = time.time,
) -> Inventory:
    """Delete old jobs, then the oldest until the rest fits into the quota, and remove files that no job needs.

    It may take seconds, so it must not be called in an event loop's thread.

    Args:
        database, store: of one folder.
        max_seconds: time for which a job is kept after its end, if it was fetched or its first week is over.
        max_bytes: quota of all layers and files together.
        upload_seconds: time for which a file that no job needs is kept after it was last written or asked for.
        uploads: SHA-256 of layers that clients have uploaded for a coming request.

    Raises:
        UnwritableFile, BrokenStore: see `Database`.
    """
    jobs = database.outlines()
    files, sizes, needs = _files(database)
    total = sum(sizes[digest] for digest in needs)
    removed = []
    candidates = [
        (ended or 0.0, job) for job, state, ended, fetched in jobs if _is_removable(state, ended, fetched, now())
    ]
    for ended, job in sorted(candidates):
        if now() - ended < max_seconds and total <= max_bytes:
            continue
        removed.append(job)
        for digest in files.get(job, ()):
            needs[digest] -= 1
            if needs[digest] == 0:
                del needs[digest]
                total -= sizes[digest]
    database.delete(removed)
    store.prune(needed=uploads | {digest for _, digest, _ in database.files()}, max_seconds=upload_seconds)
    return Inventory(jobs=len(jobs) - len(removed), bytes=total, removed=len(removed))


def delete(database: Database, store: LayerStore, job: str, *, uploads: Set[str] = frozenset()) -> None:
    """Delete a job that is over, with its prompts, and its layers and files that no other job needs.

    If there is no such job, nothing is done.

    Args:
        database, store: of one folder.
        job: its id.
        uploads: SHA-256 of layers that clients have uploaded for a coming request.

    Raises:
        NotFinished: it waits or runs.
        UnwritableFile, BrokenStore: see `Database`.
    """
    if database.state(job) in LIVE:
        raise NotFinished(f"The job {job} is not over.", "Cancel it first.")
    for digest in database.delete([job]) - uploads:
        store.remove(digest)


def _is_removable(state: State, ended: float | None, fetched: float | None, now: float) -> bool:
    if state in LIVE or ended is None:
        return False
    return fetched is not None or now - ended >= UNFETCHED_SECONDS


def _files(database: Database) -> tuple[dict[str, list[str]], dict[str, int], Counter[str]]:
    """The files of each job, the bytes of each file, and the number of jobs that need each file."""
    files: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    needs: Counter[str] = Counter()
    for job, digest, size in database.files():
        files.setdefault(job, []).append(digest)
        sizes[digest] = size
        needs[digest] += 1
    return files, sizes, needs
