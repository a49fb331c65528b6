"""Time and fidelity of the presets, relative to `paper`, which computes the priors in a separate pass at every step.

All are drawn with the masks that the paper prints, so that the differences are those of what a preset omits, also on a
model whose own masks are made in another way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.measures import alpha_of, psnr, soft_iou
from layerfusion.engine.evaluation.metrics import Classifier, classification_metrics, column
from layerfusion.engine.evaluation.rows import Row, Section
from layerfusion.engine.evaluation.statistics import Estimate, estimate, ratio_of_sums
from layerfusion.engine.evaluation.study import Study
from layerfusion.engine.evaluation.systems import Drawing, Variant
from layerfusion.engine.options.presets import PRESETS, PRINTED_MASKS

_VARIANTS = {name: Variant(f"preset_{name}", PRINTED_MASKS, preset=name) for name in PRESETS}

VARIANTS = tuple(_VARIANTS.values())
"""The variants that must be drawn of every item."""


def presets_section(study: Study, items: Sequence[Item], classifier: Classifier | None) -> Section:
    """Measure the presets, one column per preset."""
    drawn = {name: [study.drawing(item, variant) for item in items] for name, variant in _VARIANTS.items()}
    paper = drawn["paper"]
    names = {name: classification_metrics(items, drawings, classifier) for name, drawings in drawn.items()}
    seconds = {name: [study.seconds_of(item, variant) for item in items] for name, variant in _VARIANTS.items()}

    def against(measure: str) -> dict[str, Estimate]:
        return {
            name: estimate([_similarity(a, b)[measure] for a, b in zip(drawings, paper, strict=True)])
            for name, drawings in drawn.items()
            if drawings is not paper
        }

    rows = [
        Row(
            "drawing time divided by that of `paper`",
            {name: estimate(taken, seconds["paper"], statistic=ratio_of_sums) for name, taken in seconds.items()},
        ),
        Row("soft IoU of the alpha with that of `paper`", against("alpha")),
        Row("PSNR of Background against that of `paper`, dB", against("background")),
        Row("PSNR of Blended against that of `paper`, dB", against("blended")),
        Row(
            "foreground named correctly",
            {name: estimate(column(found, "object_named")) for name, found in names.items()},
        ),
        Row(
            "object in Blended named correctly",
            {name: estimate(column(found, "blended_named")) for name, found in names.items()},
        ),
    ]
    return Section("presets", "Time and fidelity of the presets", tuple(PRESETS), rows)


def _similarity(a: Drawing, b: Drawing) -> dict[str, float]:
    everywhere = np.ones(a.background.shape[:2], bool)
    return {
        "alpha": soft_iou(alpha_of(a.foreground), alpha_of(b.foreground)),
        "background": psnr(a.background, b.background, everywhere),
        "blended": psnr(a.blended, b.blended, everywhere),
    }
