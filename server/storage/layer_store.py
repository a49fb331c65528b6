"""Layers and exported files on disk, each named by the SHA-256 of its bytes.

A file is written under a temporary name and renamed when it is complete. Server and worker use the same folder at the
same time. A layer's bytes are those of the wire: BGRA, straight alpha, rows without padding. Which job needs
which is in `database`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.protocol.location import is_running
from layerfusion.server.storage.ownership import check_private

_MOST_FRESH = 256
"""Files that are remembered as fresh; those of jobs whose client is away are forgotten some time."""


class LayerStore:
    """A folder of layers.

    Args:
        folder: the folder; it is created if it is missing, readable by its owner only.

    Raises:
        UnwritableFile: the folder cannot be created, or other users can use it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._drafts = folder / "drafts"
        self._fresh: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        check_private(folder)
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # `parents` of `folder` would be public
            folder.mkdir(mode=0o700, exist_ok=True)
            self._drafts.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def path(self, digest: str) -> Path:
        """The path of the layer with the given SHA-256, whether it exists or not."""
        if re.fullmatch("[0-9a-f]{64}", digest) is None:
            raise ValueError(f"{digest!r} is no SHA-256")
        return self.folder / digest[:2] / digest[2:]

    def has(self, digest: str, size: int | None = None) -> bool:
        """Whether the layer's file exists, with the given number of bytes. Its bytes are not read, see `is_whole`."""
        try:
            found = self.path(digest).stat().st_size
        except OSError:
            return False
        return size in (None, found)

    def is_whole(self, digest: str, size: int | None = None) -> bool:
        """Whether the layer's file exists, has the given number of bytes, and their SHA-256. It reads the file."""
        if not self.has(digest, size):
            return False
        try:
            with self.path(digest).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == digest
        except OSError:
            return False

    def read(self, digest: str) -> bytes:
        """The layer's pixels.

        Raises:
            FileNotFoundError: there is no such layer.
            DamagedLayer: its bytes have another SHA-256.
            OSError: the disk cannot read it.
        """
        pixels = self.path(digest).read_bytes()
        if hashlib.sha256(pixels).hexdigest() != digest:
            raise DamagedLayer(self.path(digest))
        return pixels

    def note_fresh(self, digest: str) -> None:
        """Remember a file that another process of ours has just written and hashed, until it is opened once.

        Only the process that sends layers calls this. It costs half of its time to hash them once more, and whoever
        receives them checks them again.
        """
        with contextlib.suppress(OSError):
            self._fresh[digest] = _fingerprint(self.path(digest).stat())
            while len(self._fresh) > _MOST_FRESH:
                self._fresh.popitem(last=False)

    def open(self, digest: str, size: int) -> BinaryIO:
        """Open a layer for reading, after all its bytes were checked, so that no reader gets wrong ones.

        A file that `note_fresh` has named is not read, the first time, unless it was changed since.

        Args:
            digest: the layer.
            size: the number of bytes that it must have.

        Raises:
            FileNotFoundError, DamagedLayer, OSError: see `read`.
        """
        file = self.path(digest).open("rb")
        try:
            found = os.fstat(file.fileno())
            fresh = self._fresh.pop(digest, None) == _fingerprint(found)
            if found.st_size != size or not (fresh or hashlib.file_digest(file, "sha256").hexdigest() == digest):
                raise DamagedLayer(self.path(digest))
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def put(self, pixels: bytes | memoryview) -> str:
        """Store `pixels` and return their SHA-256, which is computed while they are written.

        Raises:
            UnwritableFile: the disk is full or read-only.
        """
        with ThreadPoolExecutor(1) as thread, self.draft() as draft:
            hashing = thread.submit(hashlib.sha256, pixels)
            draft.write(pixels)
            digest = hashing.result().hexdigest()
            draft.keep(digest)
        return digest

    def draft(self) -> Draft:
        """Begin to store a layer that arrives in pieces.

        Raises:
            UnwritableFile: the disk is full or read-only.
        """
        return Draft(self, self._drafts)

    def remove(self, digest: str) -> bool:
        """Remove a file and return whether it is gone. On Windows, one that a reader has open stays."""
        with contextlib.suppress(OSError):
            self.path(digest).unlink(missing_ok=True)
            return True
        return False

    def clear_drafts(self) -> None:
        """Remove the drafts of processes that have ended."""
        for path in self._drafts.glob("*"):
            process = path.name.partition("-")[0]
            if not (process.isdecimal() and is_running(int(process))):
                with contextlib.suppress(OSError):
                    path.unlink()

    def files(self) -> Iterator[tuple[str, int]]:
        """(SHA-256 by its name, bytes) of every file."""
        for path in self.folder.glob("??/*"):
            with contextlib.suppress(OSError):  # removed meanwhile
                yield path.parent.name + path.name, path.stat().st_size


class DamagedLayer(FileNotFoundError):
    """A layer's file has other bytes than its name says, so that the layer is not there. Storing it again replaces the
    file."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.ENOENT, "its bytes are damaged", str(path))


class Draft:
    """A layer that is being written. If the `with` block ends without `keep`, it is deleted.

    Attributes:
        written: number of bytes so far.
    """

    def __init__(self, store: LayerStore, folder: Path) -> None:
        self._store = store
        self.written = 0
        try:
            self._file = tempfile.NamedTemporaryFile(prefix=f"{os.getpid()}-", dir=folder, delete=False)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise _unwritable(folder, error) from error
        self._path = Path(self._file.name)

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, pixels: bytes | memoryview) -> None:
        """Append bytes.

        Raises:
            UnwritableFile: the disk is full.
        """
        try:
            self._file.write(pixels)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self.written += memoryview(pixels).nbytes

    def keep(self, digest: str) -> None:
        """Move the layer into the store. `digest` is the SHA-256 of its bytes, which the caller has checked.

        Raises:
            UnwritableFile: the disk is full or read-only.
        """
        target = self._store.path(digest)
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            target.parent.mkdir(mode=0o700, exist_ok=True)
            if not self._store.is_whole(digest):  # Windows cannot replace a file that is open in a reader
                self._path.replace(target)
                _sync_folder(target.parent)
        except OSError as error:
            raise _unwritable(target, error) from error

    def close(self) -> None:
        """Delete the temporary file if it was not kept."""
        with contextlib.suppress(OSError):  # on a full disk, flushing the buffer fails again
            self._file.close()
        self._path.unlink(missing_ok=True)


def _fingerprint(found: os.stat_result) -> tuple[int, ...]:
    """What changes when somebody writes to a file."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _sync_folder(folder: Path) -> None:
    """Write a folder's entries to disk; Windows does this itself."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> UnwritableFile:
    return UnwritableFile(
        f"The layer store cannot write {path} ({error.strerror or error}).", "Free some space or choose another folder."
    )
