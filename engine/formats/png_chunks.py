"""What the chunks of a PNG say before it is decoded (PNG, third edition: https://www.w3.org/TR/png-3/).

Pillow decodes PNGs well and leaves three things to its callers: the meaning of the colours where no profile states it,
the transparent colour of pictures of less than 8 bits a channel, and whether the stated size can be true.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.image.colour import (
    REC709,
    Chromaticities,
    Encoding,
    encoding,
    gamma_curve,
    srgb_to_linear,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 24
"""Bytes of a PNG up to its height."""

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MOST_DEFLATED = 1032
"""Bytes that one byte of a deflate stream can stand for, at most."""

_SRGB_GAMMA = 1 / 2.2
_PRIMARIES: Mapping[int, Chromaticities] = {  # ITU-T H.273, table 2
    1: REC709,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.3290, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}


@dataclass(frozen=True)
class PngHeader:
    """The chunks that matter.

    Attributes:
        width, height: in pixels.
        depth: bits a channel: 1, 2, 4, 8 or 16.
        colour_type: 0 grey, 2 RGB, 3 indexed, 4 grey with alpha, 6 RGBA.
        chunks: the data of the first chunk of each kind before the pixels, by its name.
        data: bytes of compressed pixels.
    """

    width: int
    height: int
    depth: int
    colour_type: int
    chunks: Mapping[bytes, bytes]
    data: int

    @property
    def channels(self) -> int:
        return _CHANNELS[self.colour_type]

    @property
    def transparent(self) -> tuple[int, ...] | None:
        """The grey or RGB value, in the file's depth, whose pixels are transparent (tRNS); None if there is none."""
        data = self.chunks.get(b"tRNS")
        if data is None or self.colour_type not in (0, 2):
            return None
        return struct.unpack(f">{self.channels}H", data[: 2 * self.channels])


def stated_size(start: bytes) -> tuple[int, int]:
    """Width and height, from the first `HEADER_BYTES` of a PNG.

    Raises:
        ValueError, struct.error: it is no PNG.
    """
    if start[:8] != SIGNATURE:
        raise ValueError("no PNG")
    return struct.unpack_from(">II", start, 16)


def read_header(data: bytes, name: str) -> PngHeader:
    """Read the chunks of a PNG.

    Args:
        data: the file's bytes.
        name: the picture, for messages.

    Raises:
        UnreadableFile: it cannot hold as many pixels as it states.
        ValueError, struct.error: it is no PNG, or damaged.
    """
    if data[:8] != SIGNATURE:
        raise ValueError("no PNG")
    chunks: dict[bytes, bytes] = {}
    view = memoryview(data)
    position, pixels = 8, 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if data[end : end + 4] != zlib.crc32(view[position + 4 : end]).to_bytes(4, "big"):
            raise ValueError(f"the checksum of {kind} is wrong")  # Pillow passes over it in chunks that only we look at
        if kind == b"IDAT":
            pixels += min(length, len(data) - position - 8)
        elif not pixels:
            chunks.setdefault(kind, data[position + 8 : position + 8 + length])
        position += length + 12
    width, height, depth, colour_type = struct.unpack_from(">IIBB", chunks.get(b"IHDR", b""))
    if colour_type not in _CHANNELS:
        raise ValueError(f"colour type {colour_type}")
    header = PngHeader(width, height, depth, colour_type, chunks, pixels)
    row = (width * depth * header.channels + 7) // 8
    if row * height > pixels * _MOST_DEFLATED:
        raise UnreadableFile(
            f"{name} states {width}x{height} px, and has only {pixels} bytes of pixels.",
            "Save it again in the program it comes from.",
        )
    return header


def stated_encoding(header: PngHeader, name: str) -> Encoding | None:
    """What the numbers of a PNG mean, by the rules of its third edition: cICP, then a profile, sRGB, gAMA with cHRM.

    Returns:
        None if they are sRGB, or a profile says what they are.

    Raises:
        UnreadableFile: an encoding that is not supported; it is named.
    """
    cicp = header.chunks.get(b"cICP")
    if cicp is not None:
        return _by_code_points(cicp, name)
    if header.chunks.keys() & {b"iCCP", b"sRGB"}:
        return None
    primaries = REC709
    if b"cHRM" in header.chunks:
        stated = struct.unpack_from(">8I", header.chunks[b"cHRM"])
        primaries: Chromaticities = tuple(value / 100_000 for value in stated)  # pyright: ignore[reportAssignmentType]
    if b"gAMA" not in header.chunks:
        if not np.allclose(primaries, REC709, atol=0.002):
            raise UnreadableFile(f"{name} states primaries without a gamma (cHRM).", "Save it again as sRGB.")
        return None
    gamma = struct.unpack_from(">I", header.chunks[b"gAMA"])[0] / 100_000
    if not 0.05 <= gamma <= 5:
        raise UnreadableFile(f"{name} has the gamma {gamma:g}.", "Save it again as sRGB.")
    # A gamma of 1/2.2 is how older programs say sRGB, whose curve has no exponent.
    is_srgb_curve = abs(gamma - _SRGB_GAMMA) < 0.005
    if is_srgb_curve and np.allclose(primaries, REC709, atol=0.002):
        return None
    return encoding(primaries, srgb_to_linear if is_srgb_curve else gamma_curve(1 / gamma))


def _by_code_points(cicp: bytes, name: str) -> Encoding | None:
    """The encoding of a cICP chunk (ITU-T H.273); None for sRGB."""
    primaries, transfer, matrix, full_range = cicp
    curves = {
        1: _from_bt709,
        4: gamma_curve(2.2),
        5: gamma_curve(2.8),
        6: _from_bt709,
        8: gamma_curve(1.0),
        13: srgb_to_linear,
        14: _from_bt709,
        15: _from_bt709,
    }
    why = ""
    if transfer in (16, 18):
        why = f"is HDR ({'PQ' if transfer == 16 else 'HLG'})"
    elif matrix != 0 or full_range != 1:
        why = "has luma and chroma, or video levels"
    elif primaries not in _PRIMARIES or transfer not in curves:
        why = f"has the colour code points {primaries}/{transfer}"
    if why:
        raise UnreadableFile(f"{name} {why} in its cICP chunk.", "Save it as sRGB.")
    if (primaries, transfer) == (1, 13):
        return None
    return encoding(_PRIMARIES[primaries], curves[transfer])


def _from_bt709(values: np.ndarray) -> np.ndarray:
    """The inverse of the transfer function of ITU-R BT.709, values 0-1 to linear light 0-1."""
    return np.where(values < 0.081, values / 4.5, ((np.maximum(values, 0.081) + 0.099) / 1.099) ** (1 / 0.45))
