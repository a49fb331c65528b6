"""A contact sheet of a picture: its composite and all its layers side by side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from layerfusion.engine.image.compositing import flatten, over_checks, to_bytes
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage
from layerfusion.engine.image.resampling import resize

_TILE, _GAP, _LABEL = 224, 8, 22
_COLUMNS = 4


def contact_sheet(picture: LayeredImage) -> Image.Image:
    """Draw the composite and then every layer separately, bottom first, each with its name; four per row.

    Layers are shown over a chequerboard, or over black if their blend mode is add. Each is shown at its place on the
    canvas, without its opacity, even if it is hidden.

    Returns:
        RGB, at most 936 px wide.
    """
    small = _scaled(picture, min(1.0, _TILE / max(picture.size.width, picture.size.height)))
    tiles = [("composite", over_checks(flatten(small)))]
    tiles += [(layer.name if layer.visible else f"{layer.name} (hidden)", _alone(layer)) for layer in small]
    across, down = _TILE + _GAP, small.size.height + _LABEL + _GAP
    columns, rows = min(len(tiles), _COLUMNS), -(-len(tiles) // _COLUMNS)
    sheet = Image.new("RGB", (_GAP + columns * across, _GAP + rows * down), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, (label, pixels) in enumerate(tiles):
        left, top = _GAP + number % _COLUMNS * across, _GAP + number // _COLUMNS * down
        sheet.paste(Image.fromarray(pixels), (left + (_TILE - small.size.width) // 2, top))
        draw.text((left, top + small.size.height + 4), _fitting(label, font), fill="black", font=font)
    return sheet


def _scaled(picture: LayeredImage, scale: float) -> LayeredImage:
    """Extend every layer to the canvas, and scale all of them by `scale`."""
    size = Size(*(max(1, round(side * scale)) for side in (picture.size.width, picture.size.height)))

    def scaled(layer: Layer) -> Layer:
        alone = replace(layer, blend=BlendMode.NORMAL, opacity=1.0, visible=True)
        whole = flatten(LayeredImage(name="", size=picture.size, layers=(alone,)))
        return replace(layer, pixels=resize(whole, size), offset=(0, 0))

    return LayeredImage(name=picture.name, size=size, layers=tuple(scaled(layer) for layer in picture))


def _alone(layer: Layer) -> NDArray[np.uint8]:
    """One layer over its backdrop: uint8 (H, W, 3)."""
    if layer.blend is not BlendMode.ADD:
        return over_checks(layer.pixels)
    return to_bytes(layer.pixels[..., :3] / 255 * (layer.pixels[..., 3:] / 255))


def _fitting(label: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Shorten a label to the width of a tile."""
    if font.getlength(label) <= _TILE:
        return label
    longest = max(n for n in range(len(label)) if font.getlength(f"{label[:n]}…") <= _TILE)
    return f"{label[:longest]}…"
