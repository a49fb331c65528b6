"""Files that are either written whole or not at all, and errors a person can act on."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from layerfusion.engine.errors import EngineError, UnreadableFile, UnwritableFile

MAX_SIDE = 8192
"""Longest side of a picture or canvas that is read, in pixels."""

MAX_PIXELS = 4 * MAX_SIDE**2
"""Pixels of all layers of one document together: 1 GiB of RGBA."""

MAX_LAYERS = 256

MAX_BYTES = 2**30
"""Largest file that is read."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside `path` and put it in the place of `path` when the block ends well; otherwise leave no trace.

    Raises:
        UnwritableFile: any step failed.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
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
    """Any failure of the operating system becomes an `UnwritableFile` naming `path`."""
    try:
        yield
    except OSError as error:
        raise UnwritableFile(
            f"“{path}” cannot be written ({error.strerror or error}).",
            "Choose a folder that exists, may be written to and has space left.",
        ) from error


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Any failure becomes an `UnreadableFile` naming `path`, which should be a `kind` ("PSD document", …)."""
    try:
        yield
    except EngineError as error:
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile(f"“{path}” cannot be used: {error.message}", error.hint) from error
    except OSError as error:
        if error.errno is not None:
            raise UnreadableFile(f"“{path}” cannot be read ({error.strerror}).", "Check the name.") from error
        raise damaged(path, kind) from error
    except Exception as error:  # what a parser raises on hostile bytes is beyond listing
        raise damaged(path, kind) from error


def damaged(path: Path, kind: str) -> UnreadableFile:
    return UnreadableFile(f"“{path}” is not a {kind}, or damaged.", "Save it again in the program it comes from.")


def check_file(path: Path) -> None:
    """Refuse what must not be read to its end: pipes, devices, folders, and files beyond any use.

    Raises:
        UnreadableFile, OSError: to be used inside `reading`.
    """
    if path.stat().st_size > MAX_BYTES:
        raise UnreadableFile(f"“{path}” is larger than {MAX_BYTES >> 20} MiB.", "Choose a smaller one.")
    if not path.is_file():
        raise UnreadableFile(f"“{path}” is not a file.", "Check the name.")


def check_canvas(path: Path, width: int, height: int) -> None:
    """
    Raises:
        UnreadableFile: a canvas that is empty or larger than is read.
    """
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise UnreadableFile(f"“{path}” is {width}x{height} px.", f"Up to {MAX_SIDE} px a side are read.")


def check_layers(path: Path, count: int, pixels: int) -> None:
    """
    Raises:
        UnreadableFile: no layers, or more than are read; `pixels` is how many they have together.
    """
    if count == 0:
        raise UnreadableFile(f"“{path}” has no layers.", "Use a document with at least one pixel layer.")
    if count > MAX_LAYERS or pixels > MAX_PIXELS:
        raise UnreadableFile(
            f"“{path}” has {count} layers of {pixels / 1e6:.0f} megapixels together.",
            f"Up to {MAX_LAYERS} layers and {MAX_PIXELS / 1e6:.0f} megapixels are read; merge some.",
        )


def check_writable(path: Path) -> None:
    """
    Raises:
        UnwritableFile: `path` is a folder, or no file can be made beside it.
    """
    if path.is_dir():
        raise UnwritableFile(f"“{path}” is a folder.", "Choose another name.")
    probe = Path(os.path.realpath(path)).with_name(f".layerfusion-{secrets.token_hex(6)}.part")
    with writing(path):
        probe.touch(exist_ok=False)
        probe.unlink()
