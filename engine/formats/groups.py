"""Groups of other programs' documents, replaced by their layers where that shows the same picture.

Our stacks have no groups. A group may be dissolved if its layers, composited one by one with everything below, give the
picture that the group gave. For a pass-through group that is always so. An isolated group is composited by itself
first, on a transparent canvas: there a layer in mode multiply or add does not meet what lies below the group. It may
still be dissolved where the group's own content below such a layer is opaque, or where nothing lies below the group.
The same question, whether the backdrop is opaque, decides about layers that keep the backdrop's alpha.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.image.compositing import to_bytes
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer

Alpha = NDArray[np.uint8]
"""uint8 (H, W): the alpha of everything composited so far, on the canvas."""

_MAX_PLANES = 2**28
"""Bytes of the planes of alpha that are kept at a time: two for each isolated group within another."""


@dataclass(frozen=True, eq=False)
class Leaf:
    """One layer of a document.

    Attributes:
        layer: as it is in the file, visible if its own eye is on.
        keeps_alpha: it changes colour only where the backdrop has alpha already (OpenRaster's `alpha-preserve`).
        colour_scale: the colours are multiplied by this before they are added (Photoshop's fill opacity of a layer in
            mode linear dodge), 0-1.
    """

    layer: Layer
    keeps_alpha: bool = False
    colour_scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Group:
    """A group at full opacity in mode normal.

    Attributes:
        name: for messages.
        visible: its own eye.
        isolated: its content is composited by itself first; otherwise it is a pass-through group.
        children: bottom first.
        only_lowest: why the group may be dissolved only if nothing visible lies below it; empty if there is no reason.
    """

    name: str
    visible: bool
    isolated: bool
    children: tuple[Leaf | Group, ...]
    only_lowest: str = ""


Refuse = Callable[[str, str], UnreadableFile]
"""(name of the layer or group, what is not supported) -> the error."""


def dissolve(children: Sequence[Leaf | Group], canvas: Size, refuse: Refuse) -> list[Layer]:
    """The layers of a document without its groups, bottom first; those of a hidden group are hidden.

    Args:
        children: the document's layers and groups, bottom first.
        canvas: the document's size.
        refuse: makes the error for something that cannot be shown without groups.

    Raises:
        UnreadableFile: the picture would differ.
    """
    return _Dissolver(canvas, refuse).run(children)


class _Dissolver:
    def __init__(self, canvas: Size, refuse: Refuse) -> None:
        self._canvas = canvas
        self._refuse = refuse
        self._found: list[Layer] = []

    def run(self, children: Sequence[Leaf | Group]) -> list[Layer]:
        follow = _is_special(children)
        scope = _Scope(self._plane(), None) if follow else None
        self._walk(children, scope, "", shown=True, counts=True, depth=0)
        return self._found

    def _plane(self) -> Alpha:
        return np.zeros((self._canvas.height, self._canvas.width), np.uint8)

    def _walk(
        self,
        children: Sequence[Leaf | Group],
        scope: _Scope | None,
        group: str,
        *,
        shown: bool,
        counts: bool,
        depth: int,
    ) -> None:
        """Append the layers.

        Args:
            scope: the alpha below, see there; None if no layer asks for it.
            group: name of the innermost isolated group.
            shown: whether all groups around are visible.
            counts: whether all groups around within the innermost isolated group are visible. A hidden group is judged
                as if it were shown.
            depth: number of isolated groups around.
        """
        for child in children:
            if isinstance(child, Leaf):
                self._append(child, scope, group, shown=shown, counts=counts)
                continue
            if child.only_lowest and any(layer.visible for layer in self._found):
                raise self._refuse(child.name, child.only_lowest)
            visible = shown and child.visible
            if not child.isolated or not any(layer.visible for layer in self._found):
                inside = counts and child.visible
                self._walk(child.children, scope, group, shown=visible, counts=inside, depth=depth)
                continue
            inner = None
            if scope is not None and _is_special([child]):
                if (2 * depth + 3) * self._canvas.area > _MAX_PLANES:
                    raise self._refuse(child.name, f"lies in {depth} isolated groups on a large canvas")
                inner = _Scope(self._plane(), scope.everything())
            self._walk(child.children, inner, child.name, shown=visible, counts=True, depth=depth + 1)
            if scope is not None and counts and child.visible:
                for layer in _visible_layers(child):
                    scope.add(layer)

    def _append(self, leaf: Leaf, scope: _Scope | None, group: str, *, shown: bool, counts: bool) -> None:
        layer = leaf.layer
        if scope is not None:
            opaque, alone = scope.below(layer)
            if leaf.keeps_alpha and not opaque:
                raise self._refuse(layer.name, "keeps the alpha of what is below it (alpha-preserve), which has holes")
            if leaf.colour_scale != 1 and not opaque:
                raise self._refuse(layer.name, "has a fill opacity in mode linear dodge over transparent pixels")
            if layer.blend is not BlendMode.NORMAL and not (opaque or alone):
                raise self._refuse(group, f"is an isolated group, in which “{layer.name}” has a blend mode")
            if counts and layer.visible:
                scope.add(layer)
        if leaf.colour_scale != 1:
            colours = to_bytes(layer.pixels[..., :3] * np.float32(leaf.colour_scale / 255))
            layer = replace(layer, pixels=np.concatenate([colours, layer.pixels[..., 3:]], axis=-1))
        self._found.append(layer if shown else layer.hidden())


class _Scope:
    """The alpha of what lies below the next layer.

    Args:
        inside: within the innermost isolated group; zeros at its beginning. It is written to.
        outside: of everything below that group; None if there is no such group.
    """

    def __init__(self, inside: Alpha, outside: Alpha | None) -> None:
        self._inside = inside
        self._outside = outside

    def everything(self) -> Alpha:
        """The alpha of all that lies below, inside and outside; a copy."""
        both = self._inside.copy()
        if self._outside is not None:
            np.maximum(both, self._outside, out=both)  # only whether it is 0 is asked
        return both

    def below(self, layer: Layer) -> tuple[bool, bool]:
        """Whether, where the layer has alpha, the group's own content is opaque; and whether nothing is outside.

        The two are asked pixel by pixel: the second is true if each pixel is one or the other.
        """
        place = _placed(layer, self._inside)
        if place is None:
            return True, True
        rows, columns, alpha = place
        touched = alpha > 0
        opaque = self._inside[rows, columns] == 255
        all_opaque = bool(np.all(opaque | ~touched))
        if all_opaque or self._outside is None:
            return all_opaque, self._outside is None
        return False, bool(np.all(opaque | (self._outside[rows, columns] == 0) | ~touched))

    def add(self, layer: Layer) -> None:
        """Composite a layer's alpha."""
        place = _placed(layer, self._inside)
        if place is None:
            return
        rows, columns, alpha = place
        above = np.rint(alpha * np.float32(layer.opacity)).astype(np.uint16)
        below = self._inside[rows, columns].astype(np.uint16)
        self._inside[rows, columns] = above + below - (above * below + 127) // 255


def _visible_layers(group: Group) -> Iterator[Layer]:
    """The layers of a group that are seen when the group is."""
    for child in group.children:
        if isinstance(child, Leaf):
            if child.layer.visible:
                yield child.layer
        elif child.visible:
            yield from _visible_layers(child)


def _placed(layer: Layer, canvas: Alpha) -> tuple[slice, slice, Alpha] | None:
    """The rows and columns of the canvas that a layer covers, and its alpha there; None if it lies outside."""
    (x, y), (height, width) = layer.offset, canvas.shape
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + layer.size.width, width), min(y + layer.size.height, height)
    if left >= right or top >= bottom:
        return None
    return slice(top, bottom), slice(left, right), layer.pixels[top - y : bottom - y, left - x : right - x, 3]


def _is_special(children: Sequence[Leaf | Group], *, isolated: bool = False) -> bool:
    """Whether a layer among these depends on the alpha below it."""
    for child in children:
        if isinstance(child, Group):
            if _is_special(child.children, isolated=isolated or child.isolated):
                return True
        elif child.keeps_alpha or child.colour_scale != 1 or (isolated and child.layer.blend is not BlendMode.NORMAL):
            return True
    return False
