"""Pictures for the evaluation that are of no model's vocabulary: cut-outs and backdrops, drawn by code.

What an artist keeps is rarely an object that the model has learnt. Picture number i is always the same: kind i mod 4 of
four kinds (a marbled blob, a painted shape, a rendered solid, something one can see through), before one of six
backdrops (three gradients, three textures).

Nothing here is shared with `engine.training.data.arbitrary`, which draws nameless things for training: outlines are
sums of Gaussians, pictograms and rendered bodies, not random curves; materials are warped marble, brush strokes,
band-limited grain and nets, not its noise, stripes, checks and dots; light falls on true surfaces, not on a cushion;
and the random generators are seeded apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from layerfusion.engine.evaluation.made_cutouts import KINDS
from layerfusion.engine.evaluation.made_paint import Plane, Rng, band, between, colours
from layerfusion.engine.image.compositing import to_bytes
from layerfusion.engine.image.layers import Pixels

_SEED = 14_2412
_SIZES, _MIDDLES, _FEET = (0.42, 0.56), (0.30, 0.38), (0.78, 0.92)
"""Ranges of a cut-out's longer side, of its middle from the left and of its lower edge from the top; fractions of the
frame. There is room to the right for the object to be moved (`MOVED_BY`)."""

MOVED_BY = 0.3
"""How far to the right a cut-out can be moved, as a fraction of the frame."""


@dataclass(frozen=True, eq=False)
class MadePicture:
    """A cut-out and a backdrop: uint8 (side, side, 4), straight alpha; the backdrop is opaque."""

    cutout: Pixels
    backdrop: Pixels


def made_picture(number: int, side: int) -> MadePicture:
    """Draw picture `number`, from 0, for a canvas of `side` pixels."""
    kind, round_ = number % len(KINDS), number // len(KINDS)
    rng = np.random.default_rng((_SEED, number))
    colour, alpha = KINDS[kind](rng, round_)
    backdrop, _ = _BACKDROPS[(kind + round_) % len(_BACKDROPS)]
    return MadePicture(_placed(rng, colour, alpha, side), _opaque(backdrop(rng, side)))


def prompt_of(number: int) -> str:
    """What an artist would call picture `number`, in words that the embedded model does not know."""
    names = _NAMES[number % len(KINDS)]
    return names[number // len(KINDS) % len(names)]


def backdrop_prompt_of(number: int) -> str:
    """What an artist would call the backdrop of picture `number`."""
    return _BACKDROPS[(number % len(KINDS) + number // len(KINDS)) % len(_BACKDROPS)][1]


def _placed(rng: Rng, colour: Plane, alpha: Plane, side: int) -> Pixels:
    """The cut-out on a transparent canvas."""
    rgba = to_bytes(np.dstack([colour.clip(0, 1), alpha.clip(0, 1)]))
    drawn = Image.fromarray(rgba, "RGBA")
    drawn = drawn.crop(drawn.getchannel("A").point([255 * (value > 12) for value in range(256)]).getbbox())
    scale = rng.uniform(*_SIZES) * side / max(drawn.size)
    size = (max(2, round(drawn.width * scale)), max(2, round(drawn.height * scale)))
    drawn = drawn.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    left = max(1, round(rng.uniform(*_MIDDLES) * side - size[0] / 2))
    canvas = Image.new("RGBA", (side, side))
    canvas.paste(drawn, (left, round(rng.uniform(*_FEET) * side) - size[1]))
    return np.array(canvas)


def _opaque(colour: Plane) -> Pixels:
    return to_bytes(np.dstack([colour.clip(0, 1), np.ones(colour.shape[:2])]))


_NAMES = (
    ("a marble lump", "a banded agate", "a wax puddle", "a clay lump", "a glazed knob", "a swirled nugget"),
    ("a painted envelope", "a painted key", "a painted kite", "a painted umbrella", "an hourglass", "a lamp"),
    ("a granite globe", "a rusty drum", "a concrete block", "a rubber tyre", "a rough cone", "a pebble"),
    ("a lens", "a net", "a gel sheet", "a veil", "drops of resin", "a glass ring"),
)


# ---- backdrops


def _places(side: int) -> tuple[Plane, Plane]:
    """Vertical and horizontal place in the frame, 0 to 1."""
    down, across = (np.mgrid[0:side, 0:side] + 0.5) / side
    return down, across


def _linear(rng: Rng, side: int) -> Plane:
    down, across = _places(side)
    angle = rng.uniform(0, np.pi)
    along = (across - 0.5) * np.cos(angle) + (down - 0.5) * np.sin(angle) + 0.5
    return between(colours(rng, 3), along.clip(0, 1))


def _wall_and_floor(rng: Rng, side: int) -> Plane:
    """Two gradients that meet in a soft edge: a studio corner."""
    down, _ = _places(side)
    wall, floor = colours(rng, 2)
    meet = 1 / (1 + np.exp(-(down - rng.uniform(0.5, 0.66)) * 60))
    return (
        wall * (0.8 + 0.4 * down)[..., None] * (1 - meet[..., None])
        + floor * (0.7 + 0.4 * down)[..., None] * (meet[..., None])
    )


def _vignette(rng: Rng, side: int) -> Plane:
    down, across = _places(side)
    return between(colours(rng, 2), (1.3 * np.hypot(across - rng.uniform(0.3, 0.7), down - 0.45)).clip(0, 1))


def _plaster(rng: Rng, side: int) -> Plane:
    grain = 0.06 * band(rng, side, 6, 24) + 0.03 * band(rng, side, 24, 60)
    return _linear(rng, side) * 0.6 + 0.2 + grain[..., None]


def _bricks(rng: Rng, side: int) -> Plane:
    down, across = _places(side)
    row = np.floor(down * 9)
    column = np.floor(across * 5 + 0.5 * (row % 2))
    joint = (np.abs(down * 9 - row - 0.5) > 0.44) | (np.abs(across * 5 + 0.5 * (row % 2) - column - 0.5) > 0.46)
    brick, mortar = colours(rng, 2)
    tones = rng.normal(0, 0.07, (9, 6))[row.astype(int), column.astype(int)] + 0.03 * band(rng, side, 20, 60)
    return np.where(joint[..., None], mortar, brick + tones[..., None])


def _foliage(rng: Rng, side: int) -> Plane:
    """A few hundred leaves of one family of colours, the nearer the larger."""
    picture = Image.new("RGB", (side, side), tuple(int(255 * value) for value in (0.12, 0.2, 0.1)))
    pencil = ImageDraw.Draw(picture)
    tones = between(colours(rng, 3), rng.uniform(0, 1, 420))
    for number, tone in enumerate(tones):
        size, angle = side * (0.02 + 0.05 * number / len(tones)), rng.uniform(0, 2 * np.pi)
        (x, y), turn = rng.uniform(-0.05, 1.05, 2) * side, np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-turn[1], turn[0]]) * size * 0.4
        middle = np.array([x, y])
        leaf = [middle - turn * size, middle + across, middle + turn * size, middle - across]
        pencil.polygon(
            [tuple(point) for point in leaf], fill=tuple(int(255 * value) for value in tone * [0.6, 0.9, 0.5])
        )
    return np.asarray(picture, float) / 255


_BACKDROPS: tuple[tuple[Callable[[Rng, int], Plane], str], ...] = (
    (_linear, "a colour gradient"),
    (_plaster, "a plaster wall"),
    (_wall_and_floor, "a wall and a floor"),
    (_bricks, "a brick wall"),
    (_vignette, "a soft glow"),
    (_foliage, "foliage"),
)
