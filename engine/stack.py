"""The result of a job: a stack of layers, which can be taken by name, shown and saved."""

from __future__ import annotations

import io
import os
from dataclasses import fields

from PIL import Image

from layerfusion.engine import formats
from layerfusion.engine.errors import NoSuchLayer
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.contact_sheet import contact_sheet
from layerfusion.engine.image.layers import Layer, LayeredImage, Role
from layerfusion.engine.options.checks import said


class LayerStack(LayeredImage):
    """The layers of one picture, bottom first.

        stack.foreground, stack.background      by role, if exactly one layer has it
        stack["Shadow"], stack["blended"]       by name, or by role
        stack[0], len(stack), for layer in …    bottom first
        stack.to_pil(), stack["Light"].to_pil() Pillow images
        stack.save("apple.psd")                 Photoshop, OpenRaster or a folder of PNGs

    A notebook shows it as a contact sheet. Attributes: see `LayeredImage`.
    """

    @property
    def foreground(self) -> Layer:
        """The only foreground.

        Raises:
            NoSuchLayer: the stack has no foreground, or several.
        """
        return self[Role.FOREGROUND]

    @property
    def foregrounds(self) -> tuple[Layer, ...]:
        """All foregrounds, bottom first."""
        return self.by_role(Role.FOREGROUND)

    @property
    def background(self) -> Layer:
        """The only background.

        Raises:
            NoSuchLayer: the stack has no background, or several: if a kept background has holes, the layer that was
                drawn to fill them lies below it and is a background, too.
        """
        return self[Role.BACKGROUND]

    def __getitem__(self, key: str | Role | int) -> Layer:
        """One layer, by its name, its role or its place.

        Args:
            key: the layer's name; its role or the role's value, if exactly one layer has that role; or its place, 0
                for the lowest layer and -1 for the topmost. Upper and lower case of a text may differ.

        Raises:
            NoSuchLayer: no layer fits, or several do. The hint lists the layers of the stack.
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
        """Whether a layer has this name or role; or, given a layer, whether that object is in the stack."""
        return any(layer is key for layer in self) or bool(self._found(key))

    def _found(self, key: object) -> list[Layer]:
        if isinstance(key, str):
            named = [layer for layer in self if layer.name == key]
            return named or [layer for layer in self if key.casefold() in (layer.name.casefold(), layer.role.value)]
        return [layer for layer in self if layer.role is key]

    def _names(self) -> str:
        return ", ".join(f"“{layer.name}”" for layer in self) or "no layers"

    def to_pil(self) -> Image.Image:
        """Composite the visible layers: a Pillow image of the canvas's size, mode RGBA, straight alpha."""
        return Image.fromarray(flatten(self), "RGBA")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the stack to a layered file: `.psd`, `.ora`, or a folder of PNGs. An existing file is replaced.

        Raises:
            UnknownFormat: no writer exists for the suffix.
            UnwritableFile: the folder is missing or read-only, the disk is full, or the path is taken by something
                that this program did not write.
        """
        formats.save(self, path)

    def __repr__(self) -> str:
        lines = [f"<LayerStack {self.name!r}, {self.size} px, {len(self)} layers, bottom first:"]
        return "\n  ".join([*lines, *(repr(layer)[len("<Layer ") : -1] for layer in self)]) + ">"

    def _repr_png_(self) -> bytes:
        """The picture that a notebook shows: a contact sheet of the composite and every layer, as PNG bytes."""
        buffer = io.BytesIO()
        contact_sheet(self).save(buffer, "PNG")
        return buffer.getvalue()


def load(path: str | os.PathLike[str]) -> LayerStack:
    """Read a layered file, ours or another program's: `.psd`, `.ora`, or a folder of PNGs that `save` has made.

    Raises:
        UnknownFormat: no reader exists for the suffix.
        UnreadableFile: the file is missing, truncated, too large or not what its suffix says, or it uses a feature
            that our layers cannot show.
    """
    read = formats.load(path)
    return LayerStack(**{field.name: getattr(read, field.name) for field in fields(read)})
