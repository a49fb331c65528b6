"""The layers of a picture, and the canvas that holds them in order."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerfusion.engine.errors import InvalidLayer
from layerfusion.engine.image.geometry import MAX_EXTENT, Size
from layerfusion.engine.image.pillow import pixels_of
from layerfusion.engine.image.record import LayerRecord, PictureRecord
from layerfusion.engine.options.checks import is_whole, said

E = TypeVar("E", bound=Enum)

Pixels = NDArray[np.uint8]
"""uint8 (H, W, 4), sRGB, straight (not premultiplied) alpha, 0-255."""


DEFAULT_RESOLUTION = (72.0, 72.0)
"""Pixels per inch of a picture of which nothing is known: what Photoshop and OpenRaster assume."""


class Role(Enum):
    """What a layer is for. The value is the role's name in files and in the protocol."""

    BACKGROUND = "background"
    FOREGROUND = "foreground"
    SHADOW = "shadow"
    LIGHT = "light"
    BLENDED = "blended"


class BlendMode(Enum):
    """How a layer is composited with the layers below it: three modes that PSD, OpenRaster and Krita compute alike."""

    NORMAL = "normal"
    MULTIPLY = "multiply"
    ADD = "add"


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One layer of a picture.

    Attributes:
        name: shown to the artist; any Unicode text, 1-255 characters.
        role: what the layer is for; the constructor also accepts the role's value.
        pixels: uint8 (H, W, 4), sRGB, straight alpha. The constructor copies a writable array and makes the copy
            read-only; it converts a Pillow image with `image.pillow.pixels_of`.
        offset: (x, y) of the top left pixel on the canvas, in pixels; may be negative or beyond the canvas.
        blend: how the layer is composited with those below; the constructor also accepts the mode's value.
        opacity: 0-1.
        visible: `compositing.flatten` leaves hidden layers out.
        record: where the layer comes from, if that is known.

    Raises:
        InvalidLayer: a value has the wrong type, the pixels have another shape or dtype, there are no pixels, the name
            is empty, or the opacity is outside 0-1.
    """

    name: str
    role: Role
    pixels: Pixels
    offset: tuple[int, int] = (0, 0)
    blend: BlendMode = BlendMode.NORMAL
    opacity: float = 1.0
    visible: bool = True
    record: LayerRecord | None = None

    if TYPE_CHECKING:  # the types that the constructor accepts; the attributes have the types above

        def __init__(
            self,
            *,
            name: str,
            role: Role | str,
            pixels: NDArray[np.uint8] | Image.Image,
            offset: Sequence[int] = (0, 0),
            blend: BlendMode | str = BlendMode.NORMAL,
            opacity: float = 1.0,
            visible: bool = True,
            record: LayerRecord | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        name = _checked_name("layer's name", self.name)
        values = {
            "role": _one_of(Role, f"role of the layer “{name}”", self.role),
            "blend": _one_of(BlendMode, f"blend mode of the layer “{name}”", self.blend),
            "pixels": _owned_pixels(name, self.pixels),
            "offset": _checked_offset(name, self.offset),
        }
        opacity = self.opacity
        if not isinstance(opacity, (int, float)) or isinstance(opacity, bool) or not 0 <= opacity <= 1:
            raise InvalidLayer(
                f"The opacity of the layer “{name}” is {said(opacity, int, float)}.", "Opacity lies between 0 and 1."
            )
        if not isinstance(self.visible, bool):
            raise InvalidLayer(f"Whether “{name}” is visible is {said(self.visible)}.", "Give True or False.")
        if not isinstance(self.record, (LayerRecord, NoneType)):
            raise InvalidLayer(
                f"The record of the layer “{name}” is {said(self.record)}.", "Give a LayerRecord or None."
            )
        for field, value in values.items():
            object.__setattr__(self, field, value)

    @property
    def size(self) -> Size:
        return Size(self.pixels.shape[1], self.pixels.shape[0])

    def renamed(self, name: str) -> Layer:
        return replace(self, name=name)

    def hidden(self) -> Layer:
        return replace(self, visible=False)

    def to_pil(self) -> Image.Image:
        """The layer's pixels as a Pillow image, mode RGBA. Offset, blend mode and opacity are not applied.

        The image is a copy, because Pillow images are writable and a layer's pixels are not.
        """
        return Image.fromarray(self.pixels.copy(), "RGBA")

    def __repr__(self) -> str:
        x, y = self.offset
        notes = [f"{self.size} at {x},{y}", self.blend.value]
        notes += [f"opacity {self.opacity:g}"] * (self.opacity != 1) + ["hidden"] * (not self.visible)
        return f"<Layer {self.name!r}: {self.role.value}, {', '.join(notes)}>"

    def _repr_png_(self) -> bytes:
        """The picture that a notebook shows, as PNG bytes."""
        buffer = io.BytesIO()
        self.to_pil().save(buffer, "PNG")
        return buffer.getvalue()


def covers(layer: Layer, canvas: Size) -> bool:
    """Whether a layer hides a canvas completely: visible, at full opacity, with alpha 255 all over the canvas."""
    x, y = layer.offset
    if x > 0 or y > 0 or x + layer.size.width < canvas.width or y + layer.size.height < canvas.height:
        return False
    seen = layer.pixels[-y : canvas.height - y, -x : canvas.width - x, 3]
    return layer.visible and layer.opacity == 1 and bool(seen.min() == 255)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayeredImage:
    """Layers on a canvas: the content of a layered file. Its subclass `engine.stack.LayerStack` can show and save it.

    Attributes:
        name: the group's name in a document, at most 255 characters.
        size: the canvas, in pixels; the constructor also accepts a pair (width, height).
        layers: bottom first.
        resolution: pixels per inch, horizontally and vertically, above 0. It says how large the picture is printed and
            changes no pixel; files keep it.
        record: how the picture was drawn, if that is known.

    Raises:
        InvalidLayer: a value has the wrong type, or the resolution is not above 0.
        InvalidRequest: `size` is not a size.
    """

    name: str
    size: Size
    layers: tuple[Layer, ...]
    resolution: tuple[float, float] = DEFAULT_RESOLUTION
    record: PictureRecord | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            name: str,
            size: Size | Sequence[int],
            layers: Sequence[Layer],
            resolution: tuple[float, float] = DEFAULT_RESOLUTION,
            record: PictureRecord | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InvalidLayer(f"The name of the stack is {said(self.name)}.", "Give a text.")
        if not isinstance(self.layers, (tuple, list)):
            raise InvalidLayer(f"The layers are {said(self.layers)}.", "Give a tuple of layers, bottom first.")
        for number, layer in enumerate(self.layers, start=1):
            if not isinstance(layer, Layer):
                raise InvalidLayer(f"Layer {number} of the stack is {said(layer)}.", "Give a Layer.")
        resolution = self.resolution
        if not isinstance(resolution, (tuple, list)) or len(resolution) != 2 or not all(map(_is_positive, resolution)):
            raise InvalidLayer(f"The resolution is {said(resolution, tuple)}.", "Give two numbers of pixels per inch.")
        if not isinstance(self.record, (PictureRecord, NoneType)):
            raise InvalidLayer(f"The record of the stack is {said(self.record)}.", "Give a PictureRecord or None.")
        object.__setattr__(self, "resolution", tuple(resolution))
        object.__setattr__(self, "size", Size.of(self.size, "size of the stack"))
        object.__setattr__(self, "layers", tuple(self.layers))

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def by_role(self, role: Role) -> tuple[Layer, ...]:
        """The layers of one role, bottom first; empty if there is none."""
        return tuple(layer for layer in self.layers if layer.role is role)

    def without_prompts(self) -> Self:
        """A copy whose records and name hold no prompts and no seeds; everything else they say stays."""
        if self.record is None:
            return self
        layers = tuple(
            layer if layer.record is None else replace(layer, record=layer.record.without_prompts()) for layer in self
        )
        return replace(self, name="LayerFusion", layers=layers, record=self.record.without_prompts())

    def with_layer(self, layer: Layer) -> Self:
        """A copy with `layer` on top."""
        return replace(self, layers=(*self.layers, layer))


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def _checked_name(what: str, name: object) -> str:
    if not isinstance(name, str):
        raise InvalidLayer(f"The {what} is {said(name)}.", "Give a text of 1 to 255 characters.")
    if not 1 <= len(name) <= 255:
        raise InvalidLayer(f"The {what} has {len(name)} characters.", "Use 1 to 255 characters.")
    return name


def _one_of(kind: type[E], what: str, value: object) -> E:
    """The member of an enumeration, given the member or its value."""
    found = next(
        (member for member in kind if value is member or (isinstance(value, str) and value == member.value)), None
    )
    if found is None:
        names = ", ".join(member.value for member in kind)
        raise InvalidLayer(f"The {what} is {said(value, str)}.", f"Choose one of: {names}.")
    return found


def _owned_pixels(name: str, given: object) -> Pixels:
    """Read-only pixels: the given array if it is read-only already and contiguous, otherwise a copy."""
    pixels = pixels_of(given) if isinstance(given, Image.Image) else given
    if not isinstance(pixels, np.ndarray):
        raise InvalidLayer(
            f"The pixels of the layer “{name}” are {said(pixels)}.", "Give a NumPy array or a Pillow picture."
        )
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 4:
        raise InvalidLayer(
            f"The layer “{name}” has {pixels.dtype} pixels of shape {pixels.shape}.",
            "Layers are 8-bit RGBA: uint8, shape (height, width, 4).",
        )
    if pixels.shape[0] == 0 or pixels.shape[1] == 0:
        raise InvalidLayer(f"The layer “{name}” has no pixels.", "Give a layer at least 1x1 pixels in size.")
    if pixels.flags.writeable or not pixels.flags.c_contiguous:
        pixels = np.array(pixels, order="C", copy=True)
        pixels.setflags(write=False)
    return pixels


def _checked_offset(name: str, offset: object) -> tuple[int, int]:
    if not isinstance(offset, (tuple, list)) or len(offset) != 2 or not all(is_whole(value) for value in offset):
        raise InvalidLayer(f"The offset of the layer “{name}” is {said(offset)}.", "Give (x, y) in whole pixels.")
    if not all(-MAX_EXTENT <= value <= MAX_EXTENT for value in offset):
        raise InvalidLayer(
            f"The offset of the layer “{name}” is {said(offset, tuple)}.", f"At most {MAX_EXTENT} px from the canvas."
        )
    return offset[0], offset[1]
