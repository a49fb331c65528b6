"""The paper's Fig. 1 in numbers: an object is made smaller, put to the left, harmonised, moved right, harmonised again.

What is asked: the layers come back byte for byte, the ground the object left is the Background again, and Shadow and
Light follow it.
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
from layerfusion.engine.evaluation.table import anchored_way
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.image.shadow_light import clean_layers

VARIANTS = (LAYERFUSION, PLACED, MOVED, OTHER_SEED, ROUND_TRIP)
"""What must be drawn."""

LEAST_SHADOW = 0.5
"""Shadow layers that darken all of their place by less than this many pixels' worth are no shadow to follow."""


def moving_section(study: Study, items: Sequence[Item], casts: Sequence[bool]) -> Section:
    """
    Args:
        casts: an item, whether its object stands on the ground; what hangs in the air has no shadow to follow it.
    """
    facts = [_facts(study, item, cast) for item, cast in zip(items, casts, strict=True)]
    follows = estimate(column(facts, "followed"), column(facts, "moved"), statistic=ratio_of_sums)
    off = estimate(column(facts, "off"))
    way = anchored_way(facts)
    left = estimate(column(facts, "left"), column(facts, "before"), statistic=ratio_of_sums)
    kept = certain(max(column(facts, "bytes"), default=math.nan), len(facts))
    rows = [
        Row("layers moved and kept: differing bytes, at most", {"": kept}, "0", kept.value == 0),
        Row("ground left bare, Blended against Background, dB", {"": estimate(column(facts, "psnr"))}),
        Row("part of the way from floor to ceiling", {"": way}, "at least 0.6", at_least(way, 0.6)),
        Row(
            "Shadow and Light left where the object was, of what was there",
            {"": left},
            "at most 0.1",
            left.value <= 0.1 if left.known else None,
        ),
        Row(
            "way the Shadow's centroid went, of the object's",
            {"": follows},
            "0.9 to 1.1",
            within(follows, 0.9, 1.1),
        ),
        Row("the same, mean error an item", {"": off}),
    ]
    return Section("moving", "An object moved and harmonised again (Fig. 1)", ("",), rows)


def _facts(study: Study, item: Item, casts: bool) -> Metrics:
    placed, moved = study.drawing(item, PLACED), study.drawing(item, MOVED)
    first, other, through = (study.drawing(item, variant) for variant in (LAYERFUSION, OTHER_SEED, ROUND_TRIP))
    here, there = alpha_of(placed.foreground), alpha_of(moved.foreground)
    vacated = _about(here) & ~_about(there)
    step = _step(here, there)
    facts: Metrics = {
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
        went = centres[1][0] - centres[0][0]
        facts |= {"followed": went, "moved": float(step), "off": abs(went - step) / abs(step)}
    return facts


def _about(alpha: np.ndarray) -> Mask:
    """An object, its margin and the place of its shadow."""
    return grown(alpha > SEEN, 0.06) | shadow_place(alpha)


def _step(here: np.ndarray, there: np.ndarray) -> int:
    """How many pixels further right the object is."""
    boxes = box_of(here), box_of(there)
    return boxes[1][1] - boxes[0][1] if boxes[0] and boxes[1] else 0


def _shadow(drawing: Drawing) -> Pixels:
    flat = pasted(drawing.background, drawing.foreground)
    return clean_layers(drawing.blended, flat, alpha_of(drawing.foreground))[0]


def _strength(shadow: Pixels) -> float:
    """Pixels' worth of full darkness."""
    return float((alpha_of(shadow) * (1 - luma(shadow))).sum())


def _effect(drawing: Drawing, where: Mask) -> float:
    """What clean Shadow and Light change in a region, mean absolute difference, 0-1."""
    flat = pasted(drawing.background, drawing.foreground)
    return difference(clean_picture(drawing.blended, flat, alpha_of(drawing.foreground)), flat, where)
