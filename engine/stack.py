"""What a drawing is in the end: a stack of layers that can be taken apart by name, looked at and saved."""

from __future__ import annotations

import io
import os

from PIL import Image

from layerfusion.engine import formats
from layerfusion.engine.errors import NoSuchLayer
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.contact_sheet import contact_sheet
from layerfusion.engine.image.layers import Layer, LayeredImage, Role
from layerfusion.engine.options.checks import said


class LayerStack(LayeredImage):
    """The layers of one picture, bottom first.

        stack.foreground, stack.background      by role, where there is one of it
        stack["Shadow"], stack["blended"]       by name, or by role
        stack[0], len(stack), for layer in …    bottom first
        stack.to_pil(), stack["Light"].to_pil() Pillow pictures
        stack.save("apple.psd")                 Photoshop, OpenRaster or a folder of PNGs

    A notebook shows it as a contact sheet. Attributes: see `LayeredImage`.
    """

    @property
    def foreground(self) -> Layer:
        """The foreground of a stack that has one.

        Raises:
            NoSuchLayer: there is none, or there are several.
        """
        return self[Role.FOREGROUND]

    @property
    def foregrounds(self) -> tuple[Layer, ...]:
        """All foregrounds, bottom first."""
        return self.by_role(Role.FOREGROUND)

    @property
    def background(self) -> Layer:
        """The background of a stack that has one.

        Raises:
            NoSuchLayer: there is none, or there are several: a kept background with holes lies on what was drawn to
                fill them.
        """
        return self[Role.BACKGROUND]

    def __getitem__(self, key: str | Role | int) -> Layer:
        """One layer.

        Args:
            key: its name; or its role, or the role's value, in any case of letters, where one layer has it; or its
                place, 0 for the lowest, -1 for the topmost.

        Raises:
            NoSuchLayer: there is none, or more than one. The hint lists the layers there are.
        """
        if isinstance(key, int) and not isinstance(key, bool):
            if -len(self) <= key < len(self):
                return self.layers[key]
            raise NoSuchLayer(f"The stack has no layer {key}.", f"It has {len(self)}: {self._names()}.")
        found = self._found(key)
        if len(found) == 1:
            return found[0]
        word = key.value if isinstance(key, Role) else key
        if not found:
            raise NoSuchLayer(f"The stack has no layer {said(word, str)}.", f"It has: {self._names()}.")
        raise NoSuchLayer(
            f"The stack has {len(found)} layers that are {said(word, str)}.",
            f"Take one by its name or place. It has: {self._names()}.",
        )

    def __contains__(self, key: object) -> bool:
        """Whether there is a layer of that name or role; or whether this very layer is one of the stack's."""
        return any(layer is key for layer in self) or bool(self._found(key))

    def _found(self, key: object) -> list[Layer]:
        if isinstance(key, str):
            named = [layer for layer in self if layer.name == key]
            return named or [layer for layer in self if key.casefold() in (layer.name.casefold(), layer.role.value)]
        return [layer for layer in self if layer.role is key]

    def _names(self) -> str:
        return ", ".join(f"“{layer.name}”" for layer in self) or "no layers"

    def to_pil(self) -> Image.Image:
        """The visible layers composited, as a Pillow picture of the canvas's size, mode RGBA."""
        return Image.fromarray(flatten(self), "RGBA")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a layered file: `.psd`, `.ora`, or a folder of PNGs. An existing file of that name is replaced.

        Raises:
            UnknownFormat: a suffix no writer exists for.
            UnwritableFile: the folder is missing or read-only, the disk is full, another's file is in the way.
        """
        formats.save(self, path)

    def __repr__(self) -> str:
        lines = [f"<LayerStack {self.name!r}, {self.size} px, {len(self)} layers, bottom first:"]
        return "\n  ".join([*lines, *(repr(layer)[len("<Layer ") : -1] for layer in self)]) + ">"

    def _repr_png_(self) -> bytes:
        """What a notebook shows of it: the composite and every layer, on a contact sheet."""
        buffer = io.BytesIO()
        contact_sheet(self).save(buffer, "PNG")
        return buffer.getvalue()


def load(path: str | os.PathLike[str]) -> LayerStack:
    """Read a layered file, ours or another program's: `.psd`, `.ora`, or a folder of PNGs that `save` has made.

    Raises:
        UnknownFormat: a suffix no reader exists for.
        UnreadableFile: missing, truncated, not what its suffix says, too large, or using what our layers cannot show.
    """
    read = formats.load(path)
    return LayerStack(name=read.name, size=read.size, layers=read.layers)
