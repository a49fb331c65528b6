"""The four readings of the paper's Fig. 2c, compared by what the claims of Fig. 5 measure."""

from __future__ import annotations

from collections.abc import Sequence

from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.measures import alpha_of, crispness, presence, psnr, spill
from layerfusion.engine.evaluation.metrics import (
    Classifier,
    Metrics,
    Truth,
    change_metrics,
    classification_metrics,
    column,
    mask_metrics,
    shadow_metrics,
    shift_metrics,
    tint_between,
    tone_metrics,
)
from layerfusion.engine.evaluation.regions import undisturbed
from layerfusion.engine.evaluation.rows import Row, Section
from layerfusion.engine.evaluation.statistics import Estimate, estimate, ratio_of_sums
from layerfusion.engine.evaluation.study import Study
from layerfusion.engine.evaluation.systems import MIXTURES, PASTED

VARIANTS = (PASTED, *(variant for pair in MIXTURES.values() for variant in pair))
"""The variants that must be drawn for this comparison."""

_STREAMS = {"foreground": "a_F", "blended": "a_X"}
_CONTENTS = {"foreground": "c of F", "blended": "c of X"}

_MEANS = (
    ("(a) component of the foreground's shift along the tint difference, ln", "shift_along"),
    ("(a) cosine with the tint difference", "shift_cosine"),
    ("(a) soft IoU of the alphas in two scenes", "outline"),
    ("(a) object named correctly", "object_named"),
    ("(b) distance of the object's tone in Blended from the data's tint, ln", "tone_error"),
    ("(b) distance of the shadow from the data's shadow", "shadow_error"),
    ("(c) mask: leak at matched coverage", "leak_soft"),
    ("(d) precision of the alpha: fraction of visible pixels above 0.9", "crispness"),
    ("object in Blended named correctly", "blended_named"),
    ("PSNR of Blended against Background outside object and shadow, dB", "psnr"),
)
_RATIOS = {
    "(a) fraction of the tint difference": ("shift_product", "shift_square"),
    "(b) fraction of the data's tint": ("tone_along", "tone_data"),
    "(b) fraction of the data's shadow": ("shadow_along", "shadow_square"),
    "(c) spill over presence": ("spill", "presence"),
}


def mixture_section(
    study: Study, items: Sequence[Item], classifier: Classifier | None, *, light_known: bool
) -> Section:
    """Compare the four readings: which stream the soft mask multiplies, and whose cross-attention is measured."""
    found: dict[str, list[Metrics]] = {}
    for (mixture, content), (own, other) in MIXTURES.items():
        drawn = [study.drawing(item, own) for item in items]
        names = classification_metrics(items, drawn, classifier)
        rows = []
        for item, drawing, named in zip(items, drawn, names, strict=True):
            after, alone, truth = (
                study.drawing(item, other),
                study.drawing(item, PASTED),
                Truth.of(item, known=light_known),
            )
            alpha = alpha_of(drawing.foreground)
            masks = mask_metrics(drawing.maps, drawing.foreground, translucent=False) if drawing.maps else {}
            rows.append(
                {
                    **change_metrics(drawing, after),
                    **shift_metrics(drawing, after, tint_between(item, known=light_known)),
                    **tone_metrics(drawing.blended, alpha, alone, truth),
                    **shadow_metrics(drawing.blended, drawing.background, alpha, truth),
                    **masks,
                    **named,
                    "spill": spill(drawing.blended, drawing.background, alpha),
                    "presence": presence(drawing.blended, drawing.background, alpha),
                    "crispness": crispness(alpha),
                    "psnr": psnr(drawing.blended, drawing.background, undisturbed(alpha)),
                }
            )
        found[f"m {_STREAMS[mixture]}, {_CONTENTS[content]}"] = rows
    rows = [
        Row(measure, {label: estimate(column(each, name)) for label, each in found.items()}) for measure, name in _MEANS
    ]
    for measure, names in _RATIOS.items():
        figures: dict[str, Estimate] = {
            label: estimate(*(column(each, name) for name in names), statistic=ratio_of_sums)
            for label, each in found.items()
        }
        rows.append(Row(measure, figures))
    rows.sort(key=lambda row: row.measure if row.measure.startswith("(") else "~")
    return Section(
        "mixtures",
        "The readings of Fig. 2c",
        tuple(found),
        rows,
        "The stream that the soft mask m multiplies, and the stream whose cross-attention gives the content confidence "
        "c: F is the foreground, X the blended picture. Letters say which claim of Fig. 5 a row belongs to.",
    )
