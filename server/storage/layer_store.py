"""Layers on disk, named by the SHA-256 of their pixels; and files that were made of them, named likewise.

A layer is written beside its place and renamed into it, so a file that is there is whole. Server and worker use the
same folder at the same time. A layer's bytes are those of the wire: BGRA, straight alpha, rows packed. Which job needs
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
from pathlib import Path

from layerfusion.engine.errors import UnwritableFile


class LayerStore:
    """A folder of layers.

    Args:
        folder: made if it is missing, readable by its owner alone.

    Raises:
        UnwritableFile: the folder cannot be made.
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
        """Where the layer of that SHA-256 lies or would lie."""
        if re.fullmatch("[0-9a-f]{64}", digest) is None:
            raise ValueError(f"no SHA-256: {digest!r}")
        return self.folder / digest[:2] / digest[2:]

    def has(self, digest: str) -> bool:
        """Whether the layer is there. If so it counts as new again for `prune`."""
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

    def put(self, pixels: bytes) -> str:
        """Keep `pixels` and return their SHA-256.

        Raises:
            UnwritableFile: the disk is full or read-only.
        """
        digest = hashlib.sha256(pixels).hexdigest()
        if not self.has(digest):
            with self.draft() as draft:
                draft.write(pixels)
                draft.keep(digest)
        return digest

    def draft(self) -> Draft:
        """A layer that comes in pieces.

        Raises:
            UnwritableFile: the disk is full or read-only.
        """
        return Draft(self, self._drafts)

    def prune(self, *, needed: Set[str], max_seconds: float) -> None:
        """Remove files that are not needed and old, drafts that were left by a killed process among them.

        Args:
            needed: SHA-256 of files to leave alone.
            max_seconds: others stay for so long after they were last written or asked for. A layer is in the store
                before the job's event that needs it is written down, so this must not be a matter of seconds.
        """
        oldest_allowed = time.time() - max_seconds
        for path in [*self.folder.glob("??/*"), *self._drafts.glob("*")]:
            with contextlib.suppress(OSError):  # gone already, or held open by a reader on Windows: next time
                if path.parent.name + path.name not in needed and path.stat().st_mtime < oldest_allowed:
                    path.unlink()


class Draft:
    """A layer that is being written. Leaving the `with` block without `keep` throws it away."""

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
        """Append.

        Raises:
            UnwritableFile: the disk is full.
        """
        try:
            self._file.write(pixels)
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def keep(self, digest: str) -> None:
        """Give the layer its place in the store. `digest` is the SHA-256 of what was written; the caller has checked.

        Raises:
            UnwritableFile: the disk is full or read-only.
        """
        target = self._store.path(digest)
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            target.parent.mkdir(mode=0o700, exist_ok=True)
            if not self._store.has(digest):  # Windows does not replace a file that someone reads
                self._path.replace(target)
                _sync_folder(target.parent)
        except OSError as error:
            raise _unwritable(target, error) from error

    def close(self) -> None:
        """Throw away what was not kept."""
        with contextlib.suppress(OSError):  # a full disk is met again when the buffer is flushed
            self._file.close()
        self._path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Bring a folder's new name to the disk; Windows does so by itself."""
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
