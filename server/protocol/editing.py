"""Messages for editors of layers: to read a file of another program, to scale a layer, and to get a layer's pixels.

Layers are named by the SHA-256 of their pixels here, not by a job and a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from .fields import Blend, Fraction, LayerId, Message, Name, Offset, Problem, Prompt, Role, Side, Text, TransferId
from .schema import Between, Length, Record

MAX_LAYERS = 256
"""Most layers of a file."""


@dataclass(frozen=True, kw_only=True)
class Placed(Record):
    """A layer with its place in a picture.

    Attributes:
        layer: SHA-256 of its pixels.
        width, height: size of its pixels.
        x, y: position of its top left pixel on the canvas; it may be outside the canvas.
        name, role, blend, opacity, visible: its properties.
        prompt: what it shows, in a few words; empty if that is not known.
    """

    layer: LayerId
    width: Side
    height: Side
    x: Offset = 0
    y: Offset = 0
    name: Name
    role: Role
    blend: Blend = "normal"
    opacity: Fraction = 1.0
    visible: bool = True
    prompt: Prompt = ""


@dataclass(frozen=True, kw_only=True)
class ReadFile(Message):
    """Client: read an uploaded file, such as a PSD, as layers. The answer is `FileRead` or `ReadFailed`.

    Attributes:
        file: SHA-256 of the file, which is the id under which it was uploaded.
        name: the file's name, for messages to people and for the layer of a flat picture.
    """

    type: ClassVar[str] = "read_file"
    file: LayerId
    name: Name


@dataclass(frozen=True, kw_only=True)
class FileRead(Message):
    """Server: what it has read from a file. It has the layers like uploaded ones, and sends them after `FetchPixels`.

    Attributes:
        file: that of the request.
        width, height: size of the canvas; of a flat picture, that of its only layer.
        title: the file's own title, or its name.
        layers: bottom first.
        record: what the picture was made from, as in `Done.record`; empty if the file does not say.
    """

    type: ClassVar[str] = "file_read"
    file: LayerId
    width: Side
    height: Side
    title: Text
    layers: Annotated[tuple[Placed, ...], Length(1, MAX_LAYERS)]
    record: Annotated[str, Length(0, 500_000)] = ""


@dataclass(frozen=True, kw_only=True)
class ReadFailed(Problem):
    """Server: the reason why a file cannot be read. It keeps nothing of it."""

    type: ClassVar[str] = "read_failed"
    file: LayerId


@dataclass(frozen=True, kw_only=True)
class ScaleLayer(Message):
    """Client: make a larger or smaller copy of a layer. The answer is `LayerScaled` or `LayerFailed`.

    Attributes:
        layer: SHA-256 of the pixels of a layer that the client has uploaded or has in a job.
        width, height: size of its pixels.
        to_width, to_height: size of the copy.
    """

    type: ClassVar[str] = "scale_layer"
    layer: LayerId
    width: Side
    height: Side
    to_width: Side
    to_height: Side


@dataclass(frozen=True, kw_only=True)
class LayerScaled(Message):
    """Server: it has the copy like an uploaded layer.

    Attributes:
        layer, to_width, to_height: those of the request.
        scaled: SHA-256 of the copy's pixels.
    """

    type: ClassVar[str] = "layer_scaled"
    layer: LayerId
    to_width: Side
    to_height: Side
    scaled: LayerId


@dataclass(frozen=True, kw_only=True)
class FetchPixels(Message):
    """Client: send the pixels of a layer. The answer is `PixelsBegin`, chunks and `PixelsEnd`, or `LayerFailed`.

    Attributes:
        layer: SHA-256 of the pixels of a layer that the client has uploaded or has in a job.
    """

    type: ClassVar[str] = "fetch_pixels"
    layer: LayerId


@dataclass(frozen=True, kw_only=True)
class PixelsBegin(Message):
    """Server: the start of a layer's pixels. Its chunks follow, and then `PixelsEnd`.

    Attributes:
        transfer: the transfer number of its chunks. Layers, files and pixels share one count.
        bytes: number of bytes, 4 x width x height.
        sha256: the SHA-256 that was asked for.
    """

    type: ClassVar[str] = "pixels_begin"
    transfer: TransferId
    bytes: Annotated[int, Between(0, 2**53 - 1)]
    sha256: LayerId


@dataclass(frozen=True, kw_only=True)
class PixelsEnd(Message):
    """Server: all chunks were sent."""

    type: ClassVar[str] = "pixels_end"
    transfer: TransferId


@dataclass(frozen=True, kw_only=True)
class LayerFailed(Problem):
    """Server: the reason why a layer cannot be scaled or sent."""

    type: ClassVar[str] = "layer_failed"
    layer: LayerId
