"""Tests of the four claims that the paper illustrates in Fig. 5. Claims that fail are reported as such."""

from __future__ import annotations

import math
from collections.abc import Sequence

from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.measures import (
    alpha_of,
    crispness,
    difference,
    pasted,
    presence,
    spill,
    stray_alpha,
)
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
from layerfusion.engine.evaluation.rows import Claim, Row, above, at_least, below, certain, every
from layerfusion.engine.evaluation.statistics import Estimate, estimate, paired, rank_correlation, ratio_of_sums
from layerfusion.engine.evaluation.study import Study
from layerfusion.engine.evaluation.systems import (
    APART,
    APART_OTHER_SCENE,
    APART_OTHER_SEED,
    BOUNDARIES,
    CONTENT,
    FROZEN,
    FROZEN_OTHER_SCENE,
    KEPT,
    LAYERFUSION,
    PASTED,
    STRUCTURE,
    SWEEP,
    Variant,
)

BACKGROUND_VARIANTS = (APART, APART_OTHER_SEED, APART_OTHER_SCENE, LAYERFUSION, FROZEN, FROZEN_OTHER_SCENE, KEPT)
"""The variants needed for claim (a) and for the kept layers. In the comparison of prompt and seed, the foreground's
initial noise differs from that of both backgrounds; otherwise a change of the seed would also end the sharing."""

BLENDING_VARIANTS = (PASTED, LAYERFUSION)
"""The variants needed for claim (b)."""

MASK_VARIANTS = (LAYERFUSION, STRUCTURE, CONTENT)
"""The variants needed for claim (c), for the items and for the stress set."""

BOUNDARY_VARIANTS = SWEEP
"""The variants needed for claim (d)."""


# ---- (a) the background influences the foreground


def background_claim(study: Study, items: Sequence[Item], classifier: Classifier | None, *, light_known: bool) -> Claim:
    """Test claim (a): between two scenes, the foreground's own colours shift towards the second scene's tint.

    Two seeds of one scene are the comparison: their shift is projected on the same tint difference. Outline and
    classification must stay; with `foreground_update` "none" no byte may change.
    """
    base = [study.drawing(item, APART) for item in items]
    drawn = {
        "another scene": [study.drawing(item, APART_OTHER_SCENE) for item in items],
        "another seed": [study.drawing(item, APART_OTHER_SEED) for item in items],
    }
    tints = [tint_between(item, known=light_known) for item in items]
    found = {
        label: [
            {**change_metrics(a, b), **shift_metrics(a, b, tint)} for a, b, tint in zip(base, after, tints, strict=True)
        ]
        for label, after in drawn.items()
    }
    scene, seed = found.values()
    named = {
        label: estimate(column(classification_metrics(items, after, classifier), "object_named"))
        for label, after in drawn.items()
    }
    frozen = [change_metrics(study.drawing(item, FROZEN), study.drawing(item, FROZEN_OTHER_SCENE)) for item in items]
    differing = max(column(frozen, "bytes"), default=math.nan)
    cosine = _estimates(found, "shift_cosine")
    more = paired(column(scene, "shift_along"), column(seed, "shift_along"))
    outline = _estimates(found, "outline")
    gain = {
        label: estimate(column(rows, "shift_product"), column(rows, "shift_square"), statistic=ratio_of_sums)
        for label, rows in found.items()
    }
    rows = [
        Row("size of the foreground's colour shift, ln", _estimates(found, "shift_size")),
        Row("its component along the tint difference, ln", _estimates(found, "shift_along")),
        Row("fraction of the tint difference", gain),
        Row("cosine with the tint difference", cosine, "above 0", above(cosine["another scene"])),
        Row("component: another scene minus another seed", {"another scene": more}, "above 0", above(more)),
        Row("soft IoU of the alphas", outline, "at least 0.85", at_least(outline["another scene"], 0.85)),
        Row("object named correctly", named, "at least 0.9", at_least(named["another scene"], 0.9)),
        Row(
            "`foreground_update` “none”: differing bytes, at most",
            {"another scene": certain(differing, len(items))},
            "0",
            differing == 0,
        ),
    ]
    absent = [] if light_known else ["the light of this model's training data is not known"]
    absent += [] if named["another scene"].known else ["without a classifier"]
    return Claim.judged(
        "background",
        "(a) Changing only the background's prompt changes the object's appearance, not its identity",
        "The foreground layer itself takes on the light of the scene with which it is drawn, and remains the same "
        "object. Both shifts are projected on the difference of the two scenes' tints.",
        tuple(drawn),
        rows,
        missing="; ".join(absent),
    )


# ---- (b) generative blending reproduces light, alpha blending does not


def blending_claim(study: Study, items: Sequence[Item], *, light_known: bool) -> Claim:
    """Test claim (b): alpha blending reproduces the layers exactly; the blended picture does not, but its tone and
    shadow are closer to those of the training data."""
    generative, alpha = [], []
    for item in items:
        truth = Truth.of(item, known=light_known)
        drawing, alone = study.drawing(item, LAYERFUSION), study.drawing(item, PASTED)
        flat, object_alpha = pasted(drawing.background, drawing.foreground), alpha_of(drawing.foreground)
        for rows, shown in ((generative, drawing.blended), (alpha, flat)):
            rows.append(
                {
                    "gap": difference(shown, flat, object_alpha >= 0),
                    **tone_metrics(shown, object_alpha, alone, truth),
                    **shadow_metrics(shown, drawing.background, object_alpha, truth),
                }
            )
    labels = {"alpha blending": alpha, "generative blending": generative}
    gap = {label: estimate(column(rows, "gap")) for label, rows in labels.items()}
    tone = paired(column(generative, "tone_error"), column(alpha, "tone_error"))
    shade = paired(column(generative, "shadow_error"), column(alpha, "shadow_error"))
    apart = every(gap["alpha blending"].high == 0, above(gap["generative blending"]))
    rows = [
        Row("mean difference from the composited layers", gap, "0, and above 0", apart),
        Row(
            "distance of the object's tone from the data's tint, ln",
            {label: estimate(column(rows, "tone_error")) for label, rows in labels.items()},
        ),
        Row("tone: generative minus alpha blending", {"generative blending": tone}, "below 0", below(tone)),
        Row(
            "distance of the shadow from the data's shadow",
            {label: estimate(column(rows, "shadow_error")) for label, rows in labels.items()},
        ),
        Row("shadow: generative minus alpha blending", {"generative blending": shade}, "below 0", below(shade)),
    ]
    return Claim.judged(
        "blending",
        "(b) Alpha blending matches the layers; generative blending matches the light",
        "Alpha blending reproduces the layers exactly; the blended picture differs from them, in the direction of the "
        "data's light.",
        tuple(labels),
        rows,
        missing="" if light_known else "the light of this model's training data is not known",
    )


# ---- (c) structure prior and content confidence together


def mask_claim(study: Study, items: Sequence[Item], stress: Sequence[Item]) -> Claim:
    """Test claim (c): the product of both priors leaks less than either alone, in the masks and in their effect."""
    rows: list[Row] = []
    for label, chosen in (("", items), (", textured backdrops", stress)):
        if chosen:
            rows += _mask_rows(study, chosen, label)
    return Claim.judged(
        "masks",
        "(c) The structure prior alone leaks, the content confidence alone marks everything, "
        "their product marks the object",
        "Spill is the change that the mask causes in the image beside the object, presence the change on the object. "
        "Their ratio compares masks at matched coverage.",
        ("structure", "content", "product"),
        rows,
    )


def _mask_rows(study: Study, items: Sequence[Item], label: str) -> list[Row]:
    kinds: dict[str, Variant] = {"structure": STRUCTURE, "content": CONTENT, "product": LAYERFUSION}
    metrics = {name: [_effect(study, item, variant) for item in items] for name, variant in kinds.items()}
    product = metrics["product"]
    rows = [
        Row(f"mask: leak at matched coverage{label}", _estimates(metrics, "leak_soft")),
        Row(f"mask: AUC{label}", _estimates(metrics, "auc_soft")),
        Row(f"spill beside the object{label}", _estimates(metrics, "spill")),
        Row(
            f"spill over presence{label}",
            {
                name: estimate(column(rows, "spill"), column(rows, "presence"), statistic=ratio_of_sums)
                for name, rows in metrics.items()
            },
        ),
    ]
    for name, what in (("leak_soft", "mask leak"), ("ratio", "spill over presence")):
        against = {
            other: paired(column(product, name), column(metrics[other], name)) for other in ("structure", "content")
        }
        answer = every(*(below(figure) for figure in against.values()))
        rows.append(Row(f"{what}: product minus this{label}", against, "below 0", answer))
    return rows


def _effect(study: Study, item: Item, variant: Variant) -> Metrics:
    drawing = study.drawing(item, variant)
    alpha = alpha_of(drawing.foreground)
    beside, inside = (measure(drawing.blended, drawing.background, alpha) for measure in (spill, presence))
    masks = mask_metrics(drawing.maps, drawing.foreground, translucent=False) if drawing.maps is not None else {}
    return {"spill": beside, "presence": inside, "ratio": beside / inside if inside > 0.01 else math.nan, **masks}


# ---- (d) the decision boundary


def boundary_claim(study: Study, items: Sequence[Item]) -> Claim:
    """Test claim (d): a low coefficient d of the hard mask leaks; a high one gives a more precise alpha."""
    metrics: dict[str, list[Metrics]] = {
        f"d = {d}": [_boundary_metrics(study, item, variant) for item in items]
        for d, variant in zip(BOUNDARIES, SWEEP, strict=True)
    }
    last = list(metrics)[-1]
    rows = [
        Row("spill beside the object", _estimates(metrics, "spill")),
        Row("presence on the object", _estimates(metrics, "presence")),
        Row("coverage of the alpha", _estimates(metrics, "coverage")),
        Row("precision of the alpha: fraction of visible pixels above 0.9", _estimates(metrics, "crispness")),
        Row("mean alpha away from the object", _estimates(metrics, "stray_alpha")),
        Row("fraction of the hard mask outside the object", _estimates(metrics, "outside_hard")),
    ]
    targets = (
        ("the hard mask outside", "outside_hard", False),
        ("spill", "spill", False),
        ("alpha precision", "crispness", True),
    )
    for words, name, rises in targets:
        trend = _mean_rank_correlation(metrics, name)
        answer = above(trend) if rises else below(trend)
        rows.append(
            Row(f"rank correlation of d with {words}", {last: trend}, "above 0" if rises else "below 0", answer)
        )
    return Claim.judged(
        "boundary",
        "(d) A low decision boundary leaks, a high one gives a precise alpha",
        "d is the coefficient of the hard mask. A correlation is the mean over items of each item's correlation over "
        "all d.",
        tuple(metrics),
        rows,
    )


def _boundary_metrics(study: Study, item: Item, variant: Variant) -> Metrics:
    drawing = study.drawing(item, variant)
    alpha = alpha_of(drawing.foreground)
    masks = mask_metrics(drawing.maps, drawing.foreground, translucent=False) if drawing.maps is not None else {}
    return {
        "spill": spill(drawing.blended, drawing.background, alpha),
        "presence": presence(drawing.blended, drawing.background, alpha),
        "coverage": float(alpha.mean()),
        "crispness": crispness(alpha),
        "stray_alpha": stray_alpha(alpha),
        **masks,
    }


def _mean_rank_correlation(metrics: dict[str, list[Metrics]], name: str) -> Estimate:
    table = list(zip(*(column(rows, name) for rows in metrics.values()), strict=True))
    complete = [values for values in table if all(math.isfinite(value) for value in values)]
    return estimate([rank_correlation(BOUNDARIES, values) for values in complete])


def _estimates(metrics: dict[str, list[Metrics]], name: str) -> dict[str, Estimate]:
    return {label: estimate(column(rows, name)) for label, rows in metrics.items()}
