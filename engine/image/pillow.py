"""Conversion of Pillow images to our pixel arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from layerfusion.engine.errors import InvalidLayer
from layerfusion.engine.image.colour import profile_to_srgb

_EXACT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX")
"""Pillow's modes with 8 bits a channel at most and straight alpha, which become RGBA without a loss."""


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """Convert a Pillow image to pixels.

    An image with a profile that gives colours another meaning than sRGB is converted; any other keeps its bytes,
    including colour under alpha 0. An image that is marked as turned (EXIF orientation) comes back upright, an image
    without alpha opaque.

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
        mode = "LA" if image.mode in ("1", "L", "LA") and profile is not None else "RGBA"
        converted = ImageOps.exif_transpose(image).convert(mode)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow reads the file at this point
        raise InvalidLayer(f"The image cannot be read ({error}).", "Save it again.") from error
    return np.asarray(converted if profile is None else profile_to_srgb(converted, profile))
