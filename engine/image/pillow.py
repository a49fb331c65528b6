"""Conversion of Pillow images to our pixel arrays, and the sRGB profile."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from layerfusion.engine.errors import InvalidLayer

_EXACT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX")
"""Pillow's modes with 8 bits a channel at most and straight alpha, which become RGBA without a loss."""


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """Convert a Pillow image to pixels.

    An image with an embedded profile other than sRGB is converted to sRGB; any other keeps its bytes, including colour
    under alpha 0. Images without alpha come back opaque.

    Returns:
        uint8 (H, W, 4), sRGB, straight alpha.

    Raises:
        InvalidLayer: the image's mode cannot be converted to 8-bit RGBA without a loss, its file is damaged, or its
            colour profile cannot be read.
    """
    if image.mode not in _EXACT_MODES:
        raise InvalidLayer(
            f"The image has Pillow's mode “{image.mode}”, which cannot be converted to 8-bit RGBA without a loss.",
            'Convert it yourself, for example with image.convert("RGBA").',
        )
    profile = image.info.get("icc_profile")
    try:
        converted = image.convert("RGBA")
    except (OSError, SyntaxError, ValueError) as error:  # Pillow reads the file at this point
        raise InvalidLayer(f"The image cannot be read ({error}).", "Save it again.") from error
    return np.asarray(converted if profile is None else _to_srgb(converted, profile))


@cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB. Its bytes are always the same, so that saved files are reproducible."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes([0x07, 0xCF, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0])  # creation date: 1 January 1999
    return bytes(profile)


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        target = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
        converted = ImageCms.profileToProfile(image, source, target)
    except (ImageCms.PyCMSError, OSError) as error:
        raise InvalidLayer("The image has a colour profile that cannot be read.", "Save it as sRGB.") from error
    assert converted is not None  # it is None only with inPlace
    return converted
