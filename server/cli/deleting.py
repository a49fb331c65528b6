"""Deletes jobs of a server's folder: through the server while one uses the folder, otherwise directly."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from websockets.exceptions import WebSocketException

from layerfusion.server.cli.console import CommandError
from layerfusion.server.client.client import Client
from layerfusion.server.config import database, layers
from layerfusion.server.errors import StoreInUse
from layerfusion.server.protocol import location
from layerfusion.server.protocol.errors import ProtocolError
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.storage.lock import FolderLock, owner
from layerfusion.server.storage.retention import delete

Delete = Callable[[str], None]
"""Deletes the job with the given id, with its prompts, layers and files."""


@contextlib.contextmanager
def deleting(folder: Path) -> Iterator[Delete]:
    """Give the function that deletes jobs of a folder.

    Raises:
        CommandError: the job is not over; or a server uses the folder that is not this user's, or does not answer.
        StoreInUse: another command uses the folder.
        BrokenStore, UnwritableFile: the folder cannot be used.
    """
    try:
        lock = FolderLock(folder)
    except StoreInUse:
        runtime = location.read()
        if runtime is None or runtime.pid != owner(folder):
            raise
        with _errors(), Client.connect(runtime) as client:
            yield client.delete
        return
    with contextlib.ExitStack() as stack:
        stack.callback(lock.release)
        records = stack.enter_context(closing(Database(database(folder))))
        stack.enter_context(_errors())
        store = LayerStore(layers(folder))
        yield lambda job: delete(records, store, job)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except ProtocolError as error:
        raise CommandError(str(error)) from error
    except (ConnectionError, TimeoutError, WebSocketException) as error:
        raise CommandError(f"The running server does not answer: {error}") from error
