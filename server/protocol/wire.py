"""Encoding and decoding of messages and chunks.

A websocket message is binary: a chunk (see `frames`) or one msgpack map with a `type`. The caller passes msgpack's
`packb` and `unpackb`, because the Krita plugin has its own copy of the package.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# Decoded data can have any type until it is validated.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import BadFrame, InvalidMessage
from .frames import MAX_FRAME, Chunk
from .messages import Message, from_map

MAX_DEPTH = 16
"""Most levels of lists and maps in a message, counted with its own map. No message has more than 7."""


class Wire:
    """Encodes and decodes, for any number of connections.

    Args:
        packb: `msgpack.packb`.
        unpackb: `msgpack.unpackb`.
    """

    def __init__(self, packb: Callable[[Any], Any], unpackb: Callable[[bytes], Any]) -> None:
        self._packb = packb
        self._unpackb = unpackb

    def encode(self, item: Message | Chunk) -> bytes:
        """Encode a message or chunk as one binary websocket message.

        Raises:
            InvalidMessage: it is longer than `MAX_FRAME`.
        """
        frame = item.to_bytes() if isinstance(item, Chunk) else self._packb(item.to_map())
        if len(frame) > MAX_FRAME:
            raise InvalidMessage(
                f"The message has {len(frame)} bytes; at most {MAX_FRAME} can be sent.", "Shorten the prompts."
            )
        return frame

    def decode(self, frame: bytes | str) -> Message | Chunk | None:
        """Decode one websocket message. None if this version does not know its type.

        Raises:
            BadFrame: it is not a frame of this protocol.
            InvalidMessage: a field is missing or wrong.
        """
        if not isinstance(frame, bytes):
            raise BadFrame("The websocket message is text.", "Send binary messages only.")
        if Chunk.begins(frame):
            return Chunk.from_bytes(frame)
        return from_map(self.unpack(frame))

    def unpack(self, frame: bytes) -> dict[Any, Any]:
        """Decode the map of one message. Only its `type` is checked.

        Raises:
            BadFrame: it is not a msgpack map, or it has no `type`.
        """
        try:
            values = self._unpackb(frame)
        except Exception as error:  # msgpack's exceptions for malformed bytes have no common base class
            raise BadFrame("The bytes are neither a chunk nor msgpack.", "See section 4 of PROTOCOL.md.") from error
        if _depth(values) > MAX_DEPTH:
            raise BadFrame(f"The message is nested more than {MAX_DEPTH} deep.", "See section 4 of PROTOCOL.md.")
        if not isinstance(values, dict) or not isinstance(values.get("type"), str):
            raise BadFrame("The message is not a map with a “type”.", "See section 4 of PROTOCOL.md.")
        return values


def _depth(value: Any) -> int:
    """The number of levels of lists and maps in a decoded value; a recursive function would exceed Python's own limit.
    Counting ends one above `MAX_DEPTH`."""
    level, depth = [value], 0
    while depth <= MAX_DEPTH:
        below: list[Any] = []
        inside = False
        for each in level:
            if isinstance(each, dict):
                inside = True
                below += each.values()
            elif isinstance(each, (list, tuple)):
                inside = True
                below += each
        if not inside:
            return depth
        level, depth = below, depth + 1
    return depth
