"""The messages that are still to be sent to one client, by priority.

    1. replies            Welcome, Accepted, Uploaded, … and answers that are not events
    2. notes              Progress and Queued, only the latest of each job; progress at most ten times per second
    3. events             in their order; a layer is sent in chunks, and 1 and 2 may come between two of them
    4. previews           only the latest of each layer, and only if nothing else waits

Events hold the SHA-256 of layers, not their pixels. The pixels are read from the store chunk by chunk when the client
can receive them, so a slow client needs no memory. Files and pixels without a job are sent like layers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import BinaryIO

from layerfusion.server.protocol.errors import LayerLost
from layerfusion.server.protocol.frames import CHUNK_BYTES, Chunk, split
from layerfusion.server.protocol.messages import (
    Event,
    Failed,
    FetchFailed,
    FileBegin,
    FileEnd,
    JobList,
    LayerBegin,
    LayerEnd,
    LayerFailed,
    Message,
    PixelsBegin,
    PixelsEnd,
    Preview,
    Progress,
    Queued,
    is_last,
)
from layerfusion.server.storage.layer_store import LayerStore

PROGRESS_INTERVAL = 0.1
"""Shortest time between two `Progress` messages, in seconds."""

_MANY = 512
"""Most replies and events that may wait. While there are more, no further messages are read from the client."""

_READ_BYTES = 8 * CHUNK_BYTES
"""Bytes that are read at a time. Handing each read to a thread takes longer than reading a chunk."""

_LONG = 64
"""A list of jobs counts as this many replies, because it may have a thousand entries."""


Bytes = LayerBegin | FileBegin | PixelsBegin
"""What announces bytes of the store."""


class Outbox:
    """The messages that are to be sent on one connection.

    Args:
        store: the layer store, with the pixels.
    """

    def __init__(self, store: LayerStore) -> None:
        self._store = store
        self._replies: deque[Message] = deque()
        self._positions: dict[str, Queued] = {}
        self._progress: dict[str, Progress] = {}
        self._progress_due = 0.0
        self._events: deque[Event | FileBegin | PixelsBegin] = deque()
        self._layer: AsyncIterator[Message | Chunk] | None = None
        self._previews: dict[tuple[str, str, int], Preview] = {}
        self._transfers = 0
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def put(self, message: Message) -> None:
        """Add a message. A newer note or preview replaces it if it was not sent yet."""
        if isinstance(message, Queued):
            self._positions[message.job] = message
        elif isinstance(message, Progress):
            self._progress[message.job] = message
        elif isinstance(message, Preview):
            self._previews[message.job, message.role, message.index] = message
        elif isinstance(message, (FileBegin, PixelsBegin)) or (isinstance(message, Event) and message.seq > 0):
            self._events.append(message)
            if isinstance(message, Event) and is_last(message):
                self._drop_notes(message.job)
        else:
            self._replies.append(message)
        self._filled.set()
        self._idle.clear()
        self._measure()

    async def has_room(self) -> None:
        """Wait until few enough messages are waiting that the client's next message may be read."""
        await self._has_room.wait()

    async def emptied(self) -> None:
        """Wait until everything was sent."""
        await self._idle.wait()

    async def next(self) -> Message | Chunk:
        """Wait for the next message or chunk, and remove it from the outbox.

        Raises:
            OSError: the pixels of a layer that was begun cannot be read completely.
        """
        while True:
            self._filled.clear()
            item = self._next_urgent() or await self._next_event() or self._next_preview()
            if item is not None:
                self._measure()
                return item
            await self._wait()

    def _next_urgent(self) -> Message | None:
        if self._replies:
            return self._replies.popleft()
        if self._positions:
            return self._positions.pop(next(iter(self._positions)))
        if self._progress and time.monotonic() >= self._progress_due:
            self._progress_due = time.monotonic() + PROGRESS_INTERVAL
            return self._progress.pop(next(iter(self._progress)))
        return None

    async def _next_event(self) -> Message | Chunk | None:
        if self._layer is not None:
            async for part in self._layer:
                return part
            self._layer = None
        if not self._events:
            return None
        event = self._events.popleft()
        if not isinstance(event, (LayerBegin, FileBegin, PixelsBegin)):
            return event
        try:
            file = await asyncio.to_thread(self._store.open, event.sha256, event.bytes)
        except OSError as error:
            return self._lost(event, error)
        begin = replace(event, transfer=self._transfers)
        self._transfers += 1
        self._layer = self._after(begin, file)
        return begin

    def _lost(self, event: Bytes, error: OSError) -> Message:
        """The answer if the pixels of a layer are missing; the remaining events of its job are dropped."""
        if isinstance(event, PixelsBegin):
            gone = LayerLost("The layer is no longer in the server's store.", "Open its file again.")
            return LayerFailed.of(gone, layer=event.sha256)
        lost = LayerLost(
            f"A layer of the job {event.job} is no longer in the server's store ({error.strerror or error}).",
            "Draw it again: resubmit the job.",
        )
        if isinstance(event, FileBegin):
            return FetchFailed.of(lost, job=event.job, format=event.format)
        self._events = deque(each for each in self._events if isinstance(each, PixelsBegin) or each.job != event.job)
        return Failed.of(lost, job=event.job, seq=0)

    def _next_preview(self) -> Preview | None:
        return self._previews.pop(next(iter(self._previews))) if self._previews else None

    async def _after(self, begin: Bytes, file: BinaryIO) -> AsyncIterator[Message | Chunk]:
        """The chunks of a layer or file, then its end."""
        with file:
            file.seek(begin.skipped if isinstance(begin, LayerBegin) else 0)
            index = 0
            while data := await asyncio.to_thread(file.read, _READ_BYTES):
                for chunk in split(begin.transfer, data, first=index):
                    yield chunk
                    index = chunk.index + 1
        if isinstance(begin, PixelsBegin):
            yield PixelsEnd(transfer=begin.transfer)
        elif isinstance(begin, FileBegin):
            yield FileEnd(job=begin.job, transfer=begin.transfer)
        else:
            yield LayerEnd(job=begin.job, seq=begin.seq, transfer=begin.transfer)

    async def _wait(self) -> None:
        if not self._progress:
            self._idle.set()
        timeout = max(0.0, self._progress_due - time.monotonic()) if self._progress else None
        try:
            async with asyncio.timeout(timeout):
                await self._filled.wait()
        except TimeoutError:
            pass  # the progress that was held back is due

    def _drop_notes(self, job: str) -> None:
        """Drop the notes and previews of a job that has ended."""
        self._positions.pop(job, None)
        self._progress.pop(job, None)
        for key in [key for key in self._previews if key[0] == job]:
            del self._previews[key]

    def _measure(self) -> None:
        long = sum(isinstance(reply, JobList) for reply in self._replies)
        if len(self._replies) + len(self._events) + _LONG * long > _MANY:
            self._has_room.clear()
        else:
            self._has_room.set()
