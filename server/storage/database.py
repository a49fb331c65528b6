"""The database of jobs and their events in SQLite: one row per job, and one row per numbered event.

A job is written before it is acknowledged, and an event before any client gets it. Each write is a transaction that is
on disk when the method returns. So everything that a client was told is still true after a crash.

    queued -> running -> finished | failed | cancelled | interrupted
    queued -> failed | cancelled

A job is run at most once. After its last event, only its client's acknowledgements change. Pixels are not in the
database; events refer to them by SHA-256 (see `layer_store`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgpack

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.errors import BrokenStore
from layerfusion.server.protocol.errors import Interrupted, InvalidMessage
from layerfusion.server.protocol.messages import (
    Cancelled,
    Done,
    Event,
    Existing,
    Failed,
    LayerBegin,
    Notice,
    Started,
    State,
    Submit,
)
from layerfusion.server.protocol.wire import Wire

logger = logging.getLogger(__name__)

LIVE: tuple[State, ...] = ("queued", "running")

_VERSION = 1
_SCHEMA = f"""
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    client TEXT NOT NULL,
    request TEXT NOT NULL,
    submit BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN {get_args(State)}),
    submitted REAL NOT NULL,
    started REAL,
    ended REAL,
    last INTEGER NOT NULL DEFAULT 0,
    layers INTEGER NOT NULL DEFAULT 0,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    fetched REAL
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, number);
CREATE TABLE events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    message BLOB NOT NULL,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE files (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (job, sha256)
) STRICT, WITHOUT ROWID;
CREATE TABLE deaths (request TEXT NOT NULL, at REAL NOT NULL, reason TEXT NOT NULL) STRICT;
CREATE INDEX deaths_by_request ON deaths (request, at);
PRAGMA user_version = {_VERSION};
"""
_COLUMNS = "id, client, submit, state, submitted, started, ended, last, layers, acknowledged, fetched"

_NO_WORK = ("job", "seed", "priority", "replaces", "variants")
"""Fields of `Submit` that do not change the work of drawing it."""

_wire = Wire(msgpack.packb, msgpack.unpackb)


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """One job as it is on disk.

    Attributes:
        id: the job's id, chosen by its client.
        client: the client that submitted it.
        submit: its `Submit` message.
        state: its state.
        submitted, started, ended: times in seconds since 1970; None if it has not happened.
        last: number of its last event so far.
        layers: number of finished layers.
        acknowledged: number of the last event that its client has acknowledged.
        fetched: time at which the client had acknowledged the last event; None if it has not.
    """

    id: str
    client: str
    submit: Submit
    state: State
    submitted: float
    started: float | None
    ended: float | None
    last: int
    layers: int
    acknowledged: int
    fetched: float | None


class Database:
    """The database of one server. Its methods may be called from any thread; a lock serialises them.

    Args:
        path: the file; it is created if it is missing, unless `read_only`.
        read_only: read only, which is possible while a server uses the file.
        now: the clock, in seconds since 1970.

    Raises:
        BrokenStore: the file is damaged, no database, or of a newer version.
        UnwritableFile: the file cannot be written, or with `read_only` it is missing.
    """

    def __init__(self, path: Path, *, read_only: bool = False, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self._now = now
        self._lock = threading.Lock()
        with self._errors():
            self._database = _open(path, read_only)
            try:
                self._prepare(read_only)
            except BaseException:
                self._database.close()
                raise

    def close(self) -> None:
        """Close the database. All writes are on disk already."""
        with self._lock:
            self._database.close()

    # ---- the life of a job

    def add(self, submits: Sequence[Submit], client: str) -> None:
        """Queue jobs in one transaction. Their ids must be new."""
        with self._transaction() as database:
            for submit in submits:
                database.execute(
                    "INSERT INTO jobs (id, client, request, submit, state, submitted) VALUES (?, ?, ?, ?, 'queued', ?)",
                    (submit.job, client, request_digest(submit), _wire.encode(submit), self._now()),
                )
                kept = {
                    (submit.job, source.layer, 4 * source.width * source.height)
                    for source in submit.sources
                    if isinstance(source, Existing)
                }
                database.executemany("INSERT OR IGNORE INTO files VALUES (?, ?, ?)", sorted(kept))

    def append(self, event: Event) -> bool:
        """Write a job's next event and the state to which it leads.

        Returns:
            True if it was written. False if the job is unknown or over, if `seq` is not the next number, or if a
            `Started` event comes for a job that does not wait, so that a job cannot be started twice.
        """
        state, started, ended = _consequence(event, self._now())
        before = ("queued",) if isinstance(event, Started) else LIVE
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE jobs SET state = coalesce(?, state), started = coalesce(?, started), ended = ?, last = ?, "  # noqa: S608
                "layers = layers + ? "
                f"WHERE id = ? AND last = ? - 1 AND state IN ({', '.join('?' * len(before))})",
                (state, started, ended, event.seq, isinstance(event, LayerBegin), event.job, event.seq, *before),
            ).rowcount
            if not changed:
                return False
            database.execute("INSERT INTO events VALUES (?, ?, ?)", (event.job, event.seq, _wire.encode(event)))
            if isinstance(event, LayerBegin):
                database.execute("INSERT OR IGNORE INTO files VALUES (?, ?, ?)", (event.job, event.sha256, event.bytes))
        return True

    def interrupt(self) -> list[str]:
        """End the jobs that a previous server left in state running, and the waiting jobs with a request that this
        version does not accept. Returns their ids."""
        rows = self._query("SELECT id, last, state, submit FROM jobs WHERE state IN ('queued', 'running')")
        ended = []
        for job, last, state, submit in rows:
            if state == "running":
                ended.append(interruption(job, last + 1))
            elif (problem := _problem(submit)) is not None:
                ended.append(Failed.of(InvalidMessage(problem.message, "Submit it anew."), job=job, seq=last + 1))
        for event in ended:
            self.append(event)
        return [event.job for event in ended]

    def acknowledge(self, job: str, seq: int) -> None:
        """Record that the client has all events of a job up to `seq`."""
        with self._transaction() as database:
            database.execute(
                "UPDATE jobs SET acknowledged = max(acknowledged, min(?, last)) WHERE id = ?",
                (seq, job),
            )
            database.execute(
                "UPDATE jobs SET fetched = ? WHERE id = ? AND fetched IS NULL AND ended IS NOT NULL "
                "AND acknowledged = last",
                (self._now(), job),
            )

    def add_file(self, job: str, sha256: str, size: int) -> bool:
        """Record that a job needs a further file, such as an export of it. False if the job was deleted."""
        with self._transaction() as database:
            return bool(
                database.execute(
                    "INSERT OR REPLACE INTO files SELECT id, ?, ? FROM jobs WHERE id = ?", (sha256, size, job)
                ).rowcount
            )

    def delete(self, jobs: Sequence[str]) -> set[str]:
        """Delete those of the jobs that are over, with their events, and leave no trace of their prompts in the file.

        Returns:
            SHA-256 of the files that they needed and no other job needs.
        """
        needed: set[str] = set()
        with self._transaction() as database:
            for job in jobs:
                files = database.execute("SELECT sha256 FROM files WHERE job = ?", (job,)).fetchall()
                if database.execute(
                    "DELETE FROM jobs WHERE id = ? AND state NOT IN ('queued', 'running')", (job,)
                ).rowcount:
                    needed.update(digest for (digest,) in files)
            asked = "SELECT 1 FROM files WHERE sha256 = ? LIMIT 1"
            loose = {digest for digest in needed if database.execute(asked, (digest,)).fetchone() is None}
        with self._lock, self._errors():
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log still has the prompts
        return loose

    # ---- queries

    def state(self, job: str) -> State | None:
        """The state of the job with the given id, also one that this version does not understand; None without one."""
        return next((row[0] for row in self._query("SELECT state FROM jobs WHERE id = ?", (job,))), None)

    def find(self, job: str) -> JobRecord | None:
        """The job with the given id; None if there is none."""
        return next(iter(self._select(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job,))), None)  # noqa: S608

    def ids(self, beginning: str) -> list[str]:
        """The ids that begin with a text, oldest job first."""
        after = beginning[:-1] + chr(ord(beginning[-1]) + 1) if beginning else chr(0x10FFFF)
        rows = self._query("SELECT id FROM jobs WHERE id >= ? AND id < ? ORDER BY number", (beginning, after))
        return [row[0] for row in rows]

    def jobs(
        self, *, states: Sequence[State] = get_args(State), newest: int | None = None, client: str | None = None
    ) -> list[JobRecord]:
        """Jobs in the given states, oldest first. With `newest`, only that many of the newest jobs, newest first. With
        `client`, only that client's."""
        order = "number" if newest is None else "number DESC LIMIT ?"
        mine = "" if client is None else "AND client = ? "
        return self._select(
            f"SELECT {_COLUMNS} FROM jobs WHERE state IN ({', '.join('?' * len(states))}) {mine}ORDER BY {order}",  # noqa: S608
            (*states, *([] if client is None else [client]), *([] if newest is None else [newest])),
        )

    def outlines(self) -> list[tuple[str, State, float | None, float | None]]:
        """(id, state, time of the end, time at which it was fetched) of every job, including jobs with a request that
        this version does not understand."""
        return self._query("SELECT id, state, ended, fetched FROM jobs")

    def events(self, job: str, *, after: int = 0) -> list[Event]:
        """The job's events from `after` + 1 on."""
        rows = self._query("SELECT message FROM events WHERE job = ? AND seq > ? ORDER BY seq", (job, after))
        messages = [_wire.decode(row[0]) for row in rows]
        return [message for message in messages if isinstance(message, Event)]

    def has_file(self, client: str, sha256: str) -> bool:
        """Whether a job of this client has a layer or file."""
        found = self._query(
            "SELECT 1 FROM files JOIN jobs ON jobs.id = files.job WHERE sha256 = ? AND client = ? LIMIT 1",
            (sha256, client),
        )
        return bool(found)

    def files(self) -> list[tuple[str, str, int]]:
        """(job, SHA-256, bytes) of every file that a job needs."""
        return self._query("SELECT job, sha256, bytes FROM files")

    # ---- requests that make the worker process die

    def note_death(self, submit: Submit, reason: str) -> None:
        """Record that the worker process died while it drew this request."""
        with self._transaction() as database:
            database.execute("INSERT INTO deaths VALUES (?, ?, ?)", (request_digest(submit), self._now(), reason))

    def deaths(self, submit: Submit, seconds: float) -> list[str]:
        """The reasons of the worker's deaths in the last `seconds` over this request, or one that differs only in ids
        and seeds; oldest first."""
        rows = self._query(
            "SELECT reason FROM deaths WHERE request = ? AND at >= ? ORDER BY at",
            (request_digest(submit), self._now() - seconds),
        )
        return [row[0] for row in rows]

    def forgive(self, submit: Submit) -> None:
        """Delete the record of deaths over this request, because it was drawn successfully."""
        with self._transaction() as database:
            database.execute("DELETE FROM deaths WHERE request = ?", (request_digest(submit),))

    # ---- SQLite

    def _prepare(self, read_only: bool) -> None:
        database = self._database
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise BrokenStore(
                f"The jobs in {self.path} were written by a newer version of this program.",
                "Update it, or choose another folder with --folder.",
            )
        problem = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        database.execute("PRAGMA foreign_keys = ON")
        if read_only:
            database.execute("PRAGMA query_only = ON")
        else:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA secure_delete = ON")  # deleted prompts are overwritten
            if version == 0:
                database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            else:
                database.execute("BEGIN IMMEDIATE")  # raises now if the file cannot be written
                database.execute("ROLLBACK")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction: it is committed to disk at the end of the block, and rolled back on an exception."""
        with self._lock, self._errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back already where it had to
                    self._database.execute("ROLLBACK")
                raise

    def _query(self, question: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self._errors():
            return self._database.execute(question, values).fetchall()

    def _select(self, question: str, values: Sequence[object]) -> list[JobRecord]:
        records = (_record(row) for row in self._query(question, values))
        return [record for record in records if record is not None]

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn SQLite's errors into ours, which have a remedy."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise UnwritableFile(
                f"The jobs in {self.path} cannot be written ({error}).", "Free some space or choose another folder."
            ) from error
        except sqlite3.DatabaseError as error:
            raise BrokenStore(
                f"The jobs in {self.path} cannot be read ({error}).",
                "Move that file away to start with an empty list of jobs; the layers beside it are kept.",
            ) from error


def _open(path: Path, read_only: bool) -> sqlite3.Connection:
    if not read_only:
        with contextlib.suppress(OSError):  # only for the file mode; SQLite reports errors below
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    mode = "rw" if read_only else "rwc"  # even a reader may have to create SQLite's shared-memory file
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=5,
        isolation_level=None,
        check_same_thread=False,
    )


def _record(row: tuple[Any, ...]) -> JobRecord | None:
    names = _COLUMNS.split(", ")
    values = dict(zip(names, row, strict=True))
    packed = values.pop("submit")
    if (problem := _problem(packed)) is not None:
        logger.warning("ignored the job %s: %s", values["id"], problem.code)  # the message may quote a prompt
        return None
    submit = _wire.decode(packed)
    assert isinstance(submit, Submit)
    return JobRecord(submit=submit, **values)


def _problem(packed: bytes) -> InvalidMessage | None:
    """The reason why this version does not accept a request that another version wrote; None if it does."""
    try:
        _wire.decode(packed)
    except InvalidMessage as error:
        return error
    return None


def _consequence(event: Event, now: float) -> tuple[State | None, float | None, float | None]:
    """The state to which an event leads, and the times of the job's start and end if the event is one of these."""
    match event:
        case Started():
            return "running", now, None
        case Done():
            return "finished", None, now
        case Failed():
            return ("interrupted" if event.code == Interrupted.code else "failed"), None, now
        case Cancelled():
            return "cancelled", None, now
        case LayerBegin() | Notice():
            return None, None, None


def interruption(job: str, seq: int) -> Failed:
    """The last event of a job during which the server stopped."""
    error = Interrupted(
        "The server stopped while it was drawing this picture.",
        "Draw it again; the layers that were finished are still there.",
    )
    return Failed.of(error, job=job, seq=seq)


def request_digest(submit: Submit) -> str:
    """A digest of the work that a request needs; it does not depend on ids and seeds."""
    plain = {name: value for name, value in submit.to_map().items() if name not in _NO_WORK}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
