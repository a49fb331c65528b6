"""Contact sheets: the compared systems, and what happens to kept layers; one row per item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.study import Study
from layerfusion.engine.evaluation.systems import FROZEN, LAYERFUSION, PASTED, SEQUENTIAL
from layerfusion.engine.image.compositing import composite, over_checks
from layerfusion.engine.image.layers import BlendMode, Pixels

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


KEPT_TITLES = ("without", "Blended", "with Shadow, Light", "the change, times 4", "Shadow", "Light")


def kept_tiles(flat: Pixels, blended: Pixels, stack: Pixels, shadow: Pixels, light: Pixels) -> Image.Image:
    """One row of `kept_sheet`: the stack without Shadow and Light, Blended, the stack with both, the change they make,
    four times enlarged about mid-grey, and each of them alone; (H, W, 4) each."""
    change = np.clip(128 + 4 * (stack[..., :3].astype(np.int16) - flat[..., :3]), 0, 255).astype(np.uint8)
    white, black = np.full_like(flat, 255), np.full_like(flat, 255)
    black[..., :3] = 0
    alone = composite(white, shadow, BlendMode.MULTIPLY), composite(black, light, BlendMode.ADD)
    row = Image.new("RGB", (len(KEPT_TITLES) * (_TILE + _GAP) - _GAP, _TILE), "white")
    for column, pixels in enumerate((flat, blended, stack, change, *alone)):
        tile = Image.fromarray(np.ascontiguousarray(pixels[..., :3])).resize((_TILE, _TILE), Image.Resampling.LANCZOS)
        row.paste(tile, (column * (_TILE + _GAP), 0))
    return row


class Captioned(Protocol):
    """One row of `kept_sheet`: its caption, and its tiles, as `kept_tiles` makes them."""

    @property
    def caption(self) -> str: ...

    @property
    def tiles(self) -> Image.Image: ...


def kept_sheet(rows: Sequence[Captioned]) -> Image.Image:
    """Draw rows of tiles, each with its caption, as one RGB image."""
    sheet = Image.new("RGB", (len(KEPT_TITLES) * (_TILE + _GAP) + _GAP, _TOP + len(rows) * (_TILE + _BELOW)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for column, title in enumerate(KEPT_TITLES):
        draw.text((_GAP + column * (_TILE + _GAP), 4), title, fill="black", font=font)
    for row, one in enumerate(rows):
        top = _TOP + row * (_TILE + _BELOW)
        sheet.paste(one.tiles, (_GAP, top))
        draw.text((_GAP, top + _TILE + 2), one.caption, fill="black", font=font)
    return sheet
