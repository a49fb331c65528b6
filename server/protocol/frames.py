"""Chunks of layers and files: binary frames with a fixed header, and the check of a complete transfer.

offset  size  field      big-endian
0       1     kind       1 for a chunk. No message begins with this byte.
1       3     zero
4       4     transfer   number of the upload, layer or file
8       4     index      0, 1, 2, … within the transfer
12      …     data       1 to 262144 bytes
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import BadFrame, BadTransfer

CHUNK_BYTES = 256 * 1024
"""Most bytes of data in one chunk. Larger chunks would delay other messages, smaller ones cost more in total."""

MAX_FRAME = 1536 * 1024
"""Longest websocket message that either side accepts, in bytes."""

KIND_CHUNK = 1
_HEADER = struct.Struct(">B3xII")


@dataclass(frozen=True)
class Chunk:
    """A part of one transfer.

    Attributes:
        transfer: number of the transfer, 0 to 2^32-1.
        index: number of the chunk in the transfer, from 0.
        data: 1 to `CHUNK_BYTES` bytes.
    """

    transfer: int
    index: int
    data: bytes | memoryview

    @staticmethod
    def begins(frame: bytes) -> bool:
        """Whether a websocket message is a chunk. Otherwise it is a message in msgpack."""
        return frame[:1] == bytes([KIND_CHUNK])

    def to_bytes(self) -> bytes:
        return _HEADER.pack(KIND_CHUNK, self.transfer, self.index) + self.data

    @classmethod
    def from_bytes(cls, frame: bytes) -> Chunk:
        """Read one frame; `data` is a view into it, not a copy.

        Raises:
            BadFrame: the frame is too short, too long, or not a chunk.
        """
        size = len(frame) - _HEADER.size
        if not 1 <= size <= CHUNK_BYTES:
            raise BadFrame(f"A chunk has {size} bytes of data.", f"Send chunks with 1 to {CHUNK_BYTES} bytes.")
        kind, transfer, index = _HEADER.unpack_from(frame)
        if kind != KIND_CHUNK:
            raise BadFrame(f"A frame has the kind {kind}.", f"Chunks have the kind {KIND_CHUNK}.")
        return cls(transfer, index, memoryview(frame)[_HEADER.size :])


def split(transfer: int, data: bytes | memoryview, first: int = 0) -> Iterator[Chunk]:
    """Cut `data` into chunks of one transfer, in order, numbered from `first`."""
    view = memoryview(data).cast("B")
    for index, start in enumerate(range(0, len(view), CHUNK_BYTES), start=first):
        yield Chunk(transfer, index, view[start : start + CHUNK_BYTES])


class Arrival:
    """Checks the chunks of one transfer as they arrive. The caller stores the data.

    Args:
        total: the announced number of bytes.
        sha256: the announced SHA-256, in lower-case hexadecimal digits.
        before: bytes at the beginning that arrived earlier, over another connection.
    """

    def __init__(self, total: int, sha256: str, before: bytes | memoryview = b"") -> None:
        self.total = total
        self.received = len(before)
        self._sha256 = sha256
        self._hash = hashlib.sha256(before)
        self._next = 0

    def add(self, chunk: Chunk) -> None:
        """Check the next chunk.

        Raises:
            BadTransfer: it is out of order, or there are more bytes than announced.
        """
        if chunk.index != self._next:
            raise BadTransfer(
                f"Chunk {chunk.index} arrived in the place of chunk {self._next}.", "Send it again from the start."
            )
        if self.received + len(chunk.data) > self.total:
            raise BadTransfer(
                f"{self.received + len(chunk.data)} bytes arrived, but {self.total} were announced.",
                "Announce the exact number of bytes.",
            )
        self._next += 1
        self.received += len(chunk.data)
        self._hash.update(chunk.data)

    def go_on(self) -> None:
        """Expect the rest in another transfer, whose chunks are numbered from 0 again."""
        self._next = 0

    @property
    def complete(self) -> bool:
        return self.received == self.total

    def finish(self) -> None:
        """Check the complete transfer.

        Raises:
            BadTransfer: bytes are missing, or their SHA-256 is not the announced one.
        """
        if not self.complete:
            raise BadTransfer(f"Only {self.received} of {self.total} bytes arrived.", "Send it again from the start.")
        if self._hash.hexdigest() != self._sha256:
            raise BadTransfer(
                f"The bytes have the SHA-256 {self._hash.hexdigest()[:12]}…, not {self._sha256[:12]}….",
                "Send it again from the start.",
            )
