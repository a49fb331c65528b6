"""Layers and files that arrive in chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layerfusion.server.protocol.errors import BadTransfer
from layerfusion.server.protocol.frames import Arrival, Chunk
from layerfusion.server.protocol.messages import FileBegin, LayerBegin


@dataclass(frozen=True)
class Layer:
    """A finished layer: the message that describes it, and its BGRA pixels, whose SHA-256 was checked (read-only)."""

    begin: LayerBegin
    pixels: memoryview

    @property
    def job(self) -> str:
        return self.begin.job


@dataclass(frozen=True)
class File:
    """An exported file: the message that describes it, and its bytes, whose SHA-256 was checked (read-only)."""

    begin: FileBegin
    data: memoryview


class Arriving:
    """A layer or file of which a part has arrived.

    The memory for all of it is taken at the beginning, from NumPy, because fresh memory is what costs most here: pieces
    that are joined at the end take it twice, and NumPy asks the system for large pages.

    Args:
        begin: the message that describes it.
        before: its first bytes, which are not sent again.

    Raises:
        BadTransfer: there is no memory for so many bytes.
    """

    def __init__(self, begin: LayerBegin | FileBegin, before: bytes) -> None:
        self.begin = begin
        self._arrival = Arrival(begin.bytes, begin.sha256, before)
        try:
            self._data = np.empty(begin.bytes, np.uint8).data
        except (MemoryError, ValueError) as error:
            raise BadTransfer(
                f"The server announces {begin.bytes} bytes, for which there is no memory.", "Close other programs."
            ) from error
        self._data[: len(before)] = before

    def add(self, chunk: Chunk) -> None:
        """Check the next chunk and keep it; see `Arrival.add`."""
        start = self._arrival.received
        self._arrival.add(chunk)
        self._data[start : self._arrival.received] = chunk.data

    def received(self) -> bytes:
        """All bytes so far."""
        return bytes(self._data[: self._arrival.received])

    def finished(self) -> Layer | File:
        """The layer or file; see `Arrival.finish`."""
        self._arrival.finish()
        data = self._data.toreadonly()
        return Layer(self.begin, data) if isinstance(self.begin, LayerBegin) else File(self.begin, data)
