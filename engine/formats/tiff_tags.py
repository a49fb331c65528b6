"""What the tags of a TIFF say before it is decoded (TIFF revision 6.0), and whether Pillow decodes it as it is meant.

Of pictures that it does not know, Pillow says no more than that; and some it decodes without a word to other values:
inverted ones of 16 bits, ones of 12 bits, and ones of 16 bits whose channels lie in separate planes.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from PIL import TiffTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.image.colour import REC709

_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANAR = 258, 259, 262, 277, 284
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _PROFILE = 338, 339, 34675
_TRANSFER_FUNCTION, _WHITE_POINT, _PRIMARIES = 301, 318, 319

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INKS, _LUMA_CHROMA = 0, 1, 2, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _INKS: 4, _LUMA_CHROMA: 3}
"""Channels without alpha, by the photometric interpretation."""

_JPEG = 7


def check(data: bytes, name: str) -> None:
    """Refuse a TIFF that would not be decoded as it is meant.

    Args:
        data: the file's bytes.
        name: the picture, for messages.

    Raises:
        UnreadableFile: the feature that is not supported, by name.
        Exception: anything that Pillow raises on broken bytes.
    """
    tags = _read(data)
    why = _of_samples(tags) or _of_kind(tags) or _of_colours(tags)
    if why:
        raise UnreadableFile(f"{name} {why}.", "Save it as RGB with 8 or 16 bits a channel.")


def _read(data: bytes) -> dict[int, tuple[Any, ...]]:
    """The tags of the first picture, each as a tuple."""
    stream = io.BytesIO(data)
    head = stream.read(8)
    if 43 in head[2:4]:  # BigTIFF
        head += stream.read(8)
    directory = ImageFileDirectory_v2(head)
    stream.seek(directory.next)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # by which Pillow says that it leaves out a damaged tag
        directory.load(stream)
    return {tag: value if isinstance(value, tuple) else (value,) for tag, value in directory.items()}


def _of_samples(tags: dict[int, tuple[Any, ...]]) -> str:
    """What is wrong with the numbers that pixels consist of; empty if nothing is."""
    bits = tags.get(_BITS, (1,))
    if set(tags.get(_SAMPLE_FORMAT, (1,))) != {1}:
        return "has signed or floating-point samples"
    if len(set(bits)) > 1 or bits[0] not in (1, 2, 4, 8, 16):
        return f"has {' and '.join(map(str, sorted(set(bits))))} bits a channel"
    if bits[0] == 16 and tags.get(_PLANAR, (1,)) == (2,) and tags.get(_SAMPLES, (1,)) != (1,):
        return "has 16 bits a channel in separate planes"
    if any(kind not in (1, 2) for kind in tags.get(_EXTRA_SAMPLES, ())):
        return "has an extra channel of which it does not say that it is alpha"
    return ""


def _of_kind(tags: dict[int, tuple[Any, ...]]) -> str:
    """What is wrong with the channels; empty if nothing is."""
    kind, bits = tags.get(_PHOTOMETRIC, (1,))[0], tags.get(_BITS, (1,))[0]
    if kind not in _COLOURS or (kind == _LUMA_CHROMA and tags.get(_COMPRESSION, (1,)) != (_JPEG,)):
        known = TiffTags.lookup(_PHOTOMETRIC).enum
        words = next((key for key, value in known.items() if value == kind), str(kind))
        return f"has the colours “{words}”"
    if kind == _WHITE_IS_ZERO and bits > 8:
        return "is an inverted picture of more than 8 bits a channel"
    samples, alphas = tags.get(_SAMPLES, (1,))[0], len(tags.get(_EXTRA_SAMPLES, ()))
    if samples > _COLOURS[kind] + alphas:
        return "has an extra channel of which it does not say that it is alpha"
    if alphas > 1 or (alphas and (kind not in (_BLACK_IS_ZERO, _RGB) or (kind == _BLACK_IS_ZERO and bits != 8))):
        return f"has {samples} channels of {bits} bits, with alpha"
    if kind != _RGB and samples - alphas > 1 and bits < 8:
        return f"has {samples} channels of {bits} bits"
    return ""


def _of_colours(tags: dict[int, tuple[Any, ...]]) -> str:
    """What is wrong with the meaning of the colours; empty if they are sRGB's, or a profile says what they are."""
    if _PROFILE in tags:
        return ""
    if _TRANSFER_FUNCTION in tags:
        return "states a curve of its own for its colours (TransferFunction)"
    stated = (*tags.get(_WHITE_POINT, REC709[:2]), *tags.get(_PRIMARIES, REC709[2:]))
    if len(stated) != len(REC709) or not np.allclose([float(value) for value in stated], REC709, atol=0.002):
        return "states primaries that are not sRGB's, without a profile"
    return ""
