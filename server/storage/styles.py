"""The styles of each user, in the database of the server."""

from __future__ import annotations

import logging

import msgpack

from layerfusion.server.protocol.errors import InvalidMessage
from layerfusion.server.protocol.styles import Style, check_name
from layerfusion.server.storage.database import Database

logger = logging.getLogger(__name__)


def styles(database: Database, user: str) -> tuple[Style, ...]:
    """The styles of a user, by name; those that this version does not understand are left out.

    Args:
        database: the server's database.
        user: the user's name; empty for the owner.
    """
    with database.transaction() as connection:
        rows = connection.execute("SELECT style FROM styles WHERE user = ? ORDER BY name", (user,)).fetchall()
    found = (_understood(packed) for (packed,) in rows)
    return tuple(style for style in found if style is not None)


def save(database: Database, user: str, style: Style, replaces: str | None) -> None:
    """Save a style, in place of another one or of none.

    Raises:
        StyleExists: another one has its name.
        TooManyStyles: the user has too many.
    """
    with database.transaction() as connection:
        rows = connection.execute("SELECT name FROM styles WHERE user = ?", (user,))
        check_name(style, replaces, [name for (name,) in rows])
        connection.execute("DELETE FROM styles WHERE user = ? AND name = ?", (user, replaces))
        packed = msgpack.packb(style.to_map())
        connection.execute("INSERT INTO styles VALUES (?, ?, ?)", (user, style.name, packed))


def delete(database: Database, user: str, name: str) -> None:
    """Delete a style; nothing happens if there is none of that name."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM styles WHERE user = ? AND name = ?", (user, name))


def _understood(packed: bytes) -> Style | None:
    try:
        return Style.from_map(msgpack.unpackb(packed))
    except (InvalidMessage, ValueError, TypeError) as error:
        logger.warning("a style is not understood: %s", error)
        return None
