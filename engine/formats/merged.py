"""A stack as one flat PNG, which says what the stack was made from."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats.files import check_file, reading, replacing
from layerfusion.engine.formats.images import XMP_KEYWORD, encode
from layerfusion.engine.formats.parameters import to_parameters
from layerfusion.engine.formats.xmp import read_roles, read_xmp, to_xmp
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import LayeredImage, Pixels, Role
from layerfusion.engine.image.record import LayerRecord, PictureRecord


def save(stack: LayeredImage, path: Path) -> None:
    """Write the composite of the visible layers; see `engine.formats.save`."""
    with replacing(path) as file:
        file.write(encode_merged(stack))


def load(path: Path) -> LayeredImage:
    """
    Raises:
        UnreadableFile: always, as a flat picture has no layers.
    """
    raise UnreadableFile(f"“{path}” is a flat picture without layers.", "Give a .psd, an .ora or a folder of layers.")


def load_layer(path: Path, wanted: str) -> None:
    """
    Raises:
        UnreadableFile: always, see `load`.
    """
    load(path)


def load_records(path: Path) -> tuple[Size, PictureRecord | None, list[tuple[Role, LayerRecord]]]:
    """What a flat PNG of ours says of the stack that it shows.

    Returns:
        Its size; how it was drawn, or None if it does not say; and role and record of each layer, bottom first.

    Raises:
        UnreadableFile: it is no PNG, or damaged.
    """
    with reading(path, "PNG image"):
        check_file(path)
        with Image.open(path, formats=("PNG",)) as image:
            size, packet = Size(*image.size), image.info.get(XMP_KEYWORD)
        record, _, records = read_xmp(packet)
        stated = read_roles(packet)
        return size, record, [(stated[number], records[number]) for number in sorted(stated) if number in records]


def encode_merged(stack: LayeredImage, merged: Pixels | None = None) -> bytes:
    """PNG bytes of the composite of the visible layers.

    Args:
        merged: the composite, if the caller has it already: uint8 (H, W, 4).
    """
    pixels = flatten(stack) if merged is None else merged
    xmp = b"" if stack.record is None else to_xmp(stack)
    return encode(pixels, stack.resolution, xmp, to_parameters(stack))
