"""How sharp generated pictures are: the energy of their gradients, beside that of what the model was trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.evaluation.measures import Pixels, gradient, luma
from layerfusion.engine.evaluation.prices import request_for
from layerfusion.engine.events import Finished
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Role
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.training.data.dataset import Examples

LARGE = 512
"""Side of the canvases on which models of different native size are compared, in pixels."""

_LARGE_ITEMS = (
    ("a red apple", "a wooden table"),
    ("a penguin", "a snowy field at night"),
    ("a castle", "a green meadow under a blue sky"),
    ("a guitar", "a room with a blue wall"),
    ("a rocket", "a desert at sunset"),
    ("an owl", "a green forest on a cloudy day"),
)
"""Of the first edition's vocabulary, which every edition knows."""


def gradient_energy(pixels: Pixels) -> float:
    """Mean squared gradient of the luma (0-1), per pixel."""
    return float(np.square(gradient(luma(pixels))).mean())


def sharpness(spec: ModelSpec, blended: list[NDArray[np.uint8]], test: Examples) -> dict[str, float]:
    """The energy of Blended's gradients divided by that of composites of the data, at the native size; and its mean on
    canvases of `LARGE`, times 1000, to divide by another model's.

    Args:
        spec: the model.
        blended: what it drew at its native size, uint8 (H, W, 4) each.
        test: held-out examples of this size.
    """
    drawn = float(np.mean([gradient_energy(one) for one in blended]))
    true = float(np.mean([gradient_energy(one) for one in test.composite[: min(256, len(test))]]))
    return {"gradient_energy_to_data": drawn / true, "gradient_energy_at_512": 1000 * _at_large(spec)}


def _at_large(spec: ModelSpec) -> float:
    pipeline, found = LayerFusionPipeline(spec), []
    for seed, (thing, scene) in enumerate(_LARGE_ITEMS):
        for event in pipeline.generate(request_for(spec, Size(LARGE, LARGE), thing, scene, seed)):
            if isinstance(event, Finished):
                found += [layer.pixels for layer in event.stack.layers if layer.role is Role.BLENDED]
    return float(np.mean([gradient_energy(one) for one in found]))
