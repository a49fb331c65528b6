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
        resumes: whether the client leaves out what the server has kept of an upload whose connection was lost.
    """

    type: ClassVar[str] = "upload"
    transfer: TransferId
    layer: LayerId
    bytes: Annotated[int, Between(4, 2**53 - 1)]
    codec: Codec = "raw"
    file: bool = since(5, False)
    resumes: bool = since(5, False)


@dataclass(frozen=True, kw_only=True)
class UploadReady(Message):
    """Server: it waits for the chunks.

    Attributes:
        received: number of bytes at the beginning that it has from an earlier connection, and that the client leaves
            out; always 0 unless `Upload.resumes`.
    """

    type: ClassVar[str] = "upload_ready"
    transfer: TransferId
    received: Annotated[int, Between(0, 2**53 - 1)] = since(5, 0)


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
