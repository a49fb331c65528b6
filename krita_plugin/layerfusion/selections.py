"""Reads Krita's selection as the region of a foreground: a box, and the shape in it."""

from __future__ import annotations

import base64
import zlib
from typing import Any

from .interfaces import Region
from .qt import QtCore, QtGui

MOST = 256
"""Pixels of a shape's longer side, which the protocol allows."""
INSIDE = 127
"""A pixel of a selection with more than this is inside, for the server as for Krita's own outline of it."""


def region(document: Any, size: tuple[int, int]) -> Region | None:
    """The selection on the canvas, in a picture of the whole canvas.

    Args:
        document: Krita's document.
        size: width and height of the picture in pixels.

    Returns:
        None if there is no selection on the canvas, or nothing is selected at least by half.
    """
    selection = document.selection()
    if selection is None:
        return None
    place = QtCore.QRect(selection.x(), selection.y(), selection.width(), selection.height())
    box = place.intersected(QtCore.QRect(0, 0, document.width(), document.height()))
    if box.isEmpty():
        return None
    mask = bytes(selection.pixelData(box.x(), box.y(), box.width(), box.height()))
    if max(mask) <= INSIDE:
        return None
    across, down = size[0] / document.width(), size[1] / document.height()
    left, top = int(across * box.x()), int(down * box.y())
    width, height = max(1, int(across * box.width())), max(1, int(down * box.height()))
    whole = mask.count(255) == len(mask)
    return Region((left, top, width, height), None if whole else _shape(mask, box.width(), box.height()))


def _shape(mask: bytes, width: int, height: int) -> str:
    """A mask of one byte for each pixel as the protocol writes a shape."""
    part = min(1.0, MOST / max(width, height))
    across, down = max(1, round(part * width)), max(1, round(part * height))
    gray = QtGui.QImage.Format.Format_Grayscale8
    ignored, smooth = QtCore.Qt.AspectRatioMode.IgnoreAspectRatio, QtCore.Qt.TransformationMode.SmoothTransformation
    image = QtGui.QImage(mask, width, height, width, gray).scaled(across, down, ignored, smooth).convertToFormat(gray)
    bits: Any = image.constBits()  # PyQt's pointer, which PyQt5's stubs know no further
    bits.setsize(image.sizeInBytes())
    data, row = bytes(bits), image.bytesPerLine()  # Qt fills rows up to four bytes
    alpha = b"".join(data[row * y : row * y + across] for y in range(down))
    return f"{across}x{down}:{base64.b64encode(zlib.compress(alpha, 9)).decode()}"
