"""The actor that draws in a Ray cluster, one for each card. It has no folder: layers come and go with the messages."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Generator

import msgpack

from layerfusion.server.protocol.messages import LayerBegin, Submit
from layerfusion.server.protocol.wire import Wire
from layerfusion.server.worker.drawing import Drawer
from layerfusion.server.worker.loading import EngineLoader, Load

_wire = Wire(msgpack.packb, msgpack.unpackb)


class Actor:
    """Draws jobs, one at a time. Ray calls its methods in several threads.

    Args:
        load: makes the pipeline of a model.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._layers = _Layers()
        self._drawer = Drawer(self._layers, load)
        self._cancelled: str | None = None

    def prepare(self) -> None:
        """Import the engine, which takes seconds, before the first job."""
        if isinstance(self._load, EngineLoader):
            self._load.prepare()

    def live(self) -> None:
        """Never return: that this call fails is how the server learns of the actor's death."""
        threading.Event().wait()

    def draw(self, frame: bytes, *uploads: bytes) -> Generator[tuple[bytes, bytes | None], None, None]:
        """Draw a job.

        Args:
            frame: the encoded `Submit`.
            uploads: pixels of its kept and relit layers.

        Yields:
            The encoded messages of the job up to the last, each with the pixels of the layer that it announces.
        """
        submit = _wire.decode(frame)
        assert isinstance(submit, Submit)
        self._layers.begin(uploads)
        with contextlib.closing(self._drawer.draw(submit, lambda: self._cancelled == submit.job)) as messages:
            for message in messages:
                pixels = self._layers.read(message.sha256) if isinstance(message, LayerBegin) else None
                yield _wire.encode(message), pixels

    def cancel(self, job: str) -> None:
        """Stop the job after its step."""
        self._cancelled = job


class _Layers:
    """A `translate.Store` in memory: the uploaded layers of one job, and those that it has finished."""

    def __init__(self) -> None:
        self._pixels: dict[str, bytes] = {}

    def begin(self, uploads: tuple[bytes, ...]) -> None:
        self._pixels = {hashlib.sha256(pixels).hexdigest(): pixels for pixels in uploads}

    def read(self, digest: str) -> bytes:
        try:
            return self._pixels[digest]
        except KeyError:
            raise FileNotFoundError(digest) from None

    def put(self, pixels: bytes | memoryview) -> str:
        data = bytes(pixels)
        digest = hashlib.sha256(data).hexdigest()
        self._pixels[digest] = data
        return digest
