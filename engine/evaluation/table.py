"""The table that compares LayerFusion with the baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.measures import differing_bytes
from layerfusion.engine.evaluation.metrics import (
    Classifier,
    Metrics,
    Truth,
    anchor_metrics,
    classification_metrics,
    column,
    mask_metrics,
    residue_metrics,
    system_metrics,
)
from layerfusion.engine.evaluation.rows import Row, Section, above, at_least, below, certain, every, within
from layerfusion.engine.evaluation.statistics import Estimate, Values, estimate, paired, ratio_of_sums
from layerfusion.engine.evaluation.study import Study
from layerfusion.engine.evaluation.systems import (
    FROZEN,
    KEPT,
    LAYERFUSION,
    OTHER_SEED,
    PASTED,
    ROUND_TRIP,
    SEQUENTIAL,
    SYSTEMS,
)

COLUMNS = {
    PASTED.name: "(1) pasted",
    SEQUENTIAL.name: "(2) sequential",
    FROZEN.name: "(3) frozen",
    LAYERFUSION.name: "(4) LayerFusion",
}
VARIANTS = (*SYSTEMS, ROUND_TRIP, OTHER_SEED)
"""The variants that must be drawn for the table."""

_OURS = COLUMNS[LAYERFUSION.name]
_OTHERS = [name for name in COLUMNS if name != LAYERFUSION.name]

BySystem = dict[str, list[Metrics]]


def gather(study: Study, items: Sequence[Item], classifier: Classifier | None, *, light_known: bool) -> BySystem:
    """Compute every item's metrics by system, from the drawings.

    Args:
        study: the drawings.
        items: the items.
        classifier: classifies objects and scenes; None leaves these metrics out.
        light_known: whether the model was trained on data whose light `light` knows.

    Returns:
        System name -> metrics of each item.
    """
    drawings = {variant.name: [study.drawing(item, variant) for item in items] for variant in VARIANTS}
    found: BySystem = {}
    for system in SYSTEMS:
        drawn, alone = drawings[system.name], drawings[PASTED.name]
        residues, _ = residue_metrics([(one.foreground, one.background) for one in drawn])
        names = classification_metrics(items, drawn, classifier)
        found[system.name] = [
            {
                **system_metrics(drawn[i], alone[i], Truth.of(item, known=light_known)),
                **anchor_metrics(
                    drawings[LAYERFUSION.name][i], drawings[OTHER_SEED.name][i], drawings[ROUND_TRIP.name][i]
                ),
                **names[i],
                "residue": residues[i],
            }
            for i, item in enumerate(items)
        ]
    for i, item in enumerate(items):
        drawing = drawings[LAYERFUSION.name][i]
        assert drawing.maps is not None
        see_through = item.thing in _translucent()
        found[LAYERFUSION.name][i] |= mask_metrics(drawing.maps, drawing.foreground, translucent=see_through)
    return found


def _translucent() -> tuple[str, ...]:
    from layerfusion.engine.training.data.vocabulary import TRANSLUCENT

    return TRANSLUCENT


def kept_bytes(study: Study, items: Sequence[Item]) -> list[float]:
    """For each item, the number of bytes in which the kept foreground came back different."""
    return [
        float(differing_bytes(study.drawing(item, KEPT).foreground, study.drawing(item, LAYERFUSION).foreground))
        for item in items
        if study.has(item, KEPT)
    ]


def sections(metrics: BySystem, kept: Sequence[float]) -> tuple[Section, ...]:
    """The table's sections, with their targets."""
    return (
        _exactness(metrics, kept),
        _consistency(metrics),
        _residue(metrics),
        _tone(metrics),
        _shadow(metrics),
        _masks(metrics[LAYERFUSION.name]),
    )


def _exactness(metrics: BySystem, kept: Sequence[float]) -> Section:
    ours = metrics[LAYERFUSION.name]
    largest = max(column(ours, "exact_error"), default=math.nan)
    differing = certain(max(kept), len(kept)) if kept else estimate([])
    rows = [
        Row(
            "kept foreground: differing bytes, at most",
            {_OURS: differing},
            "0",
            differing.value == 0 if differing.known else None,
        ),
        Row(
            "exact mode: largest difference from Blended, 1/255",
            {_OURS: certain(largest, len(ours))},
            "at most 1",
            largest <= 1,
        ),
        Row("mean difference of the pasted layers from Blended", _by_system(metrics, "gap")),
        Row("mean difference of the stack with clean Shadow and Light from Blended", _by_system(metrics, "gap_clean")),
        Row(
            "exact Shadow and Light: fraction of energy outside object and shadow",
            _by_system(metrics, "elsewhere_exact"),
        ),
        Row(
            "clean Shadow and Light: fraction of energy outside object and shadow",
            _by_system(metrics, "elsewhere_clean"),
        ),
    ]
    return Section("exactness", "Exactness of kept layers and of exact Shadow and Light", tuple(COLUMNS.values()), rows)


def _consistency(metrics: BySystem) -> Section:
    ours, pasted = metrics[LAYERFUSION.name], metrics[PASTED.name]
    consistencies = {name: consistency(rows) for name, rows in metrics.items()}
    scene = {name: estimate(column(rows, "scene_named")) for name, rows in metrics.items()}
    scene_loss = paired(column(ours, "scene_named"), column(pasted, "scene_named"))
    sharp = estimate(column(ours, "sharpness"), column(pasted, "sharpness"), statistic=ratio_of_sums)
    under = _by_system(metrics, "under_object")
    rows = [
        Row("PSNR of Blended against Background outside object and shadow, dB", _by_system(metrics, "psnr")),
        Row("floor: PSNR of Background against one with another seed, dB", {_OURS: estimate(column(ours, "floor"))}),
        Row("ceiling: PSNR of Background after a VAE round trip, dB", {_OURS: estimate(column(ours, "ceiling"))}),
        Row(
            "layer consistency (floor 0, ceiling 1)",
            _labelled(consistencies),
            "at least 0.6",
            at_least(consistencies[LAYERFUSION.name], 0.6),
        ),
        Row("scene named correctly", _labelled(scene)),
        Row(
            "scene named correctly, LayerFusion minus (1)",
            {_OURS: scene_loss},
            "not below 0",
            scene_loss.high >= 0 if scene_loss.known else None,
        ),
        Row(
            "Background's sharpness, LayerFusion divided by (1)",
            {_OURS: sharp},
            "not below 1",
            sharp.high >= 1 if sharp.known else None,
        ),
        Row(
            "mean difference of Blended from the pasted layers, on the object",
            under,
            "(4) above 0",
            above(under[_OURS]),
        ),
    ]
    return Section("consistency", "Layer consistency", tuple(COLUMNS.values()), rows)


def consistency(rows: Sequence[Metrics]) -> Estimate:
    """Layer consistency: the position of `psnr` between `floor` (0) and `ceiling` (1), over all items together."""
    gained = [row["psnr"] - row["floor"] for row in rows]
    possible = [row["ceiling"] - row["floor"] for row in rows]
    return estimate(gained, possible, statistic=ratio_of_sums)


def _residue(metrics: BySystem) -> Section:
    figures = _by_system(metrics, "residue")
    names = {name: estimate(column(rows, "object_named")) for name, rows in metrics.items()}
    whole = {name: estimate(column(rows, "blended_named")) for name, rows in metrics.items()}
    rows = [
        Row(
            "object residue in the background, SD of chance",
            figures,
            "(4) below 0.2",
            below(figures[_OURS], 0.2),
        ),
        Row("foreground named correctly", _labelled(names)),
        Row("object in Blended named correctly", _labelled(whole)),
    ]
    return Section("residue", "Object residue and classification", tuple(COLUMNS.values()), rows)


def _tone(metrics: BySystem) -> Section:
    gain = _by_system(metrics, ("tone_along", "tone_data"), statistic=ratio_of_sums)
    rows = [
        Row("cosine of the object's colour shift and the data's tint", _by_system(metrics, "tone_cosine")),
        _difference("the cosine: LayerFusion minus this system", metrics, "tone_cosine", _OTHERS, higher=True),
        Row(
            "gain: fraction of the data's tint",
            gain,
            "(4) 0.5 to 1.5",
            within(gain[_OURS], 0.5, 1.5),
        ),
        Row("distance of the colour shift from the tint, ln", _by_system(metrics, "tone_error")),
        _difference(
            "the distance: LayerFusion minus this system", metrics, "tone_error", _OTHERS, higher=False, target=False
        ),
    ]
    return Section("tone", "Tone", tuple(COLUMNS.values()), rows)


def _shadow(metrics: BySystem) -> Section:
    gain = _by_system(metrics, ("shadow_along", "shadow_square"), statistic=ratio_of_sums)
    rows = [
        Row("darkening below the object minus beside it", _by_system(metrics, "shadow")),
        Row("the same for the data's shadow on the same background", _by_system(metrics, "shadow_data")),
        Row(
            "gain: fraction of the data's shadow",
            gain,
            "(4) 0.5 to 1.5",
            within(gain[_OURS], 0.5, 1.5),
        ),
        Row("distance from the data's shadow", _by_system(metrics, "shadow_error")),
        _difference(
            "the distance: LayerFusion minus this system", metrics, "shadow_error", [PASTED.name], higher=False
        ),
    ]
    return Section("shadow", "Shadow", tuple(COLUMNS.values()), rows)


def _masks(ours: Sequence[Metrics]) -> Section:
    columns = {"at 0.8 T": "@0.8T", "at 0.5 T": "@0.5T", "run mean": ""}

    def row(measure: str, name: str) -> Row:
        return Row(measure, {label: estimate(column(ours, name + suffix)) for label, suffix in columns.items()})

    rows = [
        row("soft mask: soft IoU with the alpha", "iou_soft"),
        row("hard mask: soft IoU with the alpha", "iou_hard"),
        row("soft mask: AUC", "auc_soft"),
        row("structure prior alone: AUC", "auc_structure"),
        row("content confidence alone: AUC", "auc_content"),
        row("soft mask: leak at matched coverage", "leak_soft"),
        row("structure prior alone: leak at matched coverage", "leak_structure"),
        row("content confidence alone: leak at matched coverage", "leak_content"),
        row("translucent objects: correlation with the alpha inside", "translucency"),
    ]
    return Section("masks", "Masks used by the coupling", tuple(columns), rows)


def _by_system(
    metrics: BySystem, names: str | tuple[str, ...], *, statistic: Callable[..., Values] | None = None
) -> dict[str, Estimate]:
    wanted = (names,) if isinstance(names, str) else names
    options = {} if statistic is None else {"statistic": statistic}
    return _labelled(
        {
            system: estimate(*(column(rows, name) for name in wanted), **options)  # type: ignore[arg-type]
            for system, rows in metrics.items()
        }
    )


def _labelled(figures: Mapping[str, Estimate]) -> dict[str, Estimate]:
    return {COLUMNS[name]: figure for name, figure in figures.items()}


def _difference(
    measure: str, metrics: BySystem, name: str, systems: Sequence[str], *, higher: bool, target: bool = True
) -> Row:
    """LayerFusion's figure minus that of each of `systems`, per item; `higher` is whether higher figures are better."""
    ours = column(metrics[LAYERFUSION.name], name)
    figures = {system: paired(ours, column(metrics[system], name)) for system in systems}
    answers = [above(figure) if higher else below(figure) for figure in figures.values()]
    bar = ("above 0" if higher else "below 0") if target else ""
    return Row(measure, _labelled(figures), bar, every(*answers) if target else None)
