"""Uploads of the artist's layers and files, which come before the message that refers to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from .fields import Codec, LayerId, Message, Problem, TransferId
from .schema import Between, since


@dataclass(frozen=True, kw_only=True)
class Upload(Message):
    """Client: the start of an upload. The chunks must follow after the answer `UploadReady`.

    Attributes:
        transfer: the transfer number of its chunks, chosen by the client, new on this connection.
        layer: SHA-256 of the pixels, or of the file.
        bytes: size of the pixels, 4 x width x height bytes, or of the file.
        codec: encoding of the pixels.
        file: whether it is not a layer but a file, to be read with `ReadFile`, which may be larger.
    """

    type: ClassVar[str] = "upload"
    transfer: TransferId
    layer: LayerId
    bytes: Annotated[int, Between(4, 2**53 - 1)]
    codec: Codec = "raw"
    file: bool = since(5, False)


@dataclass(frozen=True, kw_only=True)
class UploadReady(Message):
    """Server: it waits for the chunks."""

    type: ClassVar[str] = "upload_ready"
    transfer: TransferId


@dataclass(frozen=True, kw_only=True)
class Uploaded(Message):
    """Server: it has the layer, from this upload or an earlier one. Submissions may refer to it."""

    type: ClassVar[str] = "uploaded"
    transfer: TransferId


@dataclass(frozen=True, kw_only=True)
class UploadRefused(Problem):
    """Server: the reason why an upload was refused. Further chunks of it are ignored."""

    type: ClassVar[str] = "upload_refused"
    transfer: TransferId
