"""Retention: deleting jobs that are old, exceed the disk quota or are not wanted any more, with their layers.

Jobs that are not over are never deleted; jobs that nobody has fetched are kept for at least a week of service after
their end (see `service_clock`). A file of which the database knows nothing is never removed: so an empty or new list
costs no layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass

from layerfusion.server.protocol.errors import NotFinished
from layerfusion.server.storage.database import LIVE, Database
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.storage.records import JobOutline

UNFETCHED_SECONDS = 7 * 24 * 3600.0
"""A job that nobody has fetched is kept for at least this time in service after its end, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The state after pruning.

    Attributes:
        jobs: number of jobs that are left.
        bytes: size of their layers and files and of the uploads that no job needs yet, each counted once.
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
) -> Inventory:
    """Delete old jobs, then the oldest that were fetched and then other old ones until the rest fits into the quota,
    and remove files that no job needs.

    It may take seconds, so it must not be called in an event loop's thread.

    Args:
        database, store: of one folder.
        max_seconds: time in service for which a job is kept after its end, if it was fetched or its first week is over.
        max_bytes: quota of all layers and files together.
        upload_seconds: time in service for which an upload that no job needs is kept after its client was connected.
        uploads: SHA-256 of layers that connected clients have uploaded.

    Raises:
        UnwritableFile, BrokenStore: see `Database`.
    """
    database.keep_loose(uploads, upload_seconds)
    chosen = choose(database, max_seconds=max_seconds, max_bytes=max_bytes)
    if chosen.jobs:
        database.delete(chosen.jobs)
    left = sweep(database, store, uploads)
    store.clear_drafts()
    database.save_service()
    return Inventory(jobs=chosen.kept, bytes=chosen.bytes + left, removed=len(chosen.jobs))


def delete(database: Database, store: LayerStore, job: str, *, uploads: Set[str] = frozenset()) -> None:
    """Delete a job that is over, with its prompts, and its layers and files that no other job needs.

    If there is no such job, nothing is done.

    Args:
        database, store: of one folder.
        job: its id.
        uploads: SHA-256 of layers that connected clients have uploaded.

    Raises:
        NotFinished: it waits or runs.
        UnwritableFile, BrokenStore: see `Database`.
    """
    if database.state(job) in LIVE:
        raise NotFinished(f"The job {job} is not over.", "Cancel it first.")
    database.delete([job])
    sweep(database, store, uploads)


def sweep(database: Database, store: LayerStore, uploads: Set[str]) -> int:
    """Remove the files that no job needs and that are kept no longer. Returns the bytes of those that are left."""
    now, left = database.service(), 0
    for digest, size, until in database.loose():
        due = until <= now and digest not in uploads
        if not (due and database.remove_loose(digest, lambda digest=digest: store.remove(digest))):
            left += size
    return left


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The jobs that `prune` would delete.

    Attributes:
        jobs: their ids.
        kept: number of the other jobs.
        bytes: size of the files that the others need.
    """

    jobs: list[str]
    kept: int
    bytes: int


def choose(database: Database, *, max_seconds: float, max_bytes: int, clock: float | None = None) -> Choice:
    """Choose the jobs that are too old, or because of which the rest does not fit into the quota. See `prune`.

    Args:
        database, max_seconds, max_bytes: see `prune`.
        clock: the computer's time if a user asks, who counts by it; fetched jobs that are too old by it are chosen too.
    """
    now, jobs = database.service(), database.outlines()
    files, sizes, needs = _files(database)
    total = sum(sizes[digest] for digest in needs)
    chosen: list[str] = []
    removable = [job for job in jobs if _is_removable(job, now)]
    for job in sorted(removable, key=lambda job: (job.fetched is None, job.ended_in_service)):
        age = now - job.ended_in_service
        if clock is not None and job.fetched is not None and job.ended is not None:
            age = max(age, clock - job.ended)
        if age < max_seconds and total <= max_bytes:
            continue
        chosen.append(job.id)
        for digest in files.get(job.id, ()):
            needs[digest] -= 1
            if needs[digest] == 0:
                del needs[digest]
                total -= sizes[digest]
    return Choice(jobs=chosen, kept=len(jobs) - len(chosen), bytes=total)


def orphans(database: Database, store: LayerStore) -> dict[str, int]:
    """SHA-256 and bytes of the files of which the database knows nothing. A process that was killed between writing a
    file and naming it leaves one; or the list of jobs is not the one that belongs to the layers."""
    known = {digest for _, digest, _ in database.files()} | {digest for digest, _, _ in database.loose()}
    return {digest: size for digest, size in store.files() if digest not in known}


def _is_removable(job: JobOutline, now: float) -> bool:
    if job.state in LIVE:
        return False
    return job.fetched is not None or now - job.ended_in_service >= UNFETCHED_SECONDS


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
