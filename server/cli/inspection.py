"""What `layerfusion generate` writes about the inside of a run: `--masks` a sheet, `--inspect` everything.

    masks.npz, masks.png    the priors and masks, arrays and sheet
    trust.png               how far the masks were believed, step by step
    streams.npz, streams.png    what every stream was heading for, arrays and sheet

The arrays are those of `MaskRecord.arrays` and `StreamRecord.arrays` in `engine.inspection.records`.
"""

from __future__ import annotations

import io
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerfusion.engine import formats
from layerfusion.engine.errors import UnwritableFile
from layerfusion.engine.formats.files import check_writable, replacing, writing

if TYPE_CHECKING:
    from PIL import Image

    from layerfusion.engine.inspection.records import MaskRecord, StreamRecord

_FIRST = "masks.npz"
FILES = (_FIRST, "masks.png", "streams.npz", "streams.png", "trust.png")
"""All that may be written into the folder."""


def add_options(group: Any) -> None:
    """Declare `--masks` and `--inspect`."""
    group.add_argument("--masks", action="store_true", help="also write a sheet of the attention masks over the steps")
    inspect = (
        "also write what went on inside into a folder: priors, masks and every stream's estimates over the steps, as "
        "sheets and as NumPy arrays, and how far the masks were trusted"
    )
    group.add_argument("--inspect", metavar="FOLDER", help=inspect)


def check_folder(folder: Path, out: str) -> None:
    """Find out before drawing whether `write_folder` will be able to write there. Leaves nothing behind.

    Args:
        out: where the layers go.

    Raises:
        UnwritableFile: it would not.
    """
    is_out = os.path.realpath(folder) == os.path.realpath(out) and not formats.is_folder(out)
    if is_out or (folder.exists() and not folder.is_dir()):
        what = "is where the layers go" if is_out else "is a file"
        raise UnwritableFile(f"“{folder}” {what}.", "Choose another name for the folder to look into.")
    check_writable(folder / _FIRST if folder.is_dir() else folder)


def write_folder(folder: Path, masks: MaskRecord, streams: StreamRecord) -> list[Path]:
    """Write arrays and pictures; of masks only if any were recorded. All files are complete before one takes its place.

    Returns:
        the files, in the order of their names.

    Raises:
        UnwritableFile: the folder cannot be made, or the disk is full.
    """
    files = {"streams.npz": _npz(streams.arrays()), "streams.png": _png(streams.contact_sheet())}
    if masks.steps:
        files |= {_FIRST: _npz(masks.arrays()), "masks.png": _png(masks.contact_sheet())}
        files |= {"trust.png": _png(masks.trust_plot())}
    new = not folder.exists()
    with writing(folder):
        folder.mkdir(exist_ok=True)
    try:
        with ExitStack() as staged:
            for name, content in files.items():
                staged.enter_context(replacing(folder / name)).write(content)
    except BaseException:
        if new:
            with suppress(OSError):
                folder.rmdir()
        raise
    return [folder / name for name in sorted(files)]


def write_sheet(path: Path, masks: MaskRecord) -> None:
    """Write the sheet of the masks alone.

    Raises:
        UnwritableFile: the folder is missing, or the disk is full.
        LookupError: no masks were recorded.
    """
    content = _png(masks.contact_sheet())
    with replacing(path) as file:
        file.write(content)


def _npz(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
