"""The pixels of a layer as bytes that can be kept in a document, packed and unpacked in short steps.

They are a line of JSON with the layer's box and the length of a row, and the rows in Krita's own format, compressed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

STEP_BYTES = 2**22
"""Pixels that are read or written in one step; Krita copies some hundred megabytes in a second."""

HEAD_BYTES = 1000
"""The longest line of JSON."""

PIECE_BYTES = 2**18
"""Compressed pixels that are unpacked at once."""

MOST_SIDE = 100_000
"""The longest side of a picture in Krita, in pixels."""

MOST_PIXEL_BYTES = 20
"""Of the largest colours, CMYK with alpha in 32-bit floats. It bounds the memory that a stranger's file can ask for."""


class Damaged(ValueError):
    """Bytes that are not packed pixels."""


def pack(node: Any) -> Generator[None, None, bytes]:
    """The pixels of a layer, read in strips and packed in another thread."""
    bounds = node.bounds()
    left, top, width, height = bounds.x(), bounds.y(), bounds.width(), bounds.height()
    row = len(bytes(node.pixelData(left, top, width, 1))) if width > 0 else 0
    head = json.dumps({"box": [left, top, width, height], "row": row}).encode() + b"\n"
    if row == 0:
        return head
    packer, packed = zlib.compressobj(1), []
    with ThreadPoolExecutor(1) as packing:
        for first, rows in _strips(height, row):
            data = bytes(node.pixelData(left, top + first, width, rows))
            packed.append(packing.submit(packer.compress, data))
            yield
        packed.append(packing.submit(packer.flush))
        while not packed[-1].done():
            yield
    return b"".join((head, *(part.result() for part in packed)))


def unpack(packed: bytes | memoryview, node: Any) -> Iterator[None]:
    """Write packed pixels into a layer, strip by strip; they are never copied as a whole, which takes too long.

    Raises:
        Damaged: they are not what `pack` gives. What was read before that is written.
    """
    try:
        packed = memoryview(packed)
        head = bytes(packed[:HEAD_BYTES])
        begin = head.index(b"\n") + 1
        values = json.loads(head[:begin])
        left, top, width, height = (int(each) for each in values["box"])
        row = int(values["row"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise Damaged from error
    if row == 0:
        return
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE and 0 < row <= width * MOST_PIXEL_BYTES):
        raise Damaged
    unpacker, pieces = zlib.decompressobj(), iter(range(begin, len(packed), PIECE_BYTES))
    rest: bytes | memoryview = b""
    for first, rows in _strips(height, row):
        strip = bytearray()
        while len(strip) < rows * row:
            if not rest:
                at = next(pieces, None)
                if at is None:
                    raise Damaged
                rest = packed[at : at + PIECE_BYTES]
            try:
                strip += unpacker.decompress(rest, rows * row - len(strip))
            except zlib.error as error:
                raise Damaged from error
            rest = unpacker.unconsumed_tail
        node.setPixelData(bytes(strip), left, top + first, width, rows)
        yield


def _strips(height: int, row: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each step."""
    count = max(1, STEP_BYTES // row)
    for first in range(0, height, count):
        yield first, min(count, height - first)
