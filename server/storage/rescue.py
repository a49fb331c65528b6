"""Setting a damaged or missing list of jobs aside together with its layers, its backup, and rebuilding it from them.

The layers of a list that is lost cannot be understood without it: they have neither names nor sizes. So the two are
never separated: they move together into a folder `set-aside-…`, where nothing is ever deleted. `recover` reads from
there what can still be read, takes the rest from the backup, and moves the layers back.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from layerfusion.engine.errors import UnreadableFile, UnwritableFile
from layerfusion.server.config import database, layers
from layerfusion.server.errors import BrokenStore
from layerfusion.server.protocol.errors import ProtocolError
from layerfusion.server.protocol.messages import LayerBegin
from layerfusion.server.storage import schema
from layerfusion.server.storage.database import LIVE, Database
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.storage.records import wire
from layerfusion.server.storage.remains import Remains, Row
from layerfusion.server.storage.sqlite_file import RECOVER

_PREFIX = "set-aside-"


def backup(folder: Path) -> Path:
    """The path of the copy of a folder's list."""
    return folder / "jobs.backup.sqlite"


def back_up(records: Database, folder: Path) -> None:
    """Replace the copy of the list by a new one, which was checked. The list may be in use.

    Raises:
        BrokenStore: the list is damaged; the old copy stays.
        UnwritableFile: the disk is full or read-only; the old copy stays.
    """
    draft = backup(folder).with_name("jobs.backup.draft")
    try:
        draft.unlink(missing_ok=True)
        records.copy(draft)
        draft.replace(backup(folder))
    except OSError as error:
        raise UnwritableFile(f"{draft} cannot be written ({error.strerror or error}).", "Free some space.") from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                draft.with_name(draft.name + suffix).unlink()


def check_together(folder: Path) -> Path | None:
    """Check that a folder's layers have their list, before the list is opened or made.

    If the list is missing, its layers and its backup are set aside together.

    Returns:
        Where they were set aside; None if nothing had to be.

    Raises:
        BrokenStore: the list is empty, although there are layers.
        UnwritableFile: they cannot be moved.
    """
    path = database(folder)
    if not _has_layers(folder) and not backup(folder).exists():
        return None
    if not path.exists():
        return set_aside(folder)
    if path.stat().st_size == 0:
        raise BrokenStore(f"The list of jobs in {path} is empty, although there are layers.", RECOVER)
    return None


def set_aside(folder: Path) -> Path:
    """Move the list of jobs, its backup and its layers into a new folder beside them, and return it.

    Raises:
        UnwritableFile: they cannot be moved.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())  # UTC: local clocks are put back once a year
    target = folder / f"{_PREFIX}{stamp}"
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{_PREFIX}{stamp}-{number}"
    try:
        target.mkdir(mode=0o700)
        for path in [*folder.glob(f"{database(folder).name}*"), backup(folder), layers(folder)]:
            if path.exists():
                path.rename(target / path.name)
    except OSError as error:
        raise UnwritableFile(
            f"{folder} cannot be changed ({error.strerror or error}).", "Make it writable for its owner."
        ) from error
    return target


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """What `recover` did.

    Attributes:
        source: the folder from which it came.
        jobs: number of jobs that the list has again.
        layers: number of layers and files that were moved back.
        lost: number of layers and files that these jobs need and that are not there.
        left: number of files in `source` that belong to no job in any list, and stay there.
    """

    source: Path
    jobs: int
    layers: int
    lost: int
    left: int


def recover(folder: Path) -> Recovery:
    """Bring back what can be brought back of a list that was damaged or set aside. No server may use the folder.

    A damaged list is set aside first. Jobs of the newest folder `set-aside-…` that the list does not have are added to
    it: from the damaged list where it can be read, else from its backup. Jobs that were not over end as interrupted.

    Raises:
        UnreadableFile: nothing was set aside.
        UnwritableFile: the folder or the disk cannot be written.
    """
    source = set_aside(folder) if _is_broken(folder) else _newest(folder)
    with contextlib.closing(Database(database(folder))) as records:
        adopted = _adopt(records, [Remains(path) for path in (database(source), backup(source))])
        moved = _move_layers(records, source, folder)
        store = LayerStore(layers(folder))
        needed = {digest for job, digest, _ in records.files() if job in adopted}
        lost = sum(not store.has(digest) for digest in needed)
        records.interrupt()
        back_up(records, folder)
    left = sum(1 for _ in layers(source).glob("??/*"))
    return Recovery(source=source, jobs=len(adopted), layers=moved, lost=lost, left=left)


def _has_layers(folder: Path) -> bool:
    return next(layers(folder).glob("??/*"), None) is not None


def _is_broken(folder: Path) -> bool:
    """Whether the list is there and cannot be used, or is missing beside its layers."""
    try:
        if not database(folder).exists():
            return _has_layers(folder) or backup(folder).exists()
        check_together(folder)
        Database(database(folder)).close()
    except BrokenStore:
        return True
    return False


def _newest(folder: Path) -> Path:
    found = sorted(path for path in folder.glob(f"{_PREFIX}*") if path.is_dir())
    if not found:
        raise UnreadableFile(
            f"The list of jobs in {folder} is whole, and none was set aside.", "There is nothing to recover."
        )
    return found[-1]


def _adopt(records: Database, remains: list[Remains]) -> set[str]:
    """Add the jobs that the list does not have, with their events and files, each from where most of it can be read;
    and the styles of its users.

    A job of which an event is missing ends before that one. A job that is not over, or not whole, becomes `running`,
    which `Database.interrupt` ends: it may have been drawn since that list was written.

    Returns:
        The ids of the added jobs.
    """
    found: dict[str, Row] = {}
    for source in reversed(remains):
        found.update(source.jobs)
    added: set[str] = set()
    with records.transaction() as connection:
        for style in (style for source in remains for style in source.styles):
            _insert(connection, "styles", style)
        for job in sorted(found, key=lambda job: (found[job]["submitted"], found[job]["number"])):
            best = max(remains, key=lambda source: source.completeness(job))
            whole, count = best.completeness(job)
            row, events = best.jobs[job], best.events.get(job, [])
            title, width, height = schema.outline(row["submit"])
            values = {name: value for name, value in row.items() if name != "number"} | {
                "state": row["state"] if whole and row["state"] not in LIVE else "running",
                "last": count,
                "title": title,
                "width": width,
                "height": height,
                "ended_in_service": records.service(),
            }
            if not _insert(connection, "jobs", values):
                continue
            added.add(job)
            for event in events:
                _insert(connection, "events", event)
            for file in (file for source in remains for file in source.files.get(job, ())):
                _insert(connection, "files", file)
            for begin in _layers(events):
                _insert(connection, "files", {"job": job, "sha256": begin.sha256, "bytes": begin.bytes})
    return added


def _layers(events: list[Row]) -> Iterator[LayerBegin]:
    """The layers among a job's events."""
    for row in events:
        with contextlib.suppress(ProtocolError):
            event = wire.decode(row["message"])
            if isinstance(event, LayerBegin):
                yield event


def _insert(connection: sqlite3.Connection, table: str, values: Row) -> bool:
    """Insert a row; False if there is one with its key."""
    names, places = ", ".join(values), ", ".join("?" * len(values))
    command = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({places})"  # noqa: S608 - names of our own columns
    return bool(connection.execute(command, list(values.values())).rowcount)


def _move_layers(records: Database, source: Path, folder: Path) -> int:
    """Move the files that the list needs back into the store, and return their number."""
    store, moved = LayerStore(layers(folder)), 0
    for digest in {digest for _, digest, _ in records.files()}:
        path = layers(source) / digest[:2] / digest[2:]
        if path.exists() and not store.is_whole(digest):
            try:
                store.path(digest).parent.mkdir(mode=0o700, exist_ok=True)
                path.replace(store.path(digest))
            except OSError as error:
                raise UnwritableFile(f"{path} cannot be moved ({error.strerror or error}).", "Try again.") from error
            moved += 1
    return moved
