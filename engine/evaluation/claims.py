"""The four claims of the paper's Fig. 5, which shows pictures, as numbers. What does not hold is said as plainly."""

from __future__ import annotations

import math
from collections.abc import Sequence

from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.measures import alpha_of, crispness, difference, pasted, presence, spill
from layerfusion.engine.evaluation.metrics import (
    Classifier,
    Metrics,
    Truth,
    change_facts,
    column,
    mask_facts,
    name_facts,
    shadow_facts,
    tone_facts,
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
"""What must be drawn for claim (a), and for the kept layers. Prompt and seed are compared where the foreground shares
its noise with neither background: otherwise another seed would take the shared start away as well."""

BLENDING_VARIANTS = (PASTED, LAYERFUSION)
"""For claim (b)."""

MASK_VARIANTS = (LAYERFUSION, STRUCTURE, CONTENT)
"""For claim (c), on the items and on the stress set."""

BOUNDARY_VARIANTS = SWEEP
"""For claim (d)."""


# ---- (a) the background reaches into the foreground


def background_claim(study: Study, items: Sequence[Item], classifier: Classifier | None) -> Claim:
    """Another background prompt changes the object's colours more than another background seed does; its outline and
    its name stay; and nothing changes where the foreground is told nothing."""
    base = [study.drawing(item, APART) for item in items]
    other = [study.drawing(item, APART_OTHER_SCENE) for item in items]
    scene = [change_facts(a, b) for a, b in zip(base, other, strict=True)]
    seed = [change_facts(a, study.drawing(item, APART_OTHER_SEED)) for a, item in zip(base, items, strict=True)]
    frozen = [change_facts(study.drawing(item, FROZEN), study.drawing(item, FROZEN_OTHER_SCENE)) for item in items]
    named = estimate(column(name_facts(items, other, classifier), "object_named"))
    more = paired(column(scene, "colour"), column(seed, "colour"))
    outline = estimate(column(scene, "outline"))
    differing = max(column(frozen, "bytes"), default=math.nan)
    rows = [
        Row("colour shift inside the object, another prompt", {"": estimate(column(scene, "colour"))}),
        Row("colour shift inside the object, another seed", {"": estimate(column(seed, "colour"))}),
        Row("another prompt minus another seed", {"": more}, "above 0", above(more)),
        Row(
            "overlap of the alphas, another prompt",
            {"": outline},
            "at least 0.85",
            at_least(outline, 0.85),
        ),
        Row(
            "object still named, another prompt",
            {"": named},
            "at least 0.9",
            at_least(named, 0.9),
        ),
        Row(
            "`foreground_update` none: differing bytes, at most",
            {"": certain(differing, len(items))},
            "0",
            differing == 0,
        ),
    ]
    return Claim.judged(
        "background",
        "(a) Changing only the background's prompt changes the object, not what it is",
        "The object takes on something of the scene it is drawn with, and stays the same object.",
        ("",),
        rows,
        missing="" if named.known else "without a classifier",
    )


# ---- (b) generative blending does what pasting cannot


def blending_claim(study: Study, items: Sequence[Item], *, known_light: bool) -> Claim:
    """Pasted layers are exact but unlit; the blended picture is not exact, and nearer to the data's tone and shadow."""
    generative, alpha = [], []
    for item in items:
        truth = Truth.of(item, known=known_light)
        drawing, alone = study.drawing(item, LAYERFUSION), study.drawing(item, PASTED)
        flat, cover = pasted(drawing.background, drawing.foreground), alpha_of(drawing.foreground)
        for rows, shown in ((generative, drawing.blended), (alpha, flat)):
            rows.append(
                {
                    "gap": difference(shown, flat, cover >= 0),
                    **tone_facts(shown, cover, alone, truth),
                    **shadow_facts(shown, drawing.background, cover, truth),
                }
            )
    labels = {"alpha blending": alpha, "generative blending": generative}
    gap = {label: estimate(column(rows, "gap")) for label, rows in labels.items()}
    tone = paired(column(generative, "tone_error"), column(alpha, "tone_error"))
    shade = paired(column(generative, "shadow_error"), column(alpha, "shadow_error"))
    apart = every(gap["alpha blending"].high == 0, above(gap["generative blending"]))
    rows = [
        Row("gap to the layers as composited", gap, "0, and above 0", apart),
        Row(
            "distance of the object's tone from the data's tint, ln",
            {label: estimate(column(rows, "tone_error")) for label, rows in labels.items()},
        ),
        Row("the same, generative minus alpha", {"generative blending": tone}, "below 0", below(tone)),
        Row(
            "distance of the shadow from the data's",
            {label: estimate(column(rows, "shadow_error")) for label, rows in labels.items()},
        ),
        Row("the same, generative minus alpha", {"generative blending": shade}, "below 0", below(shade)),
    ]
    return Claim.judged(
        "blending",
        "(b) Alpha blending matches the layers; generative blending matches the light",
        "Pasting gives back the layers exactly; the blended picture departs from them, towards the data's light.",
        tuple(labels),
        rows,
        missing="" if known_light else "the light of this model's training data is not known",
    )


# ---- (c) structure and content together


def mask_claim(study: Study, items: Sequence[Item], stress: Sequence[Item]) -> Claim:
    """The product of both priors leaks less than either alone, in the masks and in what they do to the picture."""
    rows: list[Row] = []
    for label, chosen in (("", items), (", textured backdrops", stress)):
        if chosen:
            rows += _mask_rows(study, chosen, label)
    return Claim.judged(
        "masks",
        "(c) Structure alone leaks, content alone lights everything, the product is the object",
        "Spill is what the mask changed in the picture beside the object, presence what it changed on it: their "
        "ratio compares masks at matched coverage.",
        ("structure", "content", "product"),
        rows,
    )


def _mask_rows(study: Study, items: Sequence[Item], label: str) -> list[Row]:
    kinds: dict[str, Variant] = {"structure": STRUCTURE, "content": CONTENT, "product": LAYERFUSION}
    facts = {name: [_effect(study, item, variant) for item in items] for name, variant in kinds.items()}
    product = facts["product"]
    rows = [
        Row(f"mask: leak at matched coverage{label}", _of(facts, "leak_soft")),
        Row(f"mask: AUC{label}", _of(facts, "auc_soft")),
        Row(f"spill beside the object{label}", _of(facts, "spill")),
        Row(
            f"spill over presence{label}",
            {
                name: estimate(column(rows, "spill"), column(rows, "presence"), statistic=ratio_of_sums)
                for name, rows in facts.items()
            },
        ),
    ]
    for name, what in (("leak_soft", "mask leak"), ("ratio", "spill over presence")):
        against = {
            other: paired(column(product, name), column(facts[other], name)) for other in ("structure", "content")
        }
        answer = every(*(below(figure) for figure in against.values()))
        rows.append(Row(f"{what}, product minus this{label}", against, "below 0", answer))
    return rows


def _effect(study: Study, item: Item, variant: Variant) -> Metrics:
    drawing = study.drawing(item, variant)
    alpha = alpha_of(drawing.foreground)
    beside, inside = (measure(drawing.blended, drawing.background, alpha) for measure in (spill, presence))
    masks = mask_facts(drawing.maps, drawing.foreground, translucent=False) if drawing.maps is not None else {}
    return {"spill": beside, "presence": inside, "ratio": beside / inside if inside > 0.01 else math.nan, **masks}


# ---- (d) the decision boundary


def boundary_claim(study: Study, items: Sequence[Item]) -> Claim:
    """A low decision boundary leaks; a high one gives a crisper alpha."""
    facts: dict[str, list[Metrics]] = {
        f"d = {d}": [_sharpened(study, item, variant) for item in items]
        for d, variant in zip(BOUNDARIES, SWEEP, strict=True)
    }
    trends = {name: _trend(facts, name) for name in ("spill", "crispness")}
    last = list(facts)[-1]
    rows = [
        Row("spill beside the object", _of(facts, "spill")),
        Row("presence on the object", _of(facts, "presence")),
        Row("coverage of the alpha", _of(facts, "coverage")),
        Row("alpha precision: share of it above 0.9", _of(facts, "crispness")),
        Row("rank correlation of d with spill", {last: trends["spill"]}, "below 0", below(trends["spill"])),
        Row(
            "rank correlation of d with alpha precision",
            {last: trends["crispness"]},
            "above 0",
            above(trends["crispness"]),
        ),
    ]
    return Claim.judged(
        "boundary",
        "(d) A low decision boundary leaks, a high one gives a precise alpha",
        "One correlation an item over all d; the figure is their mean.",
        tuple(facts),
        rows,
    )


def _sharpened(study: Study, item: Item, variant: Variant) -> Metrics:
    drawing = study.drawing(item, variant)
    alpha = alpha_of(drawing.foreground)
    return {
        "spill": spill(drawing.blended, drawing.background, alpha),
        "presence": presence(drawing.blended, drawing.background, alpha),
        "coverage": float(alpha.mean()),
        "crispness": crispness(alpha),
    }


def _trend(facts: dict[str, list[Metrics]], name: str) -> Estimate:
    table = list(zip(*(column(rows, name) for rows in facts.values()), strict=True))
    complete = [values for values in table if all(math.isfinite(value) for value in values)]
    return estimate([rank_correlation(BOUNDARIES, values) for values in complete])


def _of(facts: dict[str, list[Metrics]], name: str) -> dict[str, Estimate]:
    return {label: estimate(column(rows, name)) for label, rows in facts.items()}
