"""Locks that let only one server use something. The operating system releases them when the process ends in any way."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.errors import StoreInUse
from layerfusion.server.storage.ownership import check_private

NAME = "server.lock"


class FolderLock:
    """Locks a folder until `release`, or until the process ends.

    Args:
        folder: the folder; it is created if it is missing, readable by its owner only.

    Raises:
        StoreInUse: another process has locked it.
        UnwritableFile: the lock file cannot be created, or other users can use the folder.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        check_private(folder)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise UnwritableFile(
                f"The folder {folder} cannot be written ({error.strerror or error}).",
                "Make it writable, or choose another folder with --folder.",
            ) from error
        try:
            lock(self._file)
        except OSError as error:
            process = _process(self._file)
            os.close(self._file)
            raise StoreInUse(
                f"The folder {folder} is used by a running server{f', process {process}' if process else ''}.",
                "Stop that server first, or choose another folder with --folder.",
            ) from error
        with contextlib.suppress(OSError):  # the process id is only for the other server's message
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, str(os.getpid()).encode())

    def release(self) -> None:
        """Release the lock."""
        with contextlib.suppress(OSError):
            os.close(self._file)


def owner(folder: Path) -> int | None:
    """The process that has locked the folder, or did so last; None if no process ever did."""
    try:
        file = os.open(folder / NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        return int(_process(file) or 0) or None
    finally:
        os.close(file)


def _process(file: int) -> str:
    with contextlib.suppress(OSError):
        os.lseek(file, 0, os.SEEK_SET)
        text = os.read(file, 20).decode("ascii", "replace")
        return text if text.isdecimal() else ""
    return ""


if sys.platform == "win32":
    import msvcrt

    def lock(file: int) -> None:
        """Lock an open file, or raise `OSError` if another process has locked it."""
        os.lseek(file, 1 << 20, os.SEEK_SET)  # far behind the text, because other processes cannot read a locked byte
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def lock(file: int) -> None:
        """Lock an open file, or raise `OSError` if another process has locked it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
