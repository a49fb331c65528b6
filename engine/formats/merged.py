"""A stack as one flat PNG, which says what the stack was made from."""

from __future__ import annotations

from pathlib import Path

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats.files import replacing
from layerfusion.engine.formats.images import encode
from layerfusion.engine.formats.parameters import to_parameters
from layerfusion.engine.formats.xmp import to_xmp
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.layers import LayeredImage, Pixels


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


def encode_merged(stack: LayeredImage, merged: Pixels | None = None) -> bytes:
    """PNG bytes of the composite of the visible layers.

    Args:
        merged: the composite, if the caller has it already: uint8 (H, W, 4).
    """
    pixels = flatten(stack) if merged is None else merged
    xmp = b"" if stack.record is None else to_xmp(stack)
    return encode(pixels, stack.resolution, xmp, to_parameters(stack))
