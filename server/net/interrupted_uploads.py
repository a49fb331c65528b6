"""Uploads whose connection was lost. What has arrived of them is kept for a while, and their clients send the rest."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from layerfusion.server.protocol.frames import Arrival
from layerfusion.server.protocol.messages import Upload
from layerfusion.server.storage.layer_store import Draft

_MOST = 16
"""Uploads that are kept at a time, of all users; the oldest makes room (our choice)."""


@dataclass(frozen=True)
class Interrupted:
    """An upload of which a part has arrived.

    Attributes:
        arrival: what was checked of it so far.
        draft: the file with these bytes, which is open.
    """

    arrival: Arrival
    draft: Draft


class InterruptedUploads:
    """The uploads of all users that were interrupted, by user, SHA-256 and size. Use it inside the event loop.

    Args:
        seconds: how long each is kept.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: OrderedDict[tuple[str, str, int], tuple[Interrupted, asyncio.TimerHandle]] = OrderedDict()

    def keep(self, user: str, upload: Upload, interrupted: Interrupted) -> None:
        """Keep a part of an upload, in place of an earlier one of the same bytes."""
        key = _key(user, upload)
        self._drop(key)
        timer = asyncio.get_running_loop().call_later(self._seconds, self._drop, key)
        self._kept[key] = interrupted, timer
        while len(self._kept) > _MOST:
            self._drop(next(iter(self._kept)))

    def take(self, user: str, upload: Upload) -> Interrupted | None:
        """What is there of an upload, which is then the caller's; None if it is nothing."""
        interrupted, timer = self._kept.pop(_key(user, upload), (None, None))
        if timer is not None:
            timer.cancel()
        return interrupted

    def clear(self, user: str | None = None) -> None:
        """Delete all parts, or those of one user."""
        for key in [key for key in self._kept if user in (None, key[0])]:
            self._drop(key)

    def _drop(self, key: tuple[str, str, int]) -> None:
        if key in self._kept:
            interrupted, timer = self._kept.pop(key)
            timer.cancel()
            interrupted.draft.close()


def _key(user: str, upload: Upload) -> tuple[str, str, int]:
    return user, upload.layer, upload.bytes
