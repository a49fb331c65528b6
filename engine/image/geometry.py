"""Sizes, boxes, and the choice of the working size at which a model draws a canvas of any size."""

from __future__ import annotations

import math
from dataclasses import dataclass

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.options.checks import check_whole, said

MIN_SIDE = 64
MAX_SIDE = 4096
MAX_ASPECT = 4.0
MIN_BOX_SIDE = 16
MAX_EXTENT = 2**31 - 1
"""The largest size and offset, in pixels, that layered files and the wire can express."""


@dataclass(frozen=True, order=True)
class Size:
    """Width and height in pixels, both at least 1."""

    width: int
    height: int

    def __post_init__(self) -> None:
        for name, value in (("width", self.width), ("height", self.height)):
            check_whole(name, value, low=1, high=MAX_EXTENT, unit="pixels")

    @classmethod
    def of(cls, value: object, name: str) -> Size:
        """Return a size unchanged, and convert a pair (width, height).

        Args:
            name: what an error message calls the value.

        Raises:
            InvalidRequest: the value is neither, or a side is not a whole number of pixels.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise InvalidRequest(f"The {name} is {said(value)}.", "Give (width, height) in pixels.")
        return cls(*value)

    @property
    def area(self) -> int:
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Box:
    """A rectangle on the canvas: the coordinates (x, y) of its top left pixel, at least 0, and its size in pixels."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        for name, value, least in (
            ("left edge", self.x, 0),
            ("upper edge", self.y, 0),
            ("width", self.width, MIN_BOX_SIDE),
            ("height", self.height, MIN_BOX_SIDE),
        ):
            check_whole(f"box's {name}", value, low=least, high=MAX_EXTENT, unit="pixels")

    @classmethod
    def of(cls, value: object) -> Box:
        """Return a box unchanged, and convert (x, y, width, height).

        Raises:
            InvalidRequest: the value is neither, or a number in it is not a whole number of pixels.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, (tuple, list)) or len(value) != 4:
            raise InvalidRequest(f"The box is {said(value)}.", "Give (x, y, width, height) in pixels.")
        return cls(*value)

    def lies_in(self, canvas: Size) -> bool:
        return self.x + self.width <= canvas.width and self.y + self.height <= canvas.height

    def inset(self, fraction: float) -> Box:
        """The box without a margin on each side of `fraction` (0-0.1) of its width or height."""
        across, down = round(fraction * self.width), round(fraction * self.height)
        width, height = max(MIN_BOX_SIDE, self.width - 2 * across), max(MIN_BOX_SIDE, self.height - 2 * down)
        return Box(self.x + (self.width - width) // 2, self.y + (self.height - height) // 2, width, height)

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width}x{self.height}"


def check_canvas(size: Size) -> None:
    """Refuse canvases the engine cannot draw.

    Raises:
        InvalidRequest: a side outside 64-4096 px, or longer than four times the other.
    """
    for name, value in (("width", size.width), ("height", size.height)):
        if not MIN_SIDE <= value <= MAX_SIDE:
            raise InvalidRequest(
                f"The canvas {name} is {value} px.", f"Choose {MIN_SIDE} to {MAX_SIDE} px for each side."
            )
    aspect = max(size.width, size.height) / min(size.width, size.height)
    if aspect > MAX_ASPECT:
        raise InvalidRequest(
            f"The canvas {size} has a side {aspect:.3g} times as long as the other.",
            f"Choose a shape between {MAX_ASPECT:.0f}:1 and 1:{MAX_ASPECT:.0f}, or generate only a part of the canvas.",
        )


@dataclass(frozen=True)
class Framing:
    """How an image of the working size covers a canvas: one uniform scale, then a crop. Nothing is stretched.

    Attributes:
        canvas: the size that was asked for.
        working: the size at which the model draws; both sides are multiples of its stride.
        keeps_ground: whether a crop of the height takes all of it from the top; otherwise crops are centred.
    """

    canvas: Size
    working: Size
    keeps_ground: bool = False

    @property
    def scale(self) -> float:
        """Canvas pixels per working pixel: the smallest scale at which the working image covers the canvas."""
        return max(self.canvas.width / self.working.width, self.canvas.height / self.working.height)

    @property
    def window(self) -> tuple[float, float, float, float]:
        """The part of the working image that becomes the canvas: (left, top, right, bottom) in working pixels."""
        width, height = self.canvas.width / self.scale, self.canvas.height / self.scale
        left = (self.working.width - width) / 2
        top = (self.working.height - height) / (1 if self.keeps_ground else 2)
        return left, top, left + width, top + height


def draft_size(box: Box, *, stride: int, native_area: int, native_aspect: float = 1.0) -> Size:
    """Choose the size at which a model draws an object for a box, see `working_size`: of the box's shape, but at most
    4:3, whatever the canvas. In a longer frame models draw things twice (our choice).

    Args:
        box: where the object will be.
        stride, native_area, native_aspect: see `working_size`.
    """
    aspect = min(max(box.width / box.height, 3 / 4), 4 / 3)
    shape = Size(round(MAX_SIDE / 4 * aspect), MAX_SIDE // 4)
    return working_size(shape, stride=stride, native_area=native_area, native_aspect=native_aspect).working


def working_size(canvas: Size, *, stride: int, native_area: int, native_aspect: float = 1.0) -> Framing:
    """Choose the size at which a model draws a canvas (our choice).

    Both sides are multiples of `stride`. Among all such sizes with about the canvas's aspect ratio, the one with the
    least cost is chosen: |ln(area / trained area)| + 4 x (the fraction of the image that is cropped away). The first
    term is there because a model draws worse away from the area of its training images, the second because cropped
    pixels are wasted work. Less than one stride is cropped, in one direction only.

    Args:
        canvas: 64-4096 px a side, at most 4:1.
        stride: number of pixels of which both working sides must be multiples.
        native_area: area of its square training images, in square pixels.
        native_aspect: up to this ratio of the sides, longer training images had the shorter side of the square ones,
            so that their area was larger, and objects stood near the lower border, so that a crop keeps the ground; 1
            if all had about the same area, as SDXL's.

    Raises:
        InvalidRequest: see `check_canvas`.
    """
    check_canvas(canvas)
    aspect = canvas.width / canvas.height
    trained_area = native_area * min(max(aspect, 1 / aspect), native_aspect)
    best: tuple[float, Framing] | None = None
    longest = math.ceil(math.sqrt(trained_area * MAX_ASPECT) / stride) + 2
    for columns in range(1, longest + 1):
        for rows in {max(1, math.floor(columns / aspect)), math.ceil(columns / aspect)}:
            framing = Framing(canvas, Size(columns * stride, rows * stride), keeps_ground=native_aspect > 1)
            ratio = framing.working.area / trained_area
            cropped = 1 - canvas.area / framing.scale**2 / framing.working.area
            cost = abs(math.log(ratio)) + 4 * cropped
            if best is None or cost < best[0]:
                best = (cost, framing)
    assert best is not None
    return best[1]
