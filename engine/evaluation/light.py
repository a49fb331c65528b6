"""The light of the embedded model's training data: what tint a scene should give, what shadow an object should cast.

The data's composites are the object's colours times the tint of the time of day, over ground darkened by a contact
shadow and an outline laid away from the light. So the truth is known, and a generated picture is measured against it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from layerfusion.engine.evaluation.measures import Colour
from layerfusion.engine.evaluation.regions import Plane
from layerfusion.engine.training.data.scenes import Light, draw_scene
from layerfusion.engine.training.data.triplets import TINTED, shade_of
from layerfusion.engine.training.data.vocabulary import KINDS, OUTDOOR, SINGLE, TIMES, thing_of

FAINT = 0.1
"""Alpha below this is no part of the outline: a stray pixel must not move the feet a shadow starts from."""

_FROM = (-1.0, 0.0, 1.0)
"""Where the light may come from, as `Light.direction`: a generated scene does not say, so the mean is taken."""


def light_of(scene: str) -> Light | None:
    """How the data lights what stands in a scene, by its caption; None for a caption the data does not have."""
    for kind, caption in OUTDOOR.items():
        for time, words in TIMES.items():
            if scene in {f"{caption} {word}" for word in words}:
                return _light(kind, time)
    for kind in KINDS:
        if scene in SINGLE.get(kind, ()) or (kind in ("room", "studio") and _is(kind, scene)):
            return _light(kind, "")
    return None


def _is(kind: str, scene: str) -> bool:
    return scene.startswith("a room with a ") if kind == "room" else scene.endswith(" studio background")


@cache
def _light(kind: str, time: str) -> Light:
    return draw_scene(np.random.default_rng(0), kind, time).light


def tint_of(light: Light) -> Colour:
    """(3,), the factor the data puts on an object's stored colours."""
    return 1 - TINTED + TINTED * np.asarray(light.tint, np.float64)


def floats(thing: str) -> bool:
    """Whether an object hangs in the air and casts no shadow in the data; False for what the data does not know."""
    try:
        return thing_of(thing)[1].floats
    except (KeyError, ValueError):
        return False


def shaded(background: np.ndarray, alpha: Plane, light: Light) -> np.ndarray:
    """The ground as the data would draw it under this object: uint8 (H, W, 4), opaque.

    Args:
        background: uint8 (H, W, 4).
        alpha: the object's, (H, W), 0-1.
        light: of the scene; its direction is not used, the mean over three stands for it.
    """
    outline = Image.fromarray((np.where(alpha > FAINT, alpha, 0) * 255).round().astype(np.uint8))
    shades = [shade_of(outline, Light(light.tint, way, light.length, light.strength)) for way in _FROM]
    factor = 1 - light.strength * np.mean(shades, axis=0)[..., None]
    ground = background.copy()
    ground[..., :3] = np.rint(background[..., :3] * factor).clip(0, 255)
    return ground
