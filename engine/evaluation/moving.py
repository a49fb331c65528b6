"""Measures for the paper's Fig. 1: an object is scaled down, placed at the left and harmonised; then it is moved to the
right and harmonised again.

The targets: the kept layers come back byte for byte, the place that the object left shows the Background again, and
Shadow and Light move with the object.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.measures import (
    alpha_of,
    clean_picture,
    difference,
    differing_bytes,
    effect_centre,
    luma,
    pasted,
    psnr,
)
from layerfusion.engine.evaluation.metrics import Metrics, column
from layerfusion.engine.evaluation.regions import SEEN, Mask, box_of, grown, shadow_place
from layerfusion.engine.evaluation.rows import Row, Section, at_least, certain, within
from layerfusion.engine.evaluation.statistics import estimate, ratio_of_sums
from layerfusion.engine.evaluation.study import Study
from layerfusion.engine.evaluation.systems import LAYERFUSION, MOVED, OTHER_SEED, PLACED, ROUND_TRIP, Drawing
from layerfusion.engine.evaluation.table import consistency
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.image.shadow_light import clean_layers

VARIANTS = (LAYERFUSION, PLACED, MOVED, OTHER_SEED, ROUND_TRIP)
"""The variants that must be drawn of every item."""

LEAST_SHADOW = 0.5
"""Shadow layers whose darkening, summed over all pixels (1 per black opaque pixel), is below this have no position."""


def moving_section(study: Study, items: Sequence[Item], casts: Sequence[bool]) -> Section:
    """Measure the moved objects.

    Args:
        study: the drawings.
        items: the items.
        casts: for each item, whether its object casts a shadow on the ground.
    """
    metrics = [_item_metrics(study, item, cast) for item, cast in zip(items, casts, strict=True)]
    follows = estimate(column(metrics, "followed"), column(metrics, "moved"), statistic=ratio_of_sums)
    error = estimate(column(metrics, "off"))
    anchored = consistency(metrics)
    left = estimate(column(metrics, "left"), column(metrics, "before"), statistic=ratio_of_sums)
    kept = certain(max(column(metrics, "bytes"), default=math.nan), len(metrics))
    rows = [
        Row("layers moved and kept: differing bytes, at most", {"": kept}, "0", kept.value == 0),
        Row("PSNR of Blended against Background where the object was, dB", {"": estimate(column(metrics, "psnr"))}),
        Row("layer consistency (floor 0, ceiling 1)", {"": anchored}, "at least 0.6", at_least(anchored, 0.6)),
        Row(
            "effect of Shadow and Light where the object was, fraction of the effect before",
            {"": left},
            "at most 0.1",
            left.value <= 0.1 if left.known else None,
        ),
        Row(
            "shift of the Shadow's centroid divided by the object's shift",
            {"": follows},
            "0.9 to 1.1",
            within(follows, 0.9, 1.1),
        ),
        Row("the same, mean relative error per item", {"": error}),
    ]
    return Section("moving", "An object is moved and the layers are harmonised again (Fig. 1)", ("",), rows)


def _item_metrics(study: Study, item: Item, casts: bool) -> Metrics:
    placed, moved = study.drawing(item, PLACED), study.drawing(item, MOVED)
    first, other, through = (study.drawing(item, variant) for variant in (LAYERFUSION, OTHER_SEED, ROUND_TRIP))
    here, there = alpha_of(placed.foreground), alpha_of(moved.foreground)
    vacated = _surroundings(here) & ~_surroundings(there)
    step = _step(here, there)
    metrics: Metrics = {
        "bytes": float(
            differing_bytes(placed.background, first.background)
            + differing_bytes(moved.background, first.background)
            + differing_bytes(np.roll(placed.foreground, step, axis=1), moved.foreground)
        ),
        "psnr": psnr(moved.blended, moved.background, vacated),
        "floor": psnr(first.background, other.background, vacated),
        "ceiling": psnr(first.background, through.background, vacated),
        "before": _effect(placed, vacated),
        "left": _effect(moved, vacated),
    }
    centres = [effect_centre(_shadow(drawing)) for drawing in (placed, moved)]
    strong = all(_strength(_shadow(drawing)) > LEAST_SHADOW for drawing in (placed, moved))
    if casts and step and strong and centres[0] and centres[1]:
        shift = centres[1][0] - centres[0][0]
        metrics |= {"followed": shift, "moved": float(step), "off": abs(shift - step) / abs(step)}
    return metrics


def _surroundings(alpha: np.ndarray) -> Mask:
    """The region of an object, its margin and its shadow."""
    return grown(alpha > SEEN, 0.06) | shadow_place(alpha)


def _step(here: np.ndarray, there: np.ndarray) -> int:
    """The object's shift to the right in pixels."""
    boxes = box_of(here), box_of(there)
    return boxes[1][1] - boxes[0][1] if boxes[0] and boxes[1] else 0


def _shadow(drawing: Drawing) -> Pixels:
    flat = pasted(drawing.background, drawing.foreground)
    return clean_layers(drawing.blended, flat, [alpha_of(drawing.foreground)]).shadow


def _strength(shadow: Pixels) -> float:
    """The darkening of a Shadow layer, summed over all pixels; a black opaque pixel counts 1."""
    return float((alpha_of(shadow) * (1 - luma(shadow))).sum())


def _effect(drawing: Drawing, where: Mask) -> float:
    """Mean absolute change by clean Shadow and Light in a region, 0-1."""
    flat = pasted(drawing.background, drawing.foreground)
    return difference(clean_picture(drawing.blended, flat, alpha_of(drawing.foreground)), flat, where)
