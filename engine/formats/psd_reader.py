"""Reading Photoshop documents, ours and other programs', PSD or PSB: RGB or grey, 8 or 16 bits a channel; in CMYK with
a profile single layers, which are converted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from psd_tools import ParseLimits, PSDImage
from psd_tools.api.layers import Group as PSDGroup
from psd_tools.api.layers import Layer as PSDLayer
from psd_tools.constants import BlendMode as PSDBlend
from psd_tools.constants import ColorMode, Resource

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats import psd_pixels, roles
from layerfusion.engine.formats.files import (
    MAX_BYTES,
    check_canvas,
    check_file,
    check_layers,
    check_memory,
    damaged,
    reading,
)
from layerfusion.engine.formats.groups import Group, Leaf, dissolve
from layerfusion.engine.formats.psd_features import (
    BLEND_BACK,
    fill_opacity,
    has_spot_channels,
    has_unpaired_dividers,
    obstacle,
)
from layerfusion.engine.formats.roles import matching
from layerfusion.engine.formats.xmp import read_roles, read_xmp
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role

KIND = "PSD document"


def load(path: Path) -> LayeredImage:
    """Read a stack; see `engine.formats.load`. A document without layers is one of a single layer, its picture."""
    with _opened(path) as document:
        if document.color_mode is ColorMode.CMYK:
            raise UnreadableFile(
                f"“{path}” is in CMYK, whose layers mix in another way.",
                "Convert it to RGB. A single layer of it can be kept: --keep 1=FILE.psd#LAYER.",
            )
        for layer in document.descendants():
            if why := obstacle(layer):
                raise _refused(path, _name(layer), why)
        found = [layer for layer in document.descendants() if _has_pixels(layer)]
        if not list(document.descendants()):
            return _flat(document, path)
        check_layers(path, len(found))
        check_memory(path, [layer.width * layer.height for layer in found])
        return _to_stack(document, path)


def load_layer(path: Path, wanted: str) -> tuple[Layer, Size] | None:
    """Read one layer by its name or role, whatever the layers beside it are. Groups around it may only group.

    Returns:
        The layer and the canvas's size; None if not exactly one layer is meant.

    Raises:
        UnreadableFile: see `load`.
    """
    with _opened(path) as document:
        layers = [layer for layer in document.descendants() if _has_pixels(layer)]
        stated = read_roles(_packet(document))
        number = matching(wanted, [(_name(layer), stated.get(layer.layer_id)) for layer in layers])
        if number is None:
            return None
        chosen: Any = layers[number]
        around = chosen
        while around is not document:
            if why := obstacle(around):
                raise _refused(path, _name(around), why)
            around = around.parent
        check_memory(path, [chosen.width * chosen.height])
        leaf = _leaf(document, chosen, _profile(document))
        if leaf.colour_scale != 1:
            raise _refused(path, leaf.layer.name, "has a fill opacity in mode linear dodge")
        _, _, records = read_xmp(_packet(document))
        role = stated.get(chosen.layer_id, Role.FOREGROUND)
        return replace(leaf.layer, role=role, record=records.get(chosen.layer_id)), _canvas(document)


@contextmanager
def _opened(path: Path) -> Iterator[PSDImage]:
    """A document whose size and colours can be read. What goes wrong in the block is said of this file."""
    with reading(path, KIND):
        check_file(path)
        document = _open(path)
        check_canvas(path, document.width, document.height)
        _check_document(document, path)
        yield document


def _open(path: Path) -> PSDImage:
    with path.open("rb") as file:
        if file.read(4) != b"8BPS":
            raise damaged(path, KIND)
        file.seek(0)
        with _quiet():
            document = PSDImage.open(file, parse_limits=ParseLimits(max_total_bytes=4 * MAX_BYTES))
    if list(document):
        document._record.image_data.data = b""  # the merged picture is not looked at
    return document


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep psd-tools' warnings about damaged blocks off the console of programs that do not log."""
    logger, handler = logging.getLogger("psd_tools"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _check_document(document: PSDImage, path: Path) -> None:
    """
    Raises:
        UnreadableFile: its colours are of a kind that is not read, or its groups are damaged.
    """
    if document.color_mode not in psd_pixels.COLOURS or document.depth not in (8, 16):
        mode = f"{document.color_mode.name} mode with {document.depth} bits a channel"
        raise UnreadableFile(f"“{path}” is in {mode}.", "Convert it to RGB with 8 or 16 bits a channel.")
    if document.color_mode is ColorMode.CMYK and _profile(document) is None:
        raise UnreadableFile(f"“{path}” is CMYK without a colour profile.", "Convert it to RGB.")
    if has_spot_channels(document):
        raise UnreadableFile(f"“{path}” has spot colour channels.", "Merge them into the picture.")
    if has_unpaired_dividers(document):
        raise damaged(path, KIND)


def _has_pixels(layer: PSDLayer) -> bool:
    return not layer.is_group() and layer.width > 0 and layer.height > 0


def _canvas(document: PSDImage) -> Size:
    return Size(document.width, document.height)


def _profile(document: PSDImage) -> bytes | None:
    return cast(bytes | None, document.image_resources.get_data(Resource.ICC_PROFILE)) or None


def _packet(document: PSDImage) -> bytes | None:
    return cast(bytes | None, document.image_resources.get_data(Resource.XMP_METADATA))


def _flat(document: PSDImage, path: Path) -> LayeredImage:
    """The stack of a document without layers, as Photoshop writes one that has a Background only."""
    check_memory(path, [document.width * document.height * max(1, document.channels // 4)])
    pixels, others = psd_pixels.of_picture(document, _profile(document))
    if any(int(plane.min()) < np.iinfo(plane.dtype).max for plane in others):
        raise UnreadableFile(
            f"“{path}” has no layers, and an extra channel of which it does not say that it is alpha.",
            "Save it with a layer, or without the channel.",
        )
    layer = Layer(name="Background", role=Role.BACKGROUND, pixels=pixels)
    record, title, _ = read_xmp(_packet(document))
    name = title or path.stem
    resolution = _resolution(document)
    return LayeredImage(name=name, size=_canvas(document), layers=(layer,), resolution=resolution, record=record)


def _to_stack(document: PSDImage, path: Path) -> LayeredImage:
    canvas, profile, packet = _canvas(document), _profile(document), _packet(document)
    stated, (record, title, records) = read_roles(packet), read_xmp(packet)
    ids = [layer.layer_id for layer in document.descendants() if _has_pixels(layer)]

    def tree(parent: PSDImage | PSDGroup) -> tuple[Leaf | Group, ...]:
        return tuple(
            Group(_name(child), child.visible, child.blend_mode is PSDBlend.NORMAL, tree(child))
            if isinstance(child, PSDGroup)
            else _leaf(document, child, profile)
            for child in parent
            if isinstance(child, PSDGroup) or _has_pixels(child)
        )

    found = dissolve(tree(document), canvas, lambda name, why: _refused(path, name, why))
    with_roles = [
        replace(roles.with_role(layer, stated.get(number), canvas, bottom=index == 0), record=records.get(number))
        for index, (layer, number) in enumerate(zip(found, ids, strict=True))
    ]
    name = title or roles.title_of([(_name(child), child.is_group()) for child in document]) or path.stem
    return LayeredImage(
        name=name,
        size=canvas,
        layers=roles.without_companion(with_roles),
        resolution=_resolution(document),
        record=record,
    )


def _leaf(document: PSDImage, layer: PSDLayer, profile: bytes | None) -> Leaf:
    """A layer. Its role is a placeholder, which the caller replaces."""
    blend, fill = BLEND_BACK[layer.blend_mode], fill_opacity(layer)
    scales_colour = blend is BlendMode.ADD and fill < 1
    ours = Layer(
        name=_name(layer),
        role=Role.FOREGROUND,
        pixels=psd_pixels.of_layer(document, layer, profile),
        offset=(layer.left, layer.top),
        blend=blend,
        opacity=layer.opacity / 255 * (1 if scales_colour else fill),
        visible=layer.visible,
    )
    return Leaf(ours, colour_scale=fill if scales_colour else 1.0)


def _resolution(document: PSDImage) -> tuple[float, float]:
    """Pixels per inch; (72, 72), Photoshop's default, where the document states none that makes sense."""
    data: Any = document.image_resources.get_data(Resource.RESOLUTION_INFO)
    stated = (data.horizontal / 65536, data.vertical / 65536) if hasattr(data, "horizontal") else (0.0, 0.0)
    return stated if min(stated) >= 1 else (72.0, 72.0)


def _name(layer: PSDLayer) -> str:
    return layer.name.rstrip("\0")[:255] or "Layer"  # Krita ends names with a zero byte


def _refused(path: Path, name: str, why: str) -> UnreadableFile:
    return UnreadableFile(f"“{path}”: “{name}” {why}.", "Merge it to plain pixels (normal, multiply or linear dodge).")
