"""One SQLite file: transactions that are on disk when they end, queries, copies while it is in use, and errors with a
remedy. `database` has the tables' meaning."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.errors import BrokenStore
from layerfusion.server.storage import schema
from layerfusion.server.storage.ownership import check_private

RECOVER = (
    "Stop the server and run “layerfusion jobs recover”, which sets it aside with its layers and rebuilds the list."
)


class SqliteFile:
    """An open database file. Its methods may be called from any thread; a lock serialises them.

    Args:
        path: the file; it is created if it is missing, unless `read_only`.
        read_only: read only, which is possible while a server uses the file.

    Attributes:
        changes: number of transactions so far.

    Raises:
        BrokenStore: the file is damaged, no database, or of another version that cannot be used.
        UnwritableFile: the file cannot be written, other users can use it, or with `read_only` it is missing.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.changes = 0
        self._lock = threading.Lock()
        check_private(path)
        with self.errors():
            self._database = _open(path, read_only)
            try:
                self._prepare(read_only)
            except BaseException:
                self._database.close()
                raise

    def close(self) -> None:
        """Close the file. All writes are on disk already."""
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction: it is committed to disk at the end of the block, and rolled back on an exception."""
        with self._lock, self.errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back already where it had to
                    self._database.execute("ROLLBACK")
                raise
            self.changes += 1

    def query(self, question: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows that answer a question."""
        with self._lock, self.errors():
            return self._database.execute(question, values).fetchall()

    def forget_log(self) -> None:
        """Empty the log of transactions, which still has what was deleted."""
        with self._lock, self.errors():
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def copy(self, target: Path) -> None:
        """Write a copy to a new file, of one moment, while the database is in use.

        Raises:
            BrokenStore: the copy has a damage that this database did not show yet.
            UnwritableFile: the disk is full or read-only.
        """
        with (
            self.errors(),
            contextlib.closing(_open(self.path, read_only=True)) as source,
            contextlib.closing(_open(target, read_only=False)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            _check(copy)

    def _prepare(self, read_only: bool) -> None:
        database = self._database
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > schema.VERSION:
            raise BrokenStore(
                f"The jobs in {self.path} were written by a newer version of this program.",
                "Update it, or choose another folder with --folder.",
            )
        database.execute("PRAGMA foreign_keys = ON")
        if read_only:
            database.execute("PRAGMA query_only = ON")
            if version < schema.VERSION:
                raise BrokenStore(
                    f"The jobs in {self.path} were written by an earlier version of this program.",
                    "Start the server of this version once, which brings the list up to date.",
                )
        else:
            _check(database)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA secure_delete = ON")  # deleted prompts are overwritten
            schema.prepare(database, version)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn SQLite's errors into ours, which have a remedy."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise UnwritableFile(
                f"The jobs in {self.path} cannot be written ({error}).", "Free some space or choose another folder."
            ) from error
        except sqlite3.DatabaseError as error:
            raise BrokenStore(f"The jobs in {self.path} cannot be read ({error}).", RECOVER) from error


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


def _check(database: sqlite3.Connection) -> None:
    """Raise `sqlite3.DatabaseError` for a damaged file. It reads the whole file."""
    problem = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise sqlite3.DatabaseError(problem)
