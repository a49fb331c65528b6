"""Reads the layers of a hidden Krita document for a PSD file: in strips, which another thread packs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from .nodes import READABLE, is_mask
from .psd_file import (
    ALPHA,
    BOUNDARY,
    CLOSED,
    MASK,
    MAX_SIDE,
    NORMAL,
    OPEN,
    PASS_THROUGH,
    Box,
    Packed,
    PsdLayer,
    blend_key,
    joined,
    packed,
)
from .qt import QtGui
from .translation import tr

P = ParamSpec("P")
R = TypeVar("R")

STEP_BYTES = 2**22
"""Pixels that are read in one step; Krita copies some hundred megabytes in a second."""
AHEAD = 4
"""Strips that may wait for the other thread, so that little memory is used."""
_CHANNELS = (2, 1, 0, ALPHA)
"""The channel of each of Krita's four bytes of a pixel: blue, green, red, alpha."""


class Packing:
    """The other thread. It does one thing after the other; leaving the block waits for it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "layerfusion-psd")
        self._waiting: deque[Future[Any]] = deque()

    def __enter__(self) -> Packing:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def submit(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        future = self._thread.submit(function, *args, **kwargs)
        self._waiting.append(future)
        return future

    def room(self) -> Generator[None, None, None]:
        """Yields at least once, and until few strips wait."""
        yield
        while True:
            while self._waiting and self._waiting[0].done():
                self._waiting.popleft()
            if len(self._waiting) <= AHEAD:
                return
            yield


@dataclass(frozen=True)
class Planned:
    """A layer of the file, or one end of a group.

    Attributes:
        node: Krita's node.
        id: its number in the file.
        section: as in `PsdLayer`.
        mask: the transparency mask that becomes its layer mask; None if there is none.
        flat: whether its masks or its children are composited into its pixels, because the file cannot hold them.
    """

    node: Any
    id: int
    section: int = 0
    mask: Any = None
    flat: bool = False


def plan(root: Any) -> tuple[list[Planned], tuple[str, ...]]:
    """The layers of a file with the nodes in a root or group, bottom first, and what it cannot say of them."""
    planned: list[Planned] = []
    notes: list[str] = []
    _plan(root, planned, notes)
    return planned, tuple(notes)


def _plan(group: Any, planned: list[Planned], notes: list[str]) -> None:
    for node in group.childNodes():
        if is_mask(node):
            continue
        name, kind = node.name(), node.type()
        if kind not in READABLE:
            notes.append(tr("“{name}” is left out: a PSD has no layer of its kind ({kind}).", name=name, kind=kind))
            continue
        mode = node.blendingMode()
        if blend_key(mode) is None:
            notes.append(
                tr("“{name}” is normal in the PSD, which has no blending mode “{mode}”.", name=name, mode=mode)
            )
        if node.inheritAlpha():
            notes.append(tr("“{name}” inherits alpha in Krita, and does not in the PSD.", name=name))
        masks = [child for child in node.childNodes() if is_mask(child) and child.visible()]
        single = masks[0] if len(masks) == 1 and masks[0].type() == "transparencymask" else None
        flat = bool(masks) and single is None
        if flat:
            notes.append(tr("The masks of “{name}” are part of its pixels in the PSD.", name=name))
        if kind == "grouplayer" and not flat:
            planned.append(Planned(node, len(planned) + 1, BOUNDARY))
            _plan(node, planned, notes)
            planned.append(Planned(node, len(planned) + 1, CLOSED if node.collapsed() else OPEN, mask=single))
        else:
            planned.append(Planned(node, len(planned) + 1, mask=single, flat=flat))


def read(planned: Planned, packing: Packing) -> Generator[None, None, Future[PsdLayer]]:
    """Read the pixels of one layer, step by step."""
    node, section = planned.node, planned.section
    passes = section and node.passThroughMode()
    values = {
        "name": "</Layer group>" if section == BOUNDARY else node.name(),
        "blend": PASS_THROUGH if passes else blend_key(node.blendingMode()) or NORMAL,
        "opacity": node.opacity(),
        "visible": node.visible(),
        "id": planned.id,
        "section": section,
    }
    box = _box(node)
    strips: list[Future[list[Packed]]] = []
    mask: list[Future[list[Packed]]] = []
    if not section:
        as_painted = node.type() == "paintlayer" and not planned.flat
        pixels = node.pixelData if as_painted else node.projectionPixelData
        strips = yield from _strips(pixels, box, packing, _of_pixels)
    outside = True
    if planned.mask is not None:
        mask = yield from _strips(planned.mask.pixelData, box, packing, _of_mask)
        outside = bytes(planned.mask.pixelData(box[0] - 1, box[1] - 1, 1, 1)) == b"\0"

    def made() -> PsdLayer:
        channels = _joined(_CHANNELS, strips) if strips else {}
        channels = {number: channels[number] for number in sorted(channels)} | _joined((MASK,), mask)
        return PsdLayer(
            **values,
            box=(0, 0, 0, 0) if section else box,
            channels=channels,
            mask=box if mask else None,
            masked_outside=outside,
        )

    return packing.submit(made)


def merged(document: Any, packing: Packing) -> Generator[None, None, Future[tuple[Packed, Packed, Packed]]]:
    """Read the picture that a document shows, over white, step by step: red, green and blue."""
    box = 0, 0, document.width(), document.height()
    strips = yield from _strips(document.pixelData, box, packing, _over_white)

    def made() -> tuple[Packed, Packed, Packed]:
        channels = _joined(_CHANNELS, strips)
        return channels[0], channels[1], channels[2]

    return packing.submit(made)


def _box(node: Any) -> Box:
    """Left, top, width and height of what a layer shows, at least one pixel."""
    bounds = node.bounds()
    left, top = max(bounds.x(), -MAX_SIDE), max(bounds.y(), -MAX_SIDE)
    width, height = (min(max(side, 1), MAX_SIDE) for side in (bounds.width(), bounds.height()))
    return left, top, width, height


def _strips(
    pixels: Callable[[int, int, int, int], Any],
    box: Box,
    packing: Packing,
    pack: Callable[[bytes, int], list[Packed]],
) -> Generator[None, None, list[Future[list[Packed]]]]:
    left, top, width, height = box
    rows = max(1, STEP_BYTES // (4 * width))
    found = []
    for y in range(top, top + height, rows):
        data = bytes(pixels(left, y, width, min(rows, top + height - y)))
        found.append(packing.submit(pack, data, width))
        yield from packing.room()
    return found


def _joined(channels: tuple[int, ...], strips: list[Future[list[Packed]]]) -> dict[int, Packed]:
    done = [strip.result() for strip in strips]
    return {number: joined(strip[at] for strip in done) for at, number in enumerate(channels)} if done else {}


def _of_pixels(data: bytes, width: int) -> list[Packed]:
    """The four channels of BGRA pixels."""
    return [packed(data[at::4], width) for at in range(4)]


def _of_mask(data: bytes, width: int) -> list[Packed]:
    return [packed(data, width)]


def _over_white(data: bytes, width: int) -> list[Packed]:
    """The channels of BGRA pixels over white."""
    height = len(data) // (4 * width)
    if data[3::4].count(255) < width * height:
        above = QtGui.QImage(data, width, height, 4 * width, QtGui.QImage.Format.Format_ARGB32)
        sheet = QtGui.QImage(width, height, QtGui.QImage.Format.Format_ARGB32)
        sheet.fill(QtGui.QColor("white"))
        painter = QtGui.QPainter(sheet)
        painter.drawImage(0, 0, above)
        painter.end()
        bits: Any = sheet.constBits()  # PyQt's pointer, which PyQt5's stubs know no further
        bits.setsize(sheet.sizeInBytes())
        data = bytes(bits)
    return _of_pixels(data, width)
