"""Drawn backgrounds: eighteen kinds of scene, outdoor ones at six times of day, each textured and never twice alike.

All code is ours; no photograph is used. A scene also says how it lights what stands in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layerfusion.engine.training.data.indoor import DRAW_INDOOR, INDOOR_LIGHT, backdrop
from layerfusion.engine.training.data.outdoor import DRAW_OUTDOOR, View
from layerfusion.engine.training.data.paint import SIDE, Canvas, Picture
from layerfusion.engine.training.data.vocabulary import OUTDOOR, TIMES

__all__ = ["Light", "Scene", "backdrop", "draw_scene"]


@dataclass(frozen=True)
class Light:
    """How a scene lights an object.

    Attributes:
        tint: factor on the object's colours, a channel.
        direction: where shadows fall, -1 (left) to 1 (right).
        length: of the cast shadow, as a share of the object's height; 0 leaves the contact shadow only.
        strength: how much the shadow darkens the ground, 0-1.
    """

    tint: tuple[float, float, float]
    direction: float
    length: float
    strength: float


@dataclass(frozen=True)
class Scene:
    """A background.

    Attributes:
        caption: what the model is told.
        pixels: (height, width, 3), 0-255.
        light: how it lights an object.
        horizon: where the ground begins, as a share of the height.
    """

    caption: str
    pixels: Picture
    light: Light
    horizon: float


def draw_scene(rng: np.random.Generator, kind: str, time: str = "", *, width: int = SIDE, height: int = SIDE) -> Scene:
    """Draw one background.

    Args:
        kind: one of `vocabulary.OUTDOOR` or `INDOOR`.
        time: one of `vocabulary.TIMES`, for outdoor kinds.
        width, height: in pixels, see `paint.Canvas`.
    """
    if kind in DRAW_INDOOR:
        pixels, caption, horizon = DRAW_INDOOR[kind](Canvas(rng, width, height))
        tint, length, strength = INDOOR_LIGHT[kind]
        return Scene(caption, pixels.clip(0, 255), Light(tint, float(rng.uniform(-1, 1)), length, strength), horizon)
    view = View(rng, time, width, height)
    pixels = view.finish(DRAW_OUTDOOR[kind](view)).clip(0, 255)
    words = TIMES[time]
    caption = f"{OUTDOOR[kind]} {words[int(rng.integers(len(words)))]}"
    direction = float(np.clip((0.5 - view.sun) * 2.4, -1, 1))
    return Scene(caption, pixels, Light(view.day.tint, direction, view.day.length, view.day.strength), view.horizon)
