"""The light of the embedded model's training data: the tint that a scene gives an object, and the object's shadow.

In the data's composites, the object's colours are multiplied by the tint of the time of day, and the ground is darkened
by a contact shadow and by the object's outline cast away from the light. Since this is known exactly, generated images
can be measured against it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from layerfusion.engine.evaluation.measures import Colour
from layerfusion.engine.evaluation.regions import Plane
from layerfusion.engine.training.data.scenes import Light, draw_scene
from layerfusion.engine.training.data.triplets import TINTED, shade_of
from layerfusion.engine.training.data.vocabulary import INDOOR, OUTDOOR, SINGLE, TIMES, thing_of

FAINT = 0.1
"""Alpha below this does not count as part of the outline; a stray pixel must not move the shadow's starting point."""

_DIRECTIONS = (-1.0, 0.0, 1.0)
"""Values of `Light.direction` over which the shadow is averaged, because a generated scene does not state one."""


def light_of(scene: str) -> Light | None:
    """The light of the scene with the given caption; None if the data has no such caption."""
    for kind, caption in OUTDOOR.items():
        for time, words in TIMES.items():
            if scene in {f"{caption} {word}" for word in words}:
                return _light(kind, time)
    for kind in INDOOR:
        if scene in SINGLE.get(kind, ()) or (kind in ("room", "studio") and _is(kind, scene)):
            return _light(kind, "")
    return None


def _is(kind: str, scene: str) -> bool:
    return scene.startswith("a room with a ") if kind == "room" else scene.endswith(" studio background")


@cache
def _light(kind: str, time: str) -> Light:
    return draw_scene(np.random.default_rng(0), kind, time).light


def tint_of(light: Light) -> Colour:
    """(3,): the factor by which the data multiplies an object's stored sRGB colours."""
    return 1 - TINTED + TINTED * np.asarray(light.tint, np.float64)


def floats(thing: str) -> bool:
    """Whether an object hangs in the air and casts no shadow in the data; False for an unknown object."""
    try:
        return thing_of(thing)[1].floats
    except (KeyError, ValueError):
        return False


def shaded(background: np.ndarray, alpha: Plane, light: Light) -> np.ndarray:
    """The background with the shadow that the data would draw under an object: uint8 (H, W, 4), opaque.

    Args:
        background: uint8 (H, W, 4), opaque.
        alpha: the object's alpha, (H, W), 0-1.
        light: the scene's light. Its direction is not used; the shadow is the mean over three directions.
    """
    outline = Image.fromarray((np.where(alpha > FAINT, alpha, 0) * 255).round().astype(np.uint8))
    shades = [shade_of(outline, Light(light.tint, side, light.length, light.strength)) for side in _DIRECTIONS]
    factor = 1 - light.strength * np.mean(shades, axis=0)[..., None]
    ground = background.copy()
    ground[..., :3] = np.rint(background[..., :3] * factor).clip(0, 255)
    return ground
