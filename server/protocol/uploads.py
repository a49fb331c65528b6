"""Layers the artist keeps, sent before the job that names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from .fields import Codec, LayerId, Message, Problem, TransferId
from .schema import Between


@dataclass(frozen=True, kw_only=True)
class Upload(Message):
    """Client: I have a layer for a job to come. Wait for `UploadReady`, then send its chunks.

    Attributes:
        transfer: this upload's number on this connection, chosen by the client; its chunks carry it.
        layer: SHA-256 of the pixels.
        bytes: how many there are: 4 x width x height.
        codec: how the chunks are packed.
    """

    type: ClassVar[str] = "upload"
    transfer: TransferId
    layer: LayerId
    bytes: Annotated[int, Between(4, 2**53 - 1)]
    codec: Codec = "raw"


@dataclass(frozen=True, kw_only=True)
class UploadReady(Message):
    """Server: send the chunks."""

    type: ClassVar[str] = "upload_ready"
    transfer: TransferId


@dataclass(frozen=True, kw_only=True)
class Uploaded(Message):
    """Server: I have the layer, now or already. Jobs may name it."""

    type: ClassVar[str] = "uploaded"
    transfer: TransferId


@dataclass(frozen=True, kw_only=True)
class UploadRefused(Problem):
    """Server: I did not take it, and why. Chunks still under way are ignored."""

    type: ClassVar[str] = "upload_refused"
    transfer: TransferId
