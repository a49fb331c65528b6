"""Layers and exported files on disk, each named by the SHA-256 of its bytes.

A file is written under a temporary name and renamed when it is complete. Server and worker use the same folder at the
same time. A layer's bytes are those of the wire: BGRA, straight alpha, rows without padding. Which job needs
which is in `database`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from layerfusion.engine.errors import UnwritableFile


class LayerStore:
    """A folder of layers.

    Args:
        folder: the folder; it is created if it is missing, readable by its owner only.

    Raises:
        UnwritableFile: the folder cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._drafts = folder / "drafts"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._drafts.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def path(self, digest: str) -> Path:
        """The path of the layer with the given SHA-256, whether it exists or not."""
        if re.fullmatch("[0-9a-f]{64}", digest) is None:
            raise ValueError(f"{digest!r} is no SHA-256")
        return self.folder / digest[:2] / digest[2:]

    def has(self, digest: str) -> bool:
        """Whether the layer exists. If so, its age for `prune` starts anew."""
        try:
            os.utime(self.path(digest))
        except OSError:
            return False
        return True

    def read(self, digest: str) -> bytes:
        """The layer's pixels.

        Raises:
            FileNotFoundError: there is no such layer.
        """
        return self.path(digest).read_bytes()

    def put(self, pixels: bytes | memoryview) -> str:
        """Store `pixels` and return their SHA-256, which is computed while they are written.

        Raises:
            UnwritableFile: the disk is full or read-only.
        """
        with ThreadPoolExecutor(1) as thread, self.draft() as draft:
            hashing = thread.submit(hashlib.sha256, pixels)
            draft.write(pixels)
            digest = hashing.result().hexdigest()
            if not self.has(digest):
                draft.keep(digest)
        return digest

    def draft(self) -> Draft:
        """Begin to store a layer that arrives in pieces.

        Raises:
            UnwritableFile: the disk is full or read-only.
        """
        return Draft(self, self._drafts)

    def remove(self, digest: str) -> None:
        """Remove a file. On Windows, one that a reader has open stays until `prune`."""
        with contextlib.suppress(OSError):
            self.path(digest).unlink()

    def prune(self, *, needed: Set[str], max_seconds: float) -> None:
        """Remove old files that are not needed, including drafts that a killed process left.

        Args:
            needed: SHA-256 of files to keep.
            max_seconds: time for which other files are kept after they were last written or asked for. A layer is in
                the store before the event that needs it is in the database, so this must be much longer than seconds.
        """
        oldest_allowed = time.time() - max_seconds
        for path in [*self.folder.glob("??/*"), *self._drafts.glob("*")]:
            with contextlib.suppress(OSError):  # already gone, or open in a reader on Windows: it is removed next time
                if path.parent.name + path.name not in needed and path.stat().st_mtime < oldest_allowed:
                    path.unlink()


class Draft:
    """A layer that is being written. If the `with` block ends without `keep`, it is deleted."""

    def __init__(self, store: LayerStore, folder: Path) -> None:
        self._store = store
        try:
            self._file = tempfile.NamedTemporaryFile(dir=folder, delete=False)  # noqa: SIM115 - closed by close()
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
            if not self._store.has(digest):  # Windows cannot replace a file that is open in a reader
                self._path.replace(target)
                _sync_folder(target.parent)
        except OSError as error:
            raise _unwritable(target, error) from error

    def close(self) -> None:
        """Delete the temporary file if it was not kept."""
        with contextlib.suppress(OSError):  # on a full disk, flushing the buffer fails again
            self._file.close()
        self._path.unlink(missing_ok=True)


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
