"""The room that a folder has for further layers, and a reserve with which a server starts on a full disk.

To delete something, SQLite first has to write, and so does the runtime file by which clients find the server. A file of
some megabytes is therefore kept, which is given up when the disk is full.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

RESERVE_BYTES = 8 * 1024**2
"""Size of the reserve: enough to delete many jobs and to copy a short list. Our choice."""

_NAME = "reserve"


class Room:
    """The room of one folder.

    Args:
        folder: the server's folder.
        store_bytes: limit of all layers together, in bytes.
        free_bytes: bytes of the disk that are left free for the rest of the system.

    Attributes:
        used: bytes of the layers and files in the store, as far as known.
    """

    def __init__(self, folder: Path, *, store_bytes: int, free_bytes: int) -> None:
        self._folder = folder
        self._reserve = folder / _NAME
        self._store_bytes = store_bytes
        self._free_bytes = free_bytes
        self.used = 0

    def has(self, more: int = 0) -> bool:
        """Whether so many more bytes fit into the quota and on the disk."""
        return self.used + more < self._store_bytes and self.free() - more > self._free_bytes

    def lacking(self) -> int:
        """Bytes that must be removed until a tenth of the quota, twice `free_bytes` and the reserve are free; 0 if they
        are."""
        reserve = 0 if self._reserve.exists() else RESERVE_BYTES
        return max(0, self.used - self._store_bytes * 9 // 10, 2 * self._free_bytes + reserve - self.free())

    def free(self) -> int:
        """Free bytes of the disk."""
        return shutil.disk_usage(self._folder).free

    def keep_reserve(self) -> None:
        """Make the reserve, if the disk has room for it and more."""
        if not self._reserve.exists() and self.free() > self._free_bytes + RESERVE_BYTES:
            try:
                with self._reserve.open("xb") as file:
                    file.write(os.urandom(RESERVE_BYTES))  # zeros may take no place on a disk that compresses
            except OSError:
                self.give_up_reserve()

    def give_up_reserve(self) -> bool:
        """Remove the reserve. Returns whether there was one."""
        with contextlib.suppress(OSError):
            self._reserve.unlink()
            return True
        return False
