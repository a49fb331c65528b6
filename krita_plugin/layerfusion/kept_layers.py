"""Reads the layers that the artist keeps: as pixels for the server, and as a copy for the group of the result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from . import colours
from .images import Picture
from .nodes import MAX_PIXELS, check_readable, outside_the_canvas, reach, read
from .scratch import SRGB, hidden
from .translation import tr

_COPIED = ("paintlayer",)
"""Kinds of layers that are copied as they are. Others refer to what may change, such as a file or another layer."""


@dataclass(frozen=True)
class Kept:
    """A kept layer, as it is now.

    Attributes:
        picture: its pixels in 8-bit sRGB, without its opacity and blending mode.
        copy: a duplicate of the node with its masks; None if there is to be a copy of the pixels.
        notes: what the artist should know, each a sentence.
    """

    picture: Picture
    copy: Any
    notes: tuple[str, ...]


def keep(document: Any, nodes: tuple[Any, ...], size: tuple[int, int], erased: Any = None) -> Kept:
    """Read the layers of a foreground or background, bottom first, as one picture.

    Args:
        document: Krita's document.
        nodes: the layers; most often one.
        size: width and height at which the picture is drawn.
        erased: Krita's selection of what is left out of them; None leaves nothing out.

    Raises:
        Refusal: the pixels of one cannot be read.
    """
    document.waitForDone()  # Krita may still be rendering the last stroke
    canvas = document.width(), document.height()
    for node in nodes:
        check_readable(document, node)
    (first, *others) = nodes
    plain = not others and size == canvas and erased is None and colours.are_the_servers(first)
    picture = read(document, first) if plain else _composite(document, nodes, size, erased)
    if picture.is_empty_on(*size):
        raise outside_the_canvas(first)
    copied = not others and erased is None and first.type() in _COPIED and not first.animated()
    return Kept(picture, first.duplicate() if copied else None, tuple(_notes(document, first, copied, plain)))


def _notes(document: Any, node: Any, copied: bool, plain: bool) -> Iterator[str]:
    if node.animated():
        yield tr(
            "“{layer}” is animated; it is kept as it is at frame {frame}.",
            layer=node.name(),
            frame=document.currentTime(),
        )
    left, top, right, bottom = reach(document, node)
    if not copied and (right - left) * (bottom - top) > (MAX_PIXELS if plain else document.width() * document.height()):
        yield tr("Of “{layer}”, only what lies on the canvas is kept.", layer=node.name())


def _composite(document: Any, nodes: Iterable[Any], size: tuple[int, int], erased: Any) -> Picture:
    """Several layers as one picture on the canvas, composited, converted and scaled by Krita."""
    canvas = document.width(), document.height()
    single = len(tuple(nodes)) == 1
    with hidden(canvas, document.resolution(), SRGB) as scratch:
        for node in nodes:
            copy = node.duplicate()
            scratch.rootNode().addChildNode(copy, None)
            if single:  # opacity and blending mode are those of the copy in the result, too
                copy.setOpacity(255)
                copy.setBlendingMode("normal")
        scratch.refreshProjection()
        if erased is not None:
            _erase(scratch, erased)
        if size != canvas:
            scratch.scaleImage(*size, round(scratch.xRes()), round(scratch.yRes()), "Bicubic")
        scratch.waitForDone()
        place = 0, 0, *size
        return Picture(*place, bytes(scratch.pixelData(*place)))


def _erase(scratch: Any, selection: Any) -> None:
    """Make a hidden document transparent as far as it is selected: its layers become one painted layer.

    Krita's own way of clearing a selection goes through the artist's clipboard.
    """
    scratch.waitForDone()
    place = 0, 0, scratch.width(), scratch.height()
    picture = Picture(*place, bytes(scratch.pixelData(*place))).erased(bytes(selection.pixelData(*place)))
    layer = scratch.createNode("Kept", "paintlayer")
    layer.setPixelData(picture.data, *place)
    for node in scratch.rootNode().childNodes():
        node.remove()
    scratch.rootNode().addChildNode(layer, None)
    scratch.refreshProjection()
