"""Single pictures: PNG bytes in and out, and the file an artist hands in as a layer."""

from __future__ import annotations

import io
import os
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats.files import MAX_SIDE, check_file, reading
from layerfusion.engine.image.layers import Pixels


def load_image(path: str | os.PathLike[str]) -> Pixels:
    """Read a PNG or WebP picture of 8 bits a channel.

    A picture with an embedded profile that is not sRGB is converted to sRGB; any other comes back byte for byte, colour
    under alpha 0 included. Pictures without alpha come back opaque.

    Returns:
        uint8 (H, W, 4), sRGB, straight alpha; at most 8192 px a side.

    Raises:
        UnreadableFile: missing, no PNG or WebP, truncated, too large, animated, or 16 bits a channel.
    """
    path = Path(path)
    with reading(path, "PNG or WebP picture"):
        check_file(path)
        return decode(path.read_bytes(), f"“{path}”", ("PNG", "WEBP"))


def decode(data: bytes, name: str, formats: tuple[str, ...] = ("PNG",)) -> Pixels:
    """Picture bytes -> uint8 (H, W, 4), sRGB, straight alpha; see `load_image`. `name` is how errors call it.

    Raises:
        UnreadableFile: see `load_image`. Whatever else Pillow raises on broken bytes is for `files.reading`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(data), formats=formats)
    if max(image.size) > MAX_SIDE:
        raise UnreadableFile(
            f"{name} is {image.width}x{image.height} px.", f"Choose a picture of up to {MAX_SIDE} px a side."
        )
    if getattr(image, "n_frames", 1) > 1:
        raise UnreadableFile(f"{name} is animated.", "Save the frame you want as a picture of its own.")
    if image.format == "PNG" and data[24] == 16:  # the depth in IHDR; Pillow would cut it to 8 without a word
        raise UnreadableFile(f"{name} has 16 bits a channel.", "Save it with 8 bits a channel.")
    image.load()
    profile = image.info.get("icc_profile")
    image = image.convert("RGBA")
    return np.asarray(image if profile is None else _to_srgb(image, profile, name))


def encode(pixels: Pixels) -> bytes:
    """uint8 (H, W, 4), sRGB, straight alpha -> PNG bytes."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"sRGB", b"\0")
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


@cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB, the same bytes every time."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes([0x07, 0xCF, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0])  # made on: 1 January 1999, not now
    return bytes(profile)


def _to_srgb(image: Image.Image, profile: bytes, name: str) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        target = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
        converted = ImageCms.profileToProfile(image, source, target)
    except (ImageCms.PyCMSError, OSError) as error:
        raise UnreadableFile(f"{name} has a colour profile that cannot be read.", "Save it as sRGB.") from error
    assert converted is not None  # only None with inPlace
    return converted
