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
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import get_args

from layerfusion.server.protocol.errors import InvalidMessage
from layerfusion.server.protocol.messages import Event, Existing, Failed, LayerBegin, Started, State, Submit
from layerfusion.server.storage.records import (
    COLUMNS,
    OUTLINE_COLUMNS,
    JobOutline,
    JobRecord,
    consequence,
    interruption,
    problem,
    record,
    request_digest,
    wire,
)
from layerfusion.server.storage.service_clock import ServiceClock
from layerfusion.server.storage.sqlite_file import SqliteFile
from layerfusion.server.storage.users import OF_NAMED_USERS

LIVE: tuple[State, ...] = ("queued", "running")

_COLUMNS = ", ".join(COLUMNS)
_OUTLINE = ", ".join(OUTLINE_COLUMNS)


class Database:
    """The database of one server. Its methods may be called from any thread; a lock serialises them.

    Args:
        path: the file; it is created if it is missing, unless `read_only`.
        read_only: read only, which is possible while a server uses the file.
        now: the computer's clock, in seconds since 1970.
        service: the clock by which ages are counted; None continues the one in the file (see `service_clock`).

    Raises:
        BrokenStore: the file is damaged, no database, or of a newer version.
        UnwritableFile: the file cannot be written, other users can use it, or with `read_only` it is missing.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        now: Callable[[], float] = time.time,
        service: Callable[[], float] | None = None,
    ) -> None:
        self.path = path
        self._now = now
        self._file = SqliteFile(path, read_only=read_only)
        ((seconds, at),) = self._file.query("SELECT seconds, clock FROM service") or [(0.0, now())]
        self.service = service or ServiceClock(seconds, at, now=now())

    @property
    def changes(self) -> int:
        """Number of transactions so far."""
        return self._file.changes

    def close(self) -> None:
        """Close the database. All writes are on disk already."""
        self._file.close()

    # ---- the life of a job

    def add(self, submits: Sequence[Submit], client: str) -> None:
        """Queue the jobs of one submission, which has the first one's id, in one transaction. Their ids must be new."""
        with self._file.transaction() as database:
            for submit in submits:
                database.execute(
                    "INSERT INTO jobs "
                    "(id, client, request, submit, state, submitted, title, width, height, submission, passing) "
                    "VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
                    (
                        submit.job,
                        client,
                        request_digest(submit),
                        wire.encode(submit),
                        self._now(),
                        submit.title,
                        submit.width,
                        submit.height,
                        submits[0].job,
                        submit.passing,
                    ),
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
        state, started, ended = consequence(event, self._now())
        before = ("queued",) if isinstance(event, Started) else LIVE
        with self._file.transaction() as database:
            changed = database.execute(
                "UPDATE jobs SET state = coalesce(?, state), started = coalesce(?, started), ended = ?, "  # noqa: S608
                "ended_in_service = ?, last = ?, layers = layers + ? "
                f"WHERE id = ? AND last = ? - 1 AND state IN ({', '.join('?' * len(before))})",
                (
                    state,
                    started,
                    ended,
                    self.service(),
                    event.seq,
                    isinstance(event, LayerBegin),
                    event.job,
                    event.seq,
                    *before,
                ),
            ).rowcount
            if not changed:
                return False
            database.execute("INSERT INTO events VALUES (?, ?, ?)", (event.job, event.seq, wire.encode(event)))
            if isinstance(event, LayerBegin):
                database.execute("INSERT OR IGNORE INTO files VALUES (?, ?, ?)", (event.job, event.sha256, event.bytes))
        return True

    def interrupt(self) -> list[str]:
        """End the jobs that a previous server left in state running, and the waiting jobs with a request that this
        version does not accept. Returns their ids."""
        rows = self._file.query("SELECT id, last, state, submit FROM jobs WHERE state IN ('queued', 'running')")
        ended = []
        for job, last, state, submit in rows:
            if state == "running":
                ended.append(interruption(job, last + 1))
            elif (error := problem(submit)) is not None:
                ended.append(Failed.of(InvalidMessage(error.message, "Submit it anew."), job=job, seq=last + 1))
        for event in ended:
            self.append(event)
        return [event.job for event in ended]

    def acknowledge(self, job: str, seq: int) -> None:
        """Record that the client has all events of a job up to `seq`."""
        with self._file.transaction() as database:
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
        with self._file.transaction() as database:
            return bool(
                database.execute(
                    "INSERT OR REPLACE INTO files SELECT id, ?, ? FROM jobs WHERE id = ?", (sha256, size, job)
                ).rowcount
            )

    def rename(self, job: str, name: str) -> bool:
        """Give a job a name; empty takes it away. False if there is no such job."""
        with self._file.transaction() as database:
            return bool(database.execute("UPDATE jobs SET name = ? WHERE id = ?", (name, job)).rowcount)

    def delete(self, jobs: Sequence[str]) -> None:
        """Delete those of the jobs that are over, with their events, and leave no trace of their prompts in the file.

        Files that no other job needs become loose (see `loose`), to be removed at once.
        """
        with self._file.transaction() as database:
            for job in jobs:
                _delete(database, job, "state NOT IN ('queued', 'running')")
        self._file.forget_log()

    def delete_passing(self) -> None:
        """Delete all passing jobs, also those that are not over: no client of a server that begins waits for one."""
        with self._file.transaction() as database:
            for (job,) in database.execute("SELECT id FROM jobs WHERE passing").fetchall():
                _delete(database, job, "passing")
        self._file.forget_log()

    # ---- files that no job needs

    def add_loose(self, sha256: str, size: int, client: str, seconds: float) -> None:
        """Record that a client has uploaded a layer, which is kept for so many seconds in service without a job. This
        must come before the file, because a file of which the database knows nothing is never removed."""
        with self._file.transaction() as database:
            values = (sha256, size, client, self.service() + seconds)
            database.execute("INSERT OR REPLACE INTO loose VALUES (?, ?, ?, ?)", values)

    def loose(self) -> list[tuple[str, int, float]]:
        """(SHA-256, bytes, until when it is kept in seconds in service) of every file that no job needs."""
        return self._file.query(
            "SELECT sha256, bytes, until FROM loose WHERE NOT EXISTS "
            "(SELECT 1 FROM files WHERE files.sha256 = loose.sha256)"
        )

    def has_loose(self, client: str, sha256: str) -> bool:
        """Whether this client has uploaded a layer that is still kept without a job."""
        found = self._file.query(
            "SELECT 1 FROM loose WHERE sha256 = ? AND client = ? AND until > ?", (sha256, client, self.service())
        )
        return bool(found)

    def keep_loose(self, digests: Collection[str], seconds: float) -> None:
        """Keep files for so many seconds in service from now on, because their client is still connected."""
        with self._file.transaction() as database:
            until = self.service() + seconds
            database.executemany(
                "UPDATE loose SET until = max(until, ?) WHERE sha256 = ?", [(until, digest) for digest in digests]
            )

    def remove_loose(self, sha256: str, remove: Callable[[], bool]) -> bool:
        """Remove a file that no job needs and that is kept no longer. Meanwhile nobody else can begin to need it.

        Args:
            sha256: the file.
            remove: removes it and returns whether it is gone.
        """
        with self._file.transaction() as database:
            over = database.execute(
                "SELECT 1 FROM loose WHERE sha256 = ? AND until <= ? AND NOT EXISTS "
                "(SELECT 1 FROM files WHERE files.sha256 = loose.sha256)",
                (sha256, self.service()),
            ).fetchone()
            if over is None or not remove():
                return False
            database.execute("DELETE FROM loose WHERE sha256 = ?", (sha256,))
        return True

    # ---- queries

    def state(self, job: str) -> State | None:
        """The state of the job with the given id, also one that this version does not understand; None without one."""
        return next((row[0] for row in self._file.query("SELECT state FROM jobs WHERE id = ?", (job,))), None)

    def find(self, job: str) -> JobRecord | None:
        """The job with the given id; None if there is none."""
        return next(iter(self._records(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job,))), None)  # noqa: S608

    def ids(self, beginning: str) -> list[str]:
        """The ids that begin with a text, oldest job first."""
        question = "SELECT id FROM jobs WHERE substr(id, 1, ?) = ? ORDER BY number"
        rows = self._file.query(question, (len(beginning), beginning))
        return [row[0] for row in rows]

    def jobs(
        self, *, states: Sequence[State] = get_args(State), newest: int | None = None, client: str | None = None
    ) -> list[JobRecord]:
        """Jobs in the given states, oldest first. With `newest`, only that many of the newest jobs, newest first. With
        `client`, only that client's."""
        order = "number" if newest is None else "number DESC LIMIT ?"
        mine = "" if client is None else "AND client = ? "
        return self._records(
            f"SELECT {_COLUMNS} FROM jobs WHERE state IN ({', '.join('?' * len(states))}) {mine}ORDER BY {order}",  # noqa: S608
            (*states, *([] if client is None else [client]), *([] if newest is None else [newest])),
        )

    def outlines(
        self, *, newest: int | None = None, client: str | None = None, owners: bool = False
    ) -> list[JobOutline]:
        """The outline of every job that is not passing, oldest first, including jobs with a request that this version
        does not understand. With `newest`, only that many of the newest jobs, newest first. With `client`, only that
        client's. With `owners`, only those of the server's owner, who has a client key for each program."""
        order = "number" if newest is None else "number DESC LIMIT ?"
        mine = "AND client NOT GLOB ? " if owners else "" if client is None else "AND client = ? "
        whose = [OF_NAMED_USERS] if owners else [] if client is None else [client]
        rows = self._file.query(
            f"SELECT {_OUTLINE} FROM jobs WHERE NOT passing {mine}ORDER BY {order}",  # noqa: S608
            [*whose, *([] if newest is None else [newest])],
        )
        return [JobOutline(*row) for row in rows]

    def events(self, job: str, *, after: int = 0) -> list[Event]:
        """The job's events from `after` + 1 on."""
        rows = self._file.query("SELECT message FROM events WHERE job = ? AND seq > ? ORDER BY seq", (job, after))
        messages = [wire.decode(row[0]) for row in rows]
        return [message for message in messages if isinstance(message, Event)]

    def has_file(self, client: str, sha256: str) -> bool:
        """Whether a job of this client has a layer or file."""
        found = self._file.query(
            "SELECT 1 FROM files JOIN jobs ON jobs.id = files.job WHERE sha256 = ? AND client = ? LIMIT 1",
            (sha256, client),
        )
        return bool(found)

    def files(self) -> list[tuple[str, str, int]]:
        """(job, SHA-256, bytes) of every file that a job needs."""
        return self._file.query("SELECT job, sha256, bytes FROM files")

    # ---- requests that make the worker process die

    def note_death(self, submit: Submit, reason: str) -> None:
        """Record that the worker process died while it drew this request."""
        with self._file.transaction() as database:
            database.execute("INSERT INTO deaths VALUES (?, ?, ?)", (request_digest(submit), self._now(), reason))

    def deaths(self, submit: Submit, seconds: float) -> list[str]:
        """The reasons of the worker's deaths in the last `seconds` over this request, or one that differs only in ids
        and seeds; oldest first."""
        rows = self._file.query(
            "SELECT reason FROM deaths WHERE request = ? AND at >= ? ORDER BY at",
            (request_digest(submit), self._now() - seconds),
        )
        return [row[0] for row in rows]

    def forgive(self, submit: Submit) -> None:
        """Delete the record of deaths over this request, because it was drawn successfully."""
        with self._file.transaction() as database:
            database.execute("DELETE FROM deaths WHERE request = ?", (request_digest(submit),))

    # ---- the file

    def transaction(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        """See `SqliteFile.transaction`; for `rescue`, which writes rows of another list."""
        return self._file.transaction()

    def save_service(self) -> None:
        """Write down the seconds in service, for the next server."""
        with self._file.transaction() as database:
            database.execute("DELETE FROM service")
            database.execute("INSERT INTO service VALUES (?, ?)", (self.service(), self._now()))

    def copy(self, target: Path) -> None:
        """See `SqliteFile.copy`."""
        self._file.copy(target)

    def _records(self, question: str, values: Sequence[object]) -> list[JobRecord]:
        records = (record(row) for row in self._file.query(question, values))
        return [each for each in records if each is not None]


def _delete(database: sqlite3.Connection, job: str, only: str) -> None:
    """Delete a job of which a condition is true, with its events. Files that no other job needs become loose."""
    files = database.execute("SELECT sha256, bytes FROM files WHERE job = ?", (job,)).fetchall()
    if database.execute(f"DELETE FROM jobs WHERE id = ? AND {only}", (job,)).rowcount:  # noqa: S608 - our own conditions
        database.executemany(
            "INSERT OR IGNORE INTO loose SELECT ?, ?, '', 0 WHERE NOT EXISTS (SELECT 1 FROM files WHERE sha256 = ?)",
            [(digest, size, digest) for digest, size in files],
        )
