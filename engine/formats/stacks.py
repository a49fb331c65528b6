"""Which reader and writer a path means, by its suffix."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from layerfusion.engine.errors import UnknownFormat
from layerfusion.engine.formats import files, merged, ora, png
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, LayeredImage


def save(stack: LayeredImage, path: str | os.PathLike[str]) -> None:
    """Write a stack; an existing file of that name is replaced.

    Raises:
        UnknownFormat: there is no writer for the suffix.
        UnwritableFile: the folder is missing or read-only, the disk is full, or a file that another program wrote would
            be overwritten in a folder of PNGs.
    """
    _format_of(path).save(stack, Path(path))


def load(path: str | os.PathLike[str]) -> LayeredImage:
    """Read a stack. Photoshop's large documents (`.psb`) are read, too.

    Raises:
        UnknownFormat: there is no reader for the suffix.
        UnreadableFile: the file is missing, truncated, not of the format its suffix says, too large, or uses a feature
            that our layers do not have.
    """
    return _reader_of(path).load(Path(path))


def load_layer(path: str | os.PathLike[str], wanted: str) -> tuple[Layer, Size] | None:
    """Read one layer by its name or role, so that layers beside it may have features that are not supported.

    Returns:
        The layer and the size of its canvas; None if it can only be found among all layers, or not at all.

    Raises:
        UnknownFormat, UnreadableFile: see `load`.
    """
    reader = _reader_of(path)
    return None if reader is png else reader.load_layer(Path(path), wanted)


def _reader_of(path: str | os.PathLike[str]) -> ModuleType:
    if Path(path).suffix.lower() == ".psb":
        from layerfusion.engine.formats import psd

        return psd
    return _format_of(path)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check that `save` can write to this path, before the layers are generated. It leaves no file behind.

    Raises:
        UnknownFormat, UnwritableFile: as in `save`.
    """
    if is_folder(path):
        png.check_writable(Path(path))
    else:
        files.check_writable(Path(path))


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether the path names a folder of PNGs: it ends in a separator or has no suffix.

    Raises:
        UnknownFormat: there is no writer for the suffix.
    """
    return _format_of(path) is png


def _format_of(path: str | os.PathLike[str]) -> ModuleType:
    text = os.fspath(path)
    if not text.strip():
        raise UnknownFormat("The name of the file is empty.", "Give one, such as apple.psd.")
    suffix = Path(text).suffix.lower()
    if text.endswith(("/", os.sep)) or not suffix:
        return png
    if suffix == ".psd":
        from layerfusion.engine.formats import psd  # psd-tools takes as long to import as all the rest of the server

        return psd
    if suffix == ".ora":
        return ora
    if suffix == ".png":
        return merged
    raise UnknownFormat(
        f"“{text}” has the suffix “{suffix}”.",
        "Choose a name ending in .psd or .ora, a folder name ending in /, or .png for a flat picture.",
    )
