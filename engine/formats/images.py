"""Single images: PNG bytes to pixels and back, and image files that an artist gives as a layer."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

from PIL import Image, PngImagePlugin

from layerfusion.engine.errors import InvalidLayer, UnreadableFile
from layerfusion.engine.formats.files import MAX_SIDE, check_file, reading
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.image.pillow import pixels_of


def load_image(path: str | os.PathLike[str]) -> Pixels:
    """Read a PNG or WebP image with 8 bits a channel.

    An image with an embedded profile other than sRGB is converted to sRGB; the pixels of all other images are returned
    unchanged, including colour under alpha 0. Images without alpha come back opaque.

    Returns:
        uint8 (H, W, 4), sRGB, straight alpha; at most 8192 px a side.

    Raises:
        UnreadableFile: the file is missing, neither PNG nor WebP, truncated, too large, animated, or has 16 bits a
            channel.
    """
    path = Path(path)
    with reading(path, "PNG or WebP image"):
        check_file(path)
        return decode(path.read_bytes(), f"“{path}”", ("PNG", "WEBP"))


def decode(data: bytes, name: str, formats: tuple[str, ...] = ("PNG",)) -> Pixels:
    """Decode an image file's bytes to uint8 (H, W, 4), sRGB, straight alpha; see `load_image`.

    Args:
        data: the file's bytes.
        name: the image's name in error messages.
        formats: the accepted formats, by Pillow's names.

    Raises:
        UnreadableFile: see `load_image`.
        Exception: anything that Pillow raises on broken bytes; call this inside `files.reading`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(data), formats=formats)
    if max(image.size) > MAX_SIDE:
        raise UnreadableFile(
            f"{name} is {image.width}x{image.height} px.", f"Choose an image of up to {MAX_SIDE} px a side."
        )
    if getattr(image, "n_frames", 1) > 1:
        raise UnreadableFile(f"{name} is animated.", "Save the frame you want as a separate image.")
    if image.format == "PNG" and data[24] == 16:  # the bit depth in IHDR; Pillow would silently reduce it to 8
        raise UnreadableFile(f"{name} has 16 bits a channel.", "Save it with 8 bits a channel.")
    image.load()
    try:
        return pixels_of(image)
    except InvalidLayer as error:
        raise UnreadableFile(f"{name} cannot be used: {error.message}", error.hint) from error


def encode(pixels: Pixels) -> bytes:
    """Encode uint8 (H, W, 4), sRGB, straight alpha, as PNG bytes."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"sRGB", b"\0")
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()
