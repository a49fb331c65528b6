"""Colours of other encodings as sRGB: ICC profiles, and encodings that are stated by numbers (PNG's cICP, gAMA, cHRM).

A profile is judged by what it does to colours, never by its name: programs name linear profiles after sRGB, and sRGB
profiles after themselves. If it changes no colour by more than 1/255, the bytes are left alone.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from layerfusion.engine.errors import InvalidLayer

Floats = NDArray[np.float32]
Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x, y of white, red, green and blue, as PNG's cHRM lists them."""

REC709: Chromaticities = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""The primaries and the white of sRGB."""

_MAX_PROFILE = 2**24
_BAND = 2**18
"""Pixels that are converted at a time, so that the float copies stay small."""


@dataclass(frozen=True)
class Encoding:
    """How numbers mean colours: a curve for each channel, and the primaries.

    Attributes:
        curves: each maps float values 0-1 to linear light 0-1.
        to_xyz: 3x3, linear RGB to XYZ; None if the primaries are those of sRGB, or all channels are equal.
    """

    curves: tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], ...]
    to_xyz: NDArray[np.float64] | None = None


def srgb_to_linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The curve of IEC 61966-2-1, values 0-1 to linear light 0-1."""
    return np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0.04045) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: NDArray[Any]) -> NDArray[Any]:
    """The inverse of `srgb_to_linear`."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


def gamma_curve(exponent: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """The curve value ** exponent."""
    return lambda values: np.maximum(values, 0.0) ** exponent


def primaries_to_xyz(primaries: Chromaticities) -> NDArray[np.float64]:
    """The matrix from linear RGB to XYZ with Y = 1 for white (SMPTE RP 177).

    Raises:
        InvalidLayer: these are no primaries.
    """
    white, *corners = (np.array([x, y, 1 - x - y]) for x, y in zip(primaries[::2], primaries[1::2], strict=True))
    if white[1] <= 0:
        raise InvalidLayer("The picture's primaries are invalid.", "Save it as sRGB.")
    matrix = np.stack(corners, axis=1)
    try:
        return matrix * np.linalg.solve(matrix, white / white[1])
    except np.linalg.LinAlgError as error:
        raise InvalidLayer("The picture's primaries are invalid.", "Save it as sRGB.") from error


def adapted(matrix: NDArray[np.float64], white: NDArray[np.float64]) -> NDArray[np.float64]:
    """A matrix to XYZ, changed so that its white is `white` (XYZ), by the Bradford transform (ICC.1:2022, annex E)."""
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    gain = (cone @ white) / (cone @ matrix.sum(axis=1))
    return np.linalg.inv(cone) @ (gain[:, None] * (cone @ matrix))


def encoding(primaries: Chromaticities, curve: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Encoding:
    """The encoding with these primaries and one curve for all channels."""
    return Encoding((curve,) * 3, primaries_to_xyz(primaries))


ADOBE_RGB = encoding((0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), gamma_curve(563 / 256))
"""Adobe RGB (1998), version 2005-05."""


def to_srgb(values: NDArray[np.uint8] | NDArray[np.uint16], source: Encoding) -> NDArray[np.uint8]:
    """Convert colours to sRGB; those that sRGB does not have are clipped, channel by channel.

    Args:
        values: uint8 or uint16, (H, W, 3).
        source: what the numbers mean.

    Returns:
        uint8 (H, W, 3).
    """
    full = np.iinfo(values.dtype).max
    ramp = np.arange(full + 1) / full
    tables = [curve(ramp).astype(np.float32) for curve in source.curves]
    srgb = primaries_to_xyz(REC709)
    matrix = None
    if source.to_xyz is not None:
        matrix = np.linalg.solve(srgb, adapted(source.to_xyz, srgb.sum(axis=1))).astype(np.float32)
    flat = values.reshape(-1, 3)
    result = np.empty(flat.shape, np.uint8)
    for start in range(0, len(flat), _BAND):
        band = flat[start : start + _BAND]
        light = np.stack([table[band[:, channel]] for channel, table in enumerate(tables)], axis=-1)
        if matrix is not None:
            light = light @ matrix.T
        result[start : start + _BAND] = np.rint(np.clip(linear_to_srgb(np.clip(light, 0, 1)), 0, 1) * 255)
    return result.reshape(values.shape)


@cache
def srgb_profile() -> bytes:
    """The ICC profile of sRGB. Its bytes are always the same, so that saved files are reproducible."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes([0x07, 0xCF, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0])  # creation date: 1 January 1999
    return bytes(profile)


def profile_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert an image with an ICC profile to sRGB.

    Args:
        image: mode L, LA, RGB, RGBA or CMYK.
        profile: the bytes of its profile.

    Returns:
        An image of mode RGB, or RGBA if the given one has alpha, whose bytes do not change. It is the given image,
        converted in its mode only, if the profile changes no colour by more than 1/255.

    Raises:
        InvalidLayer: the profile cannot be read, or it is for another kind of picture.
    """
    opened: Any = _open(profile)
    space = opened.profile.xcolor_space.strip()
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    kind = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}.get(space)
    if kind is None or (kind == "CMYK") != (image.mode == "CMYK"):
        raise InvalidLayer(
            f"The picture has the mode {image.mode} and a colour profile for {space}.", "Save it again as sRGB."
        )
    if kind == "L" and image.mode in ("RGB", "RGBA"):
        raise InvalidLayer("The picture has colours and a colour profile for grey.", "Save it again as sRGB.")
    plain = image if image.mode == kind else image.convert(kind)
    if kind == "CMYK" or not _is_srgb(profile, kind):
        plain = _transformed(plain, opened)
    result = plain.convert("RGB")
    if alpha is not None:
        result.putalpha(alpha)
    return result


def pixels_to_srgb(values: NDArray[np.uint8] | NDArray[np.uint16], profile: bytes | None) -> NDArray[np.uint8]:
    """Convert pixels with an ICC profile to 8-bit sRGB.

    Args:
        values: uint8 or uint16 (H, W, 4), straight alpha; grey pictures have three equal channels.
        profile: for RGB or grey; None leaves the colours as they are.

    Returns:
        uint8 (H, W, 4).

    Raises:
        InvalidLayer: the profile cannot be read, or it is for another kind of picture.
    """
    deep: Any = values if values.dtype == np.uint16 else None
    source = encoding_of_profile(profile) if deep is not None and profile is not None else None
    eight = values.astype(np.uint8, copy=False) if deep is None else to_eight_bits(deep)
    if profile is None:
        return eight
    if source is not None:
        return np.concatenate([to_srgb(values[..., :3], source), eight[..., 3:]], axis=-1)
    opened: Any = _open(profile)
    if opened.profile.xcolor_space.strip() == "GRAY" and np.all(eight[..., :2] == eight[..., 1:3]):
        return np.asarray(profile_to_srgb(Image.fromarray(np.ascontiguousarray(eight[..., 2:])), profile))
    return np.asarray(profile_to_srgb(Image.fromarray(eight), profile))


def to_eight_bits(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """16 bits to 8, rounded: 65535 / 255 is 257."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def encoding_of_profile(profile: bytes) -> Encoding | None:
    """Read the curves and primaries of an ICC profile; None if it consists of tables instead (ICC.1:2022, §9 and §10).

    The colour engine in Pillow takes 8 bits a channel; with this, pictures of 16 bits keep theirs.
    """
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        tags: dict[bytes, bytes] = {}
        for index in range(min(count, 100)):
            name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * index)
            tags[name] = profile[offset : offset + size]
        if b"A2B0" in tags or b"A2B1" in tags:
            return None
        if b"kTRC" in tags:
            return Encoding((_curve(tags[b"kTRC"]),) * 3)
        columns = [struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        curves = tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    except (struct.error, KeyError, ValueError):
        return None
    return Encoding(curves, np.array(columns).T / 65536)


def _curve(tag: bytes) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """An ICC curve.

    Raises:
        struct.error, ValueError: it is no curve.
    """
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count <= 1:
            return gamma_curve(struct.unpack_from(">H", tag, 12)[0] / 256 if count else 1.0)
        points = np.frombuffer(tag, ">u2", count, 12) / 65535
        return lambda values: np.interp(values, np.linspace(0, 1, count), points)
    if tag[:4] != b"para":
        raise ValueError("no curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    given = struct.unpack_from(f">{(1, 3, 4, 5, 7)[min(kind, 4)]}i", tag, 12)
    g, a, b, c, d, e, f = (value / 65536 for value in (*given, *(0,) * (7 - len(given))))
    if kind == 0:
        return gamma_curve(g)
    if kind in (1, 2):
        c, d, e, f = 0.0, -b / a if a else 0.0, c, c
    return lambda values: np.where(values >= d, np.maximum(a * values + b, 0) ** g + e, c * values + f)


def _open(profile: bytes) -> ImageCms.ImageCmsProfile:
    if len(profile) > _MAX_PROFILE:
        raise _unreadable()
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError) as error:
        raise _unreadable() from error


def _transformed(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    target = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    try:
        converted = ImageCms.profileToProfile(image, profile, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        raise _unreadable() from error
    assert converted is not None  # it is None only with inPlace
    return converted


@cache
def _is_srgb(profile: bytes, kind: str) -> bool:
    """Whether a profile for pictures of mode `kind` leaves colours as they are, within 1/255."""
    ramp = np.arange(256, dtype=np.uint8)
    if kind == "L":
        given = np.repeat(ramp[None, :, None], 3, axis=2)
        picture = Image.fromarray(ramp[None])
    else:
        steps = np.arange(0, 256, 15, dtype=np.uint8)
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
        given = np.concatenate([grid, np.repeat(ramp[:, None], 3, axis=1)])[None]
        picture = Image.fromarray(np.ascontiguousarray(given))
    found = np.asarray(_transformed(picture, _open(profile)))
    return int(np.abs(found.astype(int) - given).max()) <= 1


def _unreadable() -> InvalidLayer:
    return InvalidLayer("The image has a colour profile that cannot be read.", "Save it as sRGB.")
