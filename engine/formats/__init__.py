"""Layer stacks in files: Photoshop (`.psd`), OpenRaster (`.ora`), or a folder of PNGs; chosen by the path.

    save(stack, "apple.psd")    load("apple.psd")
    save(stack, "apple.ora")    load("apple.ora")
    save(stack, "apple/")       load("apple/")        a path without suffix is a folder too

What is saved comes back: order, names in any script, places, blend modes, opacity to 1/255, visibility, roles, and
every byte of the pixels, colour under alpha 0 included. PSD leaves out margins in which all four channels are 0; the
layer is smaller then and lies where it lay. Files of other programs are read as far as our three blend modes can show
them rightly; what they cannot is refused by name rather than shown wrongly.

Nothing half-written is ever left under the final name. Files are read as if an enemy had made them.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from layerfusion.engine.errors import UnknownFormat
from layerfusion.engine.formats import files, ora, png, psd
from layerfusion.engine.formats.images import load_image
from layerfusion.engine.image.layers import LayerStack

__all__ = ["check_writable", "is_folder", "load", "load_image", "save"]

_BY_SUFFIX: dict[str, ModuleType] = {".psd": psd, ".ora": ora}


def save(stack: LayerStack, path: str | os.PathLike[str]) -> None:
    """Write a stack; an existing file of that name is replaced.

    Raises:
        UnknownFormat: a suffix no writer exists for.
        UnwritableFile: the folder is missing or read-only, the disk is full, another's file is in the way.
    """
    _format_of(path).save(stack, Path(path))


def load(path: str | os.PathLike[str]) -> LayerStack:
    """Read a stack.

    Raises:
        UnknownFormat: a suffix no reader exists for.
        UnreadableFile: missing, truncated, not what its suffix says, too large, or using what our layers cannot show.
    """
    return _format_of(path).load(Path(path))


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out before an hour of work whether `save` will be able to write there. Leaves nothing behind.

    Raises:
        UnknownFormat, UnwritableFile: as `save` would.
    """
    if is_folder(path):
        png.check_writable(Path(path))
    else:
        files.check_writable(Path(path))


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether the path means a folder of PNGs.

    Raises:
        UnknownFormat: a suffix no writer exists for.
    """
    return _format_of(path) is png


def _format_of(path: str | os.PathLike[str]) -> ModuleType:
    text = os.fspath(path)
    suffix = Path(text).suffix.lower()
    if text.endswith(("/", os.sep)) or not suffix:
        return png
    if suffix not in _BY_SUFFIX:
        raise UnknownFormat(
            f"“{text}” has the suffix “{suffix}”.",
            "Choose a name ending in .psd or .ora, or a folder name ending in /.",
        )
    return _BY_SUFFIX[suffix]
