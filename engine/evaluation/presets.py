"""What the presets cost and lose, against `paper`, which takes the priors by a pass of their own before every step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.measures import alpha_of, psnr, soft_iou
from layerfusion.engine.evaluation.metrics import Classifier, column, name_facts
from layerfusion.engine.evaluation.rows import Row, Section
from layerfusion.engine.evaluation.statistics import Estimate, estimate, ratio_of_sums
from layerfusion.engine.evaluation.study import Study
from layerfusion.engine.evaluation.systems import Drawing, Variant
from layerfusion.engine.options.presets import PRESETS

_WAYS = {name: Variant(f"preset_{name}", preset=name) for name in PRESETS}

VARIANTS = tuple(_WAYS.values())
"""What must be drawn."""


def presets_section(study: Study, items: Sequence[Item], classifier: Classifier | None) -> Section:
    """One column a preset."""
    drawn = {name: [study.drawing(item, way) for item in items] for name, way in _WAYS.items()}
    paper = drawn["paper"]
    names = {name: name_facts(items, drawings, classifier) for name, drawings in drawn.items()}
    seconds = {name: [study.seconds_of(item, way) for item in items] for name, way in _WAYS.items()}

    def against(measure: str) -> dict[str, Estimate]:
        return {
            name: estimate([_likeness(a, b)[measure] for a, b in zip(drawings, paper, strict=True)])
            for name, drawings in drawn.items()
            if drawings is not paper
        }

    rows = [
        Row(
            "time of drawing, of that of `paper`",
            {name: estimate(taken, seconds["paper"], statistic=ratio_of_sums) for name, taken in seconds.items()},
        ),
        Row("overlap of the alpha with that of `paper`", against("alpha")),
        Row("Background against that of `paper`, dB", against("background")),
        Row("Blended against that of `paper`, dB", against("blended")),
        Row("foreground named", {name: estimate(column(found, "object_named")) for name, found in names.items()}),
        Row(
            "object named in Blended", {name: estimate(column(found, "blended_named")) for name, found in names.items()}
        ),
    ]
    return Section("presets", "What the presets cost and lose", tuple(PRESETS), rows)


def _likeness(a: Drawing, b: Drawing) -> dict[str, float]:
    everywhere = np.ones(a.background.shape[:2], bool)
    return {
        "alpha": soft_iou(alpha_of(a.foreground), alpha_of(b.foreground)),
        "background": psnr(a.background, b.background, everywhere),
        "blended": psnr(a.blended, b.blended, everywhere),
    }
