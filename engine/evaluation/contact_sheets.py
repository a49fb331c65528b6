"""A contact sheet of the compared images: one row per item, one column per system."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.study import Study
from layerfusion.engine.evaluation.systems import FROZEN, LAYERFUSION, PASTED, SEQUENTIAL
from layerfusion.engine.image.compositing import over_checks

_TILE, _GAP, _TOP, _BELOW = 128, 4, 20, 18


def picture_sheet(study: Study, items: Sequence[Item]) -> Image.Image:
    """Draw Foreground, Background and Blended of LayerFusion beside Blended of the baselines, as one RGB image."""
    titles = ("Foreground", "Background", "(4) LayerFusion", "(1) pasted", "(2) sequential", "(3) frozen")
    width = len(titles) * (_TILE + _GAP) + _GAP
    sheet = Image.new("RGB", (width, _TOP + len(items) * (_TILE + _BELOW)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for column, title in enumerate(titles):
        draw.text((_GAP + column * (_TILE + _GAP), 4), title, fill="black", font=font)
    for row, item in enumerate(items):
        ours = study.drawing(item, LAYERFUSION)
        others = [study.drawing(item, system).blended for system in (PASTED, SEQUENTIAL, FROZEN)]
        top = _TOP + row * (_TILE + _BELOW)
        for column, pixels in enumerate((over_checks(ours.foreground), ours.background, ours.blended, *others)):
            tile = Image.fromarray(pixels[..., :3]).resize((_TILE, _TILE), Image.Resampling.LANCZOS)
            sheet.paste(tile, (_GAP + column * (_TILE + _GAP), top))
        draw.text((_GAP, top + _TILE + 2), f"{item.object}, {item.scene}, seed {item.seed}", fill="black", font=font)
    return sheet
