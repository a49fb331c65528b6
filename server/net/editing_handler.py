"""Answers an editor's requests about layers: to read a file, to scale a layer, to send a layer's pixels."""

from __future__ import annotations

import asyncio
from typing import Any

from layerfusion.engine.errors import EngineError
from layerfusion.server import translate
from layerfusion.server.net.deposits import Deposits
from layerfusion.server.net.outbox import Outbox
from layerfusion.server.net.rights import Rights
from layerfusion.server.protocol.errors import LayerLost, ProtocolError, QueueFull, TooLarge, UnknownLayer
from layerfusion.server.protocol.messages import (
    FetchPixels,
    LayerFailed,
    LayerScaled,
    PixelsBegin,
    ReadFailed,
    ReadFile,
    ScaleLayer,
)
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.worker.import_process import read

Request = ReadFile | ScaleLayer | FetchPixels

_MOST_READ = 4
"""Most files of one client that are read or wait for it."""


class EditingHandler:
    """Handles the requests of one client.

    Args:
        store: the layer store.
        outbox: the outbox for answers.
        rights: which layers the client may use.
        deposits: takes the layers that are made.
        layer_bytes: largest layer, in bytes.
        reading: held while a file is read, because it takes much memory.
        scaling: held while a layer is scaled.
    """

    def __init__(
        self,
        store: LayerStore,
        outbox: Outbox,
        rights: Rights,
        deposits: Deposits,
        *,
        layer_bytes: int,
        reading: asyncio.Lock,
        scaling: asyncio.Lock,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._rights = rights
        self._deposits = deposits
        self._layer_bytes = layer_bytes
        self._reading = reading
        self._scaling = scaling
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Stop reading files after the client disconnected."""
        for task in self._tasks:
            task.cancel()

    async def serve(self, request: Request) -> None:
        """Answer one request. No request makes this raise."""
        match request:
            case ReadFile():
                self._begin_reading(request)
            case ScaleLayer():
                await self._scale(request)
            case FetchPixels():
                await self._fetch(request)

    def _begin_reading(self, request: ReadFile) -> None:
        """Read as a task, because it takes seconds, in which the client may send other requests."""
        if len(self._tasks) >= _MOST_READ:
            full = QueueFull(f"{len(self._tasks)} of your files are being read.", "Wait for one of them.")
            self._outbox.put(ReadFailed.of(full, file=request.file))
            return
        task = asyncio.create_task(self._read(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, request: ReadFile) -> None:
        try:
            await self._check(request.file, request.name)
            path = self._store.path(request.file)
            async with self._reading:
                found = await read(path, self._store.folder, request.file, request.name, self._deposits.admit)
            for layer in found.layers:
                await self._deposits.add(layer.layer, 4 * layer.width * layer.height)
        except (EngineError, ProtocolError) as error:
            self._outbox.put(ReadFailed.of(error, file=request.file))
        else:
            self._outbox.put(found)

    async def _scale(self, request: ScaleLayer) -> None:
        size = 4 * request.to_width * request.to_height
        try:
            await self._check(request.layer, "to be scaled")
            if size > self._layer_bytes:
                raise TooLarge(
                    f"A layer of {request.to_width}x{request.to_height} px is too large.", "Scale it by less."
                )
            await self._deposits.admit(size)
            async with self._scaling:
                scaled = await asyncio.to_thread(translate.scaled, request, self._store)
            await self._deposits.add(scaled, size)
        except (EngineError, ProtocolError) as error:
            self._outbox.put(LayerFailed.of(error, layer=request.layer))
        else:
            made: dict[str, Any] = {"to_width": request.to_width, "to_height": request.to_height}
            self._outbox.put(LayerScaled(layer=request.layer, scaled=scaled, **made))

    async def _fetch(self, request: FetchPixels) -> None:
        try:
            await self._check(request.layer, "to be sent")
            try:
                size = self._store.path(request.layer).stat().st_size
            except OSError as error:
                raise LayerLost("The layer is no longer on the server's disk.", "Open its file again.") from error
            await self._deposits.hold(request.layer)
        except (EngineError, ProtocolError) as error:
            self._outbox.put(LayerFailed.of(error, layer=request.layer))
        else:
            self._outbox.put(PixelsBegin(transfer=0, bytes=size, sha256=request.layer))

    async def _check(self, digest: str, what: str) -> None:
        """
        Raises:
            UnknownLayer: the client may not use the layer or file, or it is not there.
        """
        if not await self._rights.may_use(digest) or not self._store.has(digest):
            raise UnknownLayer(f"The layer or file “{what}” is not on the server.", "Upload it again.")
