"""Messages and chunks to bytes and back.

A websocket message is binary: a chunk (see `frames`) or one msgpack map with a `type`. The caller hands in msgpack's
`packb` and `unpackb`: the server has the package installed, the Krita plugin carries it along.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# What comes over the wire may be anything until it is checked here.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import BadFrame, InvalidMessage
from .frames import MAX_FRAME, Chunk
from .messages import Message, from_map


class Wire:
    """One way of packing, for any number of connections.

    Args:
        packb: `msgpack.packb`.
        unpackb: `msgpack.unpackb`.
    """

    def __init__(self, packb: Callable[[Any], Any], unpackb: Callable[[bytes], Any]) -> None:
        self._packb = packb
        self._unpackb = unpackb

    def encode(self, item: Message | Chunk) -> bytes:
        """One binary websocket message.

        Raises:
            InvalidMessage: longer than any peer takes.
        """
        frame = item.to_bytes() if isinstance(item, Chunk) else self._packb(item.to_map())
        if len(frame) > MAX_FRAME:
            raise InvalidMessage(
                f"A message of {len(frame)} bytes; at most {MAX_FRAME} can be sent.", "Shorten the prompts."
            )
        return frame

    def decode(self, frame: bytes | str) -> Message | Chunk | None:
        """What a websocket message says; None if it is of a type this version does not know.

        Raises:
            BadFrame: not a frame of this protocol.
            InvalidMessage: a known message with a missing or wrong field.
        """
        if not isinstance(frame, bytes):
            raise BadFrame("A text frame.", "All messages are binary.")
        if Chunk.begins(frame):
            return Chunk.from_bytes(frame)
        return from_map(self.unpack(frame))

    def unpack(self, frame: bytes) -> dict[Any, Any]:
        """The map of one message, with a `type` in it, and nothing else checked.

        Raises:
            BadFrame: not a msgpack map, or one without a type.
        """
        try:
            values = self._unpackb(frame)
        except Exception as error:  # msgpack has no base class for what hostile bytes make it raise
            raise BadFrame("Bytes that are neither a chunk nor msgpack.", "See PROTOCOL.md.") from error
        if not isinstance(values, dict) or not isinstance(values.get("type"), str):
            raise BadFrame("A message that is not a map with a type.", "See PROTOCOL.md.")
        return values
