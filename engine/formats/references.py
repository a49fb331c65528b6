"""A layer named in a text: a picture file, or a layer of a layered file, such as `apple.psd#Foreground`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats import stacks
from layerfusion.engine.formats.images import load_image
from layerfusion.engine.formats.roles import matching
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, LayeredImage, Role

_SEPARATOR = "#"
_LAYERED = (".psd", ".psb", ".ora")


@dataclass(frozen=True)
class Referenced:
    """What a text names.

    Attributes:
        layer: the layer; of a picture file, one with the file's name in the canvas's top left corner.
        canvas: size of the canvas it is placed on; None for a picture file, which has no place.
    """

    layer: Layer
    canvas: Size | None


def load_layer(text: str | os.PathLike[str]) -> Referenced:
    """Read a picture file, or one layer of a layered file.

    Args:
        text: the path of a picture; or the path of a layered file or folder, `#`, and the layer's name or role; or a
            layered file with a single layer. A file whose own name contains `#` is taken as it is.

    Raises:
        UnreadableFile: see `load_image` and `load`; or no layer or several layers are meant.
    """
    whole = Path(text)
    file, separator, wanted = os.fspath(text).rpartition(_SEPARATOR)
    if not separator or whole.exists():
        if not _is_layered(whole):
            picture = load_image(whole)
            name = whole.stem[:255] or "layer"
            return Referenced(Layer(name=name, role=Role.FOREGROUND, pixels=picture), None)
        file, wanted = os.fspath(text), ""
    if wanted:
        found = stacks.load_layer(file, wanted)
        if found is not None:
            return Referenced(*found)
    stack = stacks.load(file)
    return Referenced(_chosen(stack, file, wanted), stack.size)


def _is_layered(path: Path) -> bool:
    return path.suffix.lower() in _LAYERED or path.is_dir()


def _chosen(stack: LayeredImage, file: str, wanted: str) -> Layer:
    number = matching(wanted, [(layer.name, layer.role) for layer in stack]) if wanted else 0
    if number is not None and (wanted or len(stack) == 1):
        return stack.layers[number]
    names = ", ".join(f"“{layer.name}”" for layer in stack)
    what = f"no single layer “{wanted}”" if wanted else f"{len(stack)} layers"
    raise UnreadableFile(f"“{file}” has {what}.", f"Name one, as in {file}{_SEPARATOR}{stack.layers[0].name}: {names}.")
