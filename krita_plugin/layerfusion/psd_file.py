"""Photoshop documents of 8-bit RGB with layers, by Adobe's Photoshop File Formats Specification (November 2019).

The plugin writes them itself, because Krita blocks its window while it exports one. Rows are packed with PackBits,
which every program reads. Nothing here needs Krita or Qt, and all of it may run in another thread.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

MAX_SIDE = 30_000
"""The longest side of a document and of a layer, in pixels."""

ALPHA, MASK = -1, -2
"""The channels of a layer besides 0, 1 and 2 for red, green and blue."""

OPEN, CLOSED, BOUNDARY = 1, 2, 3
"""Section dividers: the top of an open or folded group, and its hidden lower end."""

_BLENDS = {
    "normal": b"norm",
    "pass_through": b"pass",
    "dissolve": b"diss",
    "darken": b"dark",
    "multiply": b"mul ",
    "burn": b"idiv",
    "linear_burn": b"lbrn",
    "darker_color": b"dkCl",
    "lighten": b"lite",
    "screen": b"scrn",
    "dodge": b"div ",
    "linear_dodge": b"lddg",
    "add": b"lddg",
    "lighter_color": b"lgCl",
    "overlay": b"over",
    "soft_light": b"sLit",
    "hard_light": b"hLit",
    "vivid_light": b"vLit",
    "linear_light": b"lLit",
    "pin_light": b"pLit",
    "hard_mix_photoshop": b"hMix",
    "diff": b"diff",
    "exclusion": b"smud",
    "subtract": b"fsub",
    "divide": b"fdiv",
    "hue": b"hue ",
    "saturation": b"sat ",
    "color": b"colr",
    "luminize": b"lum ",
}
"""Krita's name of a blending mode, with underscores for spaces -> Photoshop's key."""

NORMAL, PASS_THROUGH = _BLENDS["normal"], _BLENDS["pass_through"]

_RUN = re.compile(rb"(.)\1{3,126}", re.DOTALL)
"""Runs of equal bytes that are worth a packet of their own."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Packed:
    """Rows of one channel in PackBits: the packed length of each row, and the packed rows."""

    lengths: tuple[int, ...] = ()
    data: bytes = b""


@dataclass(frozen=True)
class PsdLayer:
    """A layer, or one end of a group.

    Attributes:
        name: as Unicode.
        box: left, top, width and height in canvas pixels; of a group's end, zeros.
        channels: channel -> its rows; of a group's end, none.
        blend: Photoshop's key of the blending mode.
        opacity: 0 to 255.
        visible: whether it is shown.
        id: its number in the document, from 1.
        section: for a group's end, one of the section dividers; else 0.
        mask: left, top, width and height of its layer mask, outside of which nothing is hidden; None if it has none.
        masked_outside: whether the mask hides what is outside of its box.
    """

    name: str
    box: Box
    channels: dict[int, Packed]
    blend: bytes
    opacity: int
    visible: bool
    id: int
    section: int = 0
    mask: Box | None = None
    masked_outside: bool = True


def blend_key(name: str) -> bytes | None:
    """Photoshop's key of the blending mode to which Krita gives this name; None if there is no such mode in a PSD."""
    return _BLENDS.get(name.replace(" ", "_"))


def packed(rows: bytes, width: int) -> Packed:
    """Pack whole rows of `width` bytes each."""
    found = [_packed_row(rows[at : at + width]) for at in range(0, len(rows), width)]
    return Packed(tuple(map(len, found)), b"".join(found))


def joined(parts: Iterable[Packed]) -> Packed:
    """Parts of one channel, from the top."""
    parts = tuple(parts)
    return Packed(tuple(length for part in parts for length in part.lengths), b"".join(part.data for part in parts))


def write(
    file: BinaryIO,
    size: tuple[int, int],
    resources: bytes,
    layers: Sequence[PsdLayer],
    merged: tuple[Packed, Packed, Packed],
) -> None:
    """Write a document.

    Args:
        file: where to.
        size: width and height of the canvas in pixels, up to `MAX_SIDE`.
        resources: the section of the image resources, without its length.
        layers: bottom first.
        merged: red, green and blue of the picture that programs without layers show.
    """
    width, height = size
    file.write(struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, height, width, 8, 3))
    file.write(struct.pack(">I", 0))  # no palette
    file.write(counted(resources))
    records = b"".join(map(_record, layers))
    pixels = [_channel(channel) for layer in layers for channel in layer.channels.values()]
    length = 2 + len(records) + sum(map(len, pixels))
    file.write(struct.pack(">IIh", length + length % 2 + 8, length + length % 2, len(layers)))
    file.write(records)
    for data in pixels:
        file.write(data)
    file.write(bytes(length % 2) + struct.pack(">I", 0))  # no mask for all layers
    file.write(struct.pack(">H", 1) + b"".join(struct.pack(f">{height}H", *channel.lengths) for channel in merged))
    for channel in merged:
        file.write(channel.data)


def resource(number: int, data: bytes) -> bytes:
    """An image resource without a name."""
    return struct.pack(">4sHHI", b"8BIM", number, 0, len(data)) + data + bytes(len(data) % 2)


def resources_of(file: BinaryIO) -> dict[int, bytes]:
    """The image resources of a PSD file by their numbers.

    Raises:
        ValueError: it is no PSD, or it is cut short.
    """
    if _exactly(file, 26)[:4] != b"8BPS":
        raise ValueError("no PSD")
    _section(file)
    data, found, at = _section(file), {}, 0
    while at + 12 <= len(data):
        name = data[at + 6] + 1
        name += name % 2
        number, (length,) = struct.unpack_from(">H", data, at + 4)[0], struct.unpack_from(">I", data, at + 6 + name)
        found[number] = data[at + 10 + name : at + 10 + name + length]
        at += 10 + name + length + length % 2
    return found


def counted(data: bytes) -> bytes:
    """Data after its length."""
    return struct.pack(">I", len(data)) + data


def _packed_row(row: bytes) -> bytes:
    out, at = [], 0
    for run in _RUN.finditer(row):
        start, end = run.span()
        out += _literal(row, at, start)
        out.append(bytes((257 - (end - start), row[start])))
        at = end
    return b"".join((*out, *_literal(row, at, len(row))))


def _literal(row: bytes, start: int, end: int) -> Iterable[bytes]:
    for at in range(start, end, 128):
        count = min(128, end - at)
        yield bytes((count - 1,))
        yield row[at : at + count]


def _channel(channel: Packed) -> bytes:
    return struct.pack(f">H{len(channel.lengths)}H", 1, *channel.lengths) + channel.data


def _record(layer: PsdLayer) -> bytes:
    left, top, width, height = layer.box
    lengths = [(number, 2 + 2 * len(each.lengths) + len(each.data)) for number, each in layer.channels.items()]
    flags = 8 | (0 if layer.visible else 2) | (16 if layer.section else 0)
    mask = b"" if layer.mask is None else _mask(layer.mask, layer.masked_outside)
    extra = counted(mask) + counted(b"") + _short_name(layer.name) + b"".join(_blocks(layer))
    return b"".join(
        (
            struct.pack(">4iH", top, left, top + height, left + width, len(lengths)),
            *(struct.pack(">hI", *each) for each in lengths),
            struct.pack(">4s4sBBBx", b"8BIM", layer.blend, layer.opacity, 0, flags),
            counted(extra),
        )
    )


def _mask(box: Box, masked_outside: bool) -> bytes:
    left, top, width, height = box
    return struct.pack(">4iBBH", top, left, top + height, left + width, 0 if masked_outside else 255, 0, 0)


def _short_name(name: str) -> bytes:
    """The name for programs that do not know Unicode, filled up to a multiple of four bytes."""
    text = name.encode("ascii", "replace")[:255]
    return bytes((len(text),)) + text + bytes(-(len(text) + 1) % 4)


def _blocks(layer: PsdLayer) -> Iterable[bytes]:
    text = layer.name.encode("utf-16-be", "replace")
    yield _block(b"luni", struct.pack(">I", len(text) // 2) + text + bytes(-len(text) % 4))
    yield _block(b"lyid", struct.pack(">I", layer.id))
    if layer.section in (OPEN, CLOSED):
        yield _block(b"lsct", struct.pack(">I4s4s", layer.section, b"8BIM", layer.blend))
    elif layer.section:
        yield _block(b"lsct", struct.pack(">I", layer.section))


def _block(key: bytes, data: bytes) -> bytes:
    return b"8BIM" + key + counted(data)


def _section(file: BinaryIO) -> bytes:
    (length,) = struct.unpack(">I", _exactly(file, 4))
    return _exactly(file, length)


def _exactly(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise ValueError("the PSD is cut short")
    return data
