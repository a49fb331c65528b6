"""Answers a client's requests about the styles of its user."""

from __future__ import annotations

from layerfusion.engine.errors import EngineError
from layerfusion.server.net.session import StyleRequest
from layerfusion.server.protocol.errors import ProtocolError
from layerfusion.server.protocol.messages import DeleteStyle, ListStyles, SaveStyle, StyleFailed, Styles
from layerfusion.server.queue.scheduler import Scheduler
from layerfusion.server.storage import styles
from layerfusion.server.storage.database import Database


async def answer(request: StyleRequest, scheduler: Scheduler, database: Database, user: str) -> Styles | StyleFailed:
    """Do what a client asks for, and say which styles there are then.

    Args:
        request: what the client asks for.
        scheduler: runs what needs the disk.
        database: the server's database.
        user: the user's name; empty for the owner.
    """
    name = None
    try:
        match request:
            case SaveStyle():
                name = request.style.name
                await scheduler.on_disk(styles.save, database, user, request.style, request.replaces)
            case DeleteStyle():
                name = request.name
                await scheduler.on_disk(styles.delete, database, user, name)
            case ListStyles():
                pass
        return Styles(styles=await scheduler.on_disk(styles.styles, database, user))
    except (EngineError, ProtocolError) as error:
        return StyleFailed.of(error, name=name)
