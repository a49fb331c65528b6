"""One server to a folder. The operating system holds the lock and lets go of it when the process ends, however."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.errors import StoreInUse

NAME = "server.lock"


class FolderLock:
    """Holds a folder until `release`, or until the process ends.

    Args:
        folder: which; made if it is missing, readable by its owner alone.

    Raises:
        StoreInUse: another process holds it.
        UnwritableFile: the lock's file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise UnwritableFile(
                f"The folder {folder} cannot be written ({error.strerror or error}).",
                "Make it writable or choose another with --folder.",
            ) from error
        try:
            _lock(self._file)
        except OSError as error:
            owner = _owner(self._file)
            os.close(self._file)
            raise StoreInUse(
                f"The folder {folder} is used by a running server{f', process {owner}' if owner else ''}.",
                "Stop that server first, or choose another folder with --folder.",
            ) from error
        with contextlib.suppress(OSError):  # only for the other one's message; a full disk is met elsewhere
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, str(os.getpid()).encode())

    def release(self) -> None:
        """Let others have the folder."""
        with contextlib.suppress(OSError):
            os.close(self._file)


def _owner(file: int) -> str:
    with contextlib.suppress(OSError):
        os.lseek(file, 0, os.SEEK_SET)
        text = os.read(file, 20).decode("ascii", "replace")
        return text if text.isdecimal() else ""
    return ""


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, 1 << 20, os.SEEK_SET)  # far behind the text: a locked byte cannot be read by the other one
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
