"""Saving and loading layer stacks: Photoshop (`.psd`), OpenRaster (`.ora`) or a folder of PNGs, chosen by the path.

A path ending in `.png` saves the flat picture.

    save(stack, "apple.psd")    load("apple.psd")
    save(stack, "apple.ora")    load("apple.ora")
    save(stack, "apple/")       load("apple/")        a path without suffix is a folder too

Saving and loading preserves the order of layers, names in any script, offsets, blend modes, opacity to 1/255,
visibility, roles, and every byte of the pixels, including colour under alpha 0. PSD leaves out margins in which all
four channels are 0; such a layer comes back smaller, at the same place. Files of other programs are read if our three
blend modes can show them correctly; otherwise the error names the layer and the feature that is not supported.

A half-written file never appears under the final name. Files are treated as hostile input when they are read.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from layerfusion.engine.errors import UnknownFormat
from layerfusion.engine.formats import files, merged, ora, png
from layerfusion.engine.formats.images import load_image
from layerfusion.engine.formats.references import Referenced, load_layer
from layerfusion.engine.image.layers import LayeredImage

__all__ = ["Referenced", "check_writable", "is_folder", "load", "load_image", "load_layer", "save"]


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
    if Path(path).suffix.lower() == ".psb":
        path = Path(path)
        from layerfusion.engine.formats import psd

        return psd.load(path)
    return _format_of(path).load(Path(path))


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
