"""The tables of the database, and how those of earlier versions are brought up to date.

version 1   jobs, events, files, deaths
version 2   titles and sizes of jobs, so that lists need not read requests; times in service (see `service_clock`);
            `loose` and `service`
version 3   names of jobs, and the submissions to which they belong
version 4   styles of users
version 5   passing jobs, which are in no list
"""

from __future__ import annotations

import sqlite3
from typing import Any, get_args

import msgpack

from layerfusion.server.protocol.messages import State
from layerfusion.server.protocol.titles import title

VERSION = 5

_JOBS = f"""
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
"""
_SECOND = """
ALTER TABLE jobs ADD COLUMN title TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN width INTEGER NOT NULL DEFAULT 1;
ALTER TABLE jobs ADD COLUMN height INTEGER NOT NULL DEFAULT 1;
ALTER TABLE jobs ADD COLUMN ended_in_service REAL NOT NULL DEFAULT 0;
CREATE INDEX files_by_sha256 ON files (sha256);
CREATE TABLE loose (
    sha256 TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    client TEXT NOT NULL,
    until REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE service (seconds REAL NOT NULL, clock REAL NOT NULL) STRICT;
"""
_THIRD = """
ALTER TABLE jobs ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN submission TEXT NOT NULL DEFAULT '';
"""
_FOURTH = """
CREATE TABLE styles (
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    style BLOB NOT NULL,
    PRIMARY KEY (user, name)
) STRICT, WITHOUT ROWID;
"""
_FIFTH = "ALTER TABLE jobs ADD COLUMN passing INTEGER NOT NULL DEFAULT 0;"


def prepare(database: sqlite3.Connection, version: int) -> None:
    """Create the tables, or add what an earlier version did not have, in one transaction."""
    database.execute("BEGIN IMMEDIATE")  # raises now if the file cannot be written
    try:
        if version < 1:
            _run(database, _JOBS)
        if version < 2:
            _run(database, _SECOND)
            _fill_titles(database)
        if version < 3:
            _run(database, _THIRD)
        if version < 4:
            _run(database, _FOURTH)
        if version < 5:
            _run(database, _FIFTH)
        if version < VERSION:
            database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise


def _run(database: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";"):  # `executescript` would commit after each
        if statement.strip():
            database.execute(statement)


def _fill_titles(database: sqlite3.Connection) -> None:
    for number, packed in database.execute("SELECT number, submit FROM jobs").fetchall():
        database.execute(
            "UPDATE jobs SET title = ?, width = ?, height = ? WHERE number = ?", (*outline(packed), number)
        )


def outline(packed: bytes) -> tuple[str, int, int]:
    """Title, width and height of a request, which this version need not accept."""
    try:
        submit: dict[str, Any] = msgpack.unpackb(packed)
        prompts = [str(source["prompt"]) for source in (*submit["foregrounds"], submit["background"])]
        return title(prompts), int(submit["width"]), int(submit["height"])
    except (ValueError, KeyError, TypeError):
        return "", 1, 1
