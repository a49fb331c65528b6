"""What can be read of a list of jobs that is damaged."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

Row = dict[str, Any]
"""A row of a table: its columns and values."""

_TABLES = {"jobs": "number", "events": "job, seq", "files": "job, sha256", "styles": "user, name"}
"""The tables, with the columns by which a damaged one is read from both ends."""


class Remains:
    """What can be read of one list.

    Attributes:
        jobs: rows of jobs by their ids.
        events: rows of each job's events, from number 1 on, up to the first one that is missing.
        files: rows of the files of each job.
        styles: rows of the styles of all users.
    """

    def __init__(self, path: Path) -> None:
        rows = _read(path)
        self.jobs: dict[str, Row] = {row["id"]: row for row in rows["jobs"]}
        self.events: dict[str, list[Row]] = {}
        self.files: dict[str, list[Row]] = {}
        self.styles: list[Row] = rows["styles"]
        for row in sorted(rows["events"], key=lambda row: (row["job"], row["seq"])):
            before = self.events.setdefault(row["job"], [])
            if row["seq"] == len(before) + 1:
                before.append(row)
        for row in rows["files"]:
            self.files.setdefault(row["job"], []).append(row)

    def completeness(self, job: str) -> tuple[bool, int]:
        """Whether all events of a job could be read, and how many; the higher, the better."""
        if job not in self.jobs:
            return False, -1
        count = len(self.events.get(job, ()))
        return count == self.jobs[job]["last"], count


def _read(path: Path) -> dict[str, list[Row]]:
    """The readable rows of each table. A copy of the list and its log is read, so that the original stays as it is."""
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        copy = Path(temporary) / path.name
        damaged = None
        with contextlib.suppress(OSError, sqlite3.Error):
            for suffix in ("", "-wal"):
                file = path.with_name(path.name + suffix)
                if file.exists():
                    shutil.copyfile(file, copy.with_name(file.name))
            if copy.exists():
                damaged = stack.enter_context(contextlib.closing(sqlite3.connect(copy)))
        return {table: [] if damaged is None else _salvage(damaged, table) for table in _TABLES}


def _salvage(damaged: sqlite3.Connection, table: str) -> list[Row]:
    """The rows of a table that can be read, from its beginning to the damage and from its end to the damage."""
    rows: dict[tuple[Any, ...], Row] = {}
    keys = _TABLES[table].split(", ")
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{key} {direction}" for key in keys)
        with contextlib.suppress(sqlite3.Error):
            cursor = damaged.execute(f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608 - our own names
            names = [column[0] for column in cursor.description]
            for row in cursor:
                values = dict(zip(names, row, strict=True))
                rows[tuple(values[key] for key in keys)] = values
    return list(rows.values())
