"""What becomes of every job, on disk: SQLite, one row a job and one a numbered event.

A job is written before it is acknowledged, an event before anybody is told of it, each in a transaction that has
reached the disk when the method returns. So whatever dies, what a client was told is still true afterwards.

    queued -> running -> finished | failed | cancelled | interrupted
    queued -> failed | cancelled

Rows go one way: a job is run at most once, and after its last event nothing about it changes but what its client has
acknowledged. Pixels are not in here; the events name them by SHA-256 (see `store`).
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
"""Fields of `Submit` that do not change what drawing it asks of the machine."""

_wire = Wire(msgpack.packb, msgpack.unpackb)


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """One job as it is on disk.

    Attributes:
        id: of the job, made by its client.
        client: whose turn it takes or took.
        submit: the message it came as.
        state: where it is between being queued and being over.
        submitted, started, ended: when, in seconds since 1970; None if not yet or never.
        last: number of its last event so far.
        layers: how many are finished.
        acknowledged: number of the last event its client says it has.
        fetched: when the client had acknowledged everything; None if it has not.
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
    """The database of one server. Any thread may call; one at a time is served.

    Args:
        path: the file; made if it is missing, unless `read_only`.
        read_only: only look; a server may be running on the file meanwhile.
        now: seconds since 1970.

    Raises:
        BrokenStore: the file is damaged, no database, or of a newer version.
        UnwritableFile: the file cannot be written, or for `read_only` is not there.
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
        """Nothing more will be asked. What was promised is on disk already."""
        with self._lock:
            self._database.close()

    # ---- the life of a job

    def add(self, submits: Sequence[Submit], client: str) -> None:
        """Queue jobs: all of them or, if anything fails, none. Their ids must be new."""
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
        """Write a job's next event, and the state it leads to.

        Returns:
            Whether it was written. False if the job is over, unknown, or for `Started` not waiting: of two that claim
            a job one gets it.
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
        """End every job that is still called running, as its server died, and every waiting one that a version wrote
        which took what this one does not. Returns their ids."""
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
        """The client has all of the job's events up to `seq`."""
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

    def add_file(self, job: str, sha256: str, size: int) -> None:
        """The job needs this file too: an export that was made of it."""
        with self._transaction() as database:
            database.execute("INSERT OR IGNORE INTO files VALUES (?, ?, ?)", (job, sha256, size))

    def delete(self, jobs: Sequence[str]) -> None:
        """Forget jobs that are over, with their events."""
        with self._transaction() as database:
            database.executemany(
                "DELETE FROM jobs WHERE id = ? AND state NOT IN ('queued', 'running')", [(job,) for job in jobs]
            )

    # ---- asking

    def find(self, job: str) -> JobRecord | None:
        """The job of that id."""
        return next(iter(self._select(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job,))), None)  # noqa: S608

    def jobs(self, *, states: Sequence[State] = get_args(State), newest: int | None = None) -> list[JobRecord]:
        """Jobs in the order in which they came; with `newest`, so many of the last, last first."""
        order = "number" if newest is None else "number DESC LIMIT ?"
        return self._select(
            f"SELECT {_COLUMNS} FROM jobs WHERE state IN ({', '.join('?' * len(states))}) ORDER BY {order}",  # noqa: S608
            (*states, *([] if newest is None else [newest])),
        )

    def outlines(self) -> list[tuple[str, State, float | None, float | None]]:
        """(id, state, when it ended, when it was fetched) of every job, also of those whose request this version does
        not understand."""
        return self._query("SELECT id, state, ended, fetched FROM jobs")

    def events(self, job: str, *, after: int = 0) -> list[Event]:
        """The job's events from `after` + 1 on."""
        rows = self._query("SELECT message FROM events WHERE job = ? AND seq > ? ORDER BY seq", (job, after))
        messages = [_wire.decode(row[0]) for row in rows]
        return [message for message in messages if isinstance(message, Event)]

    def files(self) -> list[tuple[str, str, int]]:
        """(job, SHA-256, bytes) of every file that a job needs."""
        return self._query("SELECT job, sha256, bytes FROM files")

    # ---- requests that end the worker

    def note_death(self, submit: Submit, reason: str) -> None:
        """Drawing this ended the process that draws."""
        with self._transaction() as database:
            database.execute("INSERT INTO deaths VALUES (?, ?, ?)", (request_digest(submit), self._now(), reason))

    def deaths(self, submit: Submit, seconds: float) -> list[str]:
        """Why the process that draws ended over this request or one that differs in its seed, of late; oldest first."""
        rows = self._query(
            "SELECT reason FROM deaths WHERE request = ? AND at >= ? ORDER BY at",
            (request_digest(submit), self._now() - seconds),
        )
        return [row[0] for row in rows]

    def forgive(self, submit: Submit) -> None:
        """Drawing this went well after all."""
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
            if version == 0:
                database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            else:
                database.execute("BEGIN IMMEDIATE")  # says now if the file cannot be written
                database.execute("ROLLBACK")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """What happens inside is on disk after it, or has not happened."""
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
        """SQLite's errors, in words for a person."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise UnwritableFile(
                f"The jobs in {self.path} cannot be written ({error}).", "Free some space or choose another folder."
            ) from error
        except sqlite3.DatabaseError as error:
            raise BrokenStore(
                f"The jobs in {self.path} cannot be read ({error}).",
                "Move that file away to begin with an empty list; the layers beside it stay.",
            ) from error


def _open(path: Path, read_only: bool) -> sqlite3.Connection:
    if not read_only:
        with contextlib.suppress(OSError):  # SQLite says it better; this is for the mode
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    mode = "rw" if read_only else "rwc"  # to read along, SQLite may have to make the file that shares its memory
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
    """Why a request on disk is none for this version: another one wrote it, which took more or needed less."""
    try:
        _wire.decode(packed)
    except InvalidMessage as error:
        return error
    return None


def _consequence(event: Event, now: float) -> tuple[State | None, float | None, float | None]:
    """The state an event leads to, and when the job started and ended if it just did."""
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
    """The last event of a job whose server stopped in the middle of it."""
    error = Interrupted(
        "The server stopped while it was drawing this picture.",
        "Draw it again; the layers that were finished are still there.",
    )
    return Failed.of(error, job=job, seq=seq)


def request_digest(submit: Submit) -> str:
    """The same for requests that ask the same work of the machine: ids and seeds do not count."""
    plain = {name: value for name, value in submit.to_map().items() if name not in _NO_WORK}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
