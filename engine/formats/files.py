"""Shared file handling of the formats: atomic writing, size limits, and errors that say what to do."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from layerfusion.engine.errors import EngineError, UnreadableFile, UnwritableFile

MAX_SIDE = 8192
"""Longest side of an image or canvas that is read, in pixels."""

MAX_PIXELS = 220_000_000
"""Largest number of pixels of all layers of one document together, the largest layer counted three times because it is
copied while it is decoded: 880 MB of RGBA. Nine layers of the largest canvas that is drawn, 4096 px a side, fit."""

MAX_LAYERS = 256

MAX_BYTES = 2**29
"""Largest file that is read, in bytes."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a temporary file beside `path` and rename it to `path` when the block ends without an exception.

    On an exception the temporary file is deleted and `path` stays as it was.

    Raises:
        UnwritableFile: the operating system refused a step.
    """
    path = Path(os.path.realpath(path))  # a symbolic link is kept: its target is replaced
    temporary = path.with_name(f".layerfusion-{secrets.token_hex(6)}.part")
    with writing(path):
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn any `OSError` in the block into an `UnwritableFile` that names `path`."""
    try:
        yield
    except OSError as error:
        raise UnwritableFile(
            f"“{path}” cannot be written ({error.strerror or error}).",
            "Choose a folder that exists, that you may write to, and that has free space.",
        ) from error


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn any exception in the block into an `UnreadableFile` that names `path`.

    Args:
        kind: what the file should be, for the message, such as "PSD document".
    """
    try:
        yield
    except EngineError as error:
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile(f"“{path}” cannot be used: {error.message}", error.hint) from error
    except OSError as error:
        if error.errno is not None:
            raise UnreadableFile(f"“{path}” cannot be read ({error.strerror}).", "Check the path.") from error
        raise damaged(path, kind) from error
    except Exception as error:  # parsers raise many kinds of exceptions on hostile bytes
        raise damaged(path, kind) from error


def damaged(path: Path, kind: str) -> UnreadableFile:
    """The error for a file that is damaged or is no `kind`."""
    return UnreadableFile(f"“{path}” is not a {kind}, or it is damaged.", "Save it again in the program it comes from.")


def check_file(path: Path) -> None:
    """Refuse pipes, devices, folders and files above `MAX_BYTES`. To be called inside `reading`.

    Raises:
        UnreadableFile: the path names no regular file, or the file is too large.
        OSError: the path cannot be examined, for example because it does not exist.
    """
    if path.stat().st_size > MAX_BYTES:
        raise UnreadableFile(f"“{path}” is larger than {MAX_BYTES >> 20} MiB.", "Choose a smaller file.")
    if not path.is_file():
        raise UnreadableFile(f"“{path}” is not a file.", "Check the path.")


def check_canvas(path: Path, width: int, height: int) -> None:
    """Refuse a canvas that is empty or too large.

    Args:
        path: the document, for the message.
        width, height: size of its canvas in pixels.

    Raises:
        UnreadableFile: a side is below 1 px or above `MAX_SIDE`.
    """
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise UnreadableFile(
            f"“{path}” is {width}x{height} px.", f"Scale it to 1 to {MAX_SIDE} px a side; larger files are not read."
        )


def check_layers(path: Path, count: int) -> None:
    """Refuse a document without layers or with too many.

    Args:
        path: the document, for the message.
        count: number of layers.

    Raises:
        UnreadableFile: there is no layer, or more than `MAX_LAYERS`.
    """
    if count == 0:
        raise UnreadableFile(f"“{path}” has no layers.", "Use a document with at least one pixel layer.")
    if count > MAX_LAYERS:
        raise UnreadableFile(f"“{path}” has {count} layers.", f"Merge some of them: up to {MAX_LAYERS} are read.")


def check_memory(path: Path, areas: Sequence[int]) -> None:
    """Refuse a document whose layers would take too much memory. To be called before any is decoded.

    Args:
        path: the document, for the message.
        areas: width times height of each layer, as its header states them.

    Raises:
        UnreadableFile: `MAX_PIXELS` is exceeded.
    """
    if sum(areas) + 2 * max(areas, default=0) > MAX_PIXELS:
        raise UnreadableFile(
            f"“{path}” has {len(areas)} layers with {sum(areas) / 1e6:.0f} megapixels together.",
            f"Merge or crop some of them: about {MAX_PIXELS / 1e6:.0f} megapixels are read, the largest layer counted "
            "three times.",
        )


def check_writable(path: Path) -> None:
    """Check that a file can be written to `path`, by creating and deleting a temporary file beside it.

    Raises:
        UnwritableFile: `path` is a folder, or no file can be created beside it.
    """
    if path.is_dir():
        raise UnwritableFile(f"“{path}” is a folder.", "Choose another name.")
    probe = Path(os.path.realpath(path)).with_name(f".layerfusion-{secrets.token_hex(6)}.part")
    with writing(path):
        probe.touch(exist_ok=False)
        probe.unlink()
