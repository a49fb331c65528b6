"""What is kept and for how long: jobs go when they are old or take too much room, their layers with them.

A job that is not over is never touched, and one that nobody has fetched not within its first week.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass

from layerfusion.server.protocol.messages import State
from layerfusion.server.storage.database import LIVE, Database
from layerfusion.server.storage.layer_store import LayerStore

UNFETCHED_SECONDS = 7 * 24 * 3600.0
"""A job that nobody has fetched is safe for so long after its end."""


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What is left after pruning.

    Attributes:
        jobs: how many.
        bytes: of their layers and files, each counted once.
        removed: jobs that were forgotten.
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
    """Forget old jobs, then the oldest until the rest fits; remove what no job needs. May take seconds: not for loops.

    Args:
        database, store: of one folder.
        max_seconds: nothing stays longer after its end, once the first week is over or it was fetched.
        max_bytes: for all layers and files together.
        upload_seconds: a file that no job needs stays for so long after it was last written or asked for.
        uploads: SHA-256 of layers that clients are about to name.

    Raises:
        UnwritableFile, BrokenStore: see `Database`.
    """
    jobs = database.outlines()
    files, sizes, needs = _files(database)
    total = sum(sizes[digest] for digest in needs)
    doomed = []
    candidates = [(ended or 0.0, job) for job, state, ended, fetched in jobs if _may_go(state, ended, fetched, now())]
    for ended, job in sorted(candidates):
        if now() - ended < max_seconds and total <= max_bytes:
            continue
        doomed.append(job)
        for digest in files.get(job, ()):
            needs[digest] -= 1
            if needs[digest] == 0:
                del needs[digest]
                total -= sizes[digest]
    database.delete(doomed)
    store.prune(needed=uploads | {digest for _, digest, _ in database.files()}, max_seconds=upload_seconds)
    return Inventory(jobs=len(jobs) - len(doomed), bytes=total, removed=len(doomed))


def _may_go(state: State, ended: float | None, fetched: float | None, now: float) -> bool:
    if state in LIVE or ended is None:
        return False
    return fetched is not None or now - ended >= UNFETCHED_SECONDS


def _files(database: Database) -> tuple[dict[str, list[str]], dict[str, int], Counter[str]]:
    """Files of each job, bytes of each file, and how many jobs need each."""
    files: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    needs: Counter[str] = Counter()
    for job, digest, size in database.files():
        files.setdefault(job, []).append(digest)
        sizes[digest] = size
        needs[digest] += 1
    return files, sizes, needs
