"""The table: LayerFusion beside what one would do without it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.measures import differing_bytes
from layerfusion.engine.evaluation.metrics import (
    Classifier,
    Metrics,
    Truth,
    anchor_facts,
    column,
    mask_facts,
    name_facts,
    residue_facts,
    system_facts,
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
"""What must be drawn for the table."""

_OURS = COLUMNS[LAYERFUSION.name]
_OTHERS = [name for name in COLUMNS if name != LAYERFUSION.name]

BySystem = dict[str, list[Metrics]]


def gather(study: Study, items: Sequence[Item], classifier: Classifier | None, *, known_light: bool) -> BySystem:
    """Every item's facts by system, from the drawings alone.

    Args:
        known_light: whether the model was trained on the data whose light is known.
    """
    drawings = {variant.name: [study.drawing(item, variant) for item in items] for variant in VARIANTS}
    found: BySystem = {}
    for system in SYSTEMS:
        drawn, alone = drawings[system.name], drawings[PASTED.name]
        residues, _ = residue_facts([(one.foreground, one.background) for one in drawn])
        names = name_facts(items, drawn, classifier)
        found[system.name] = [
            {
                **system_facts(drawn[i], alone[i], Truth.of(item, known=known_light)),
                **anchor_facts(
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
        found[LAYERFUSION.name][i] |= mask_facts(drawing.maps, drawing.foreground, translucent=see_through)
    return found


def _translucent() -> tuple[str, ...]:
    from layerfusion.engine.training.data.vocabulary import TRANSLUCENT

    return TRANSLUCENT


def kept_bytes(study: Study, items: Sequence[Item]) -> list[float]:
    """Bytes of a kept foreground that came back different, an item."""
    return [
        float(differing_bytes(study.drawing(item, KEPT).foreground, study.drawing(item, LAYERFUSION).foreground))
        for item in items
        if study.has(item, KEPT)
    ]


def sections(facts: BySystem, kept: Sequence[float]) -> tuple[Section, ...]:
    """The table's parts, with what is asked of each."""
    return (
        _exactness(facts, kept),
        _consistency(facts),
        _residue(facts),
        _tone(facts),
        _shadow(facts),
        _masks(facts[LAYERFUSION.name]),
    )


def _exactness(facts: BySystem, kept: Sequence[float]) -> Section:
    ours = facts[LAYERFUSION.name]
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
        Row("gap of the layers pasted to Blended", _by_system(facts, "gap")),
        Row("gap of the clean stack to Blended", _by_system(facts, "gap_clean")),
        Row(
            "exact Shadow and Light: share of energy outside object and shadow",
            _by_system(facts, "elsewhere_exact"),
        ),
        Row(
            "clean Shadow and Light: share of energy outside object and shadow",
            _by_system(facts, "elsewhere_clean"),
        ),
    ]
    return Section("exactness", "Layers kept, layers exact", tuple(COLUMNS.values()), rows)


def _consistency(facts: BySystem) -> Section:
    ours, pasted = facts[LAYERFUSION.name], facts[PASTED.name]
    way = {name: anchored_way(rows) for name, rows in facts.items()}
    scene = {name: estimate(column(rows, "scene_named")) for name, rows in facts.items()}
    scene_loss = paired(column(ours, "scene_named"), column(pasted, "scene_named"))
    sharp = estimate(column(ours, "sharpness"), column(pasted, "sharpness"), statistic=ratio_of_sums)
    under = _by_system(facts, "under_object")
    rows = [
        Row("Blended against Background outside object and shadow, dB", _by_system(facts, "psnr")),
        Row("floor: Background of another seed, dB", {_OURS: estimate(column(ours, "floor"))}),
        Row("ceiling: Background through the VAE, dB", {_OURS: estimate(column(ours, "ceiling"))}),
        Row(
            "part of the way from floor to ceiling",
            _labelled(way),
            "at least 0.6",
            at_least(way[LAYERFUSION.name], 0.6),
        ),
        Row("scene named", _labelled(scene)),
        Row(
            "scene named, LayerFusion minus (1)",
            {_OURS: scene_loss},
            "not below 0",
            scene_loss.high >= 0 if scene_loss.known else None,
        ),
        Row(
            "Background's sharpness, LayerFusion over (1)",
            {_OURS: sharp},
            "not below 1",
            sharp.high >= 1 if sharp.known else None,
        ),
        Row("Blended against the paste, on the object", under, "(4) above 0", above(under[_OURS])),
    ]
    return Section("consistency", "Layer consistency", tuple(COLUMNS.values()), rows)


def anchored_way(rows: Sequence[Metrics]) -> Estimate:
    """How far `psnr` has come from `floor` (0) to `ceiling` (1), over all items together."""
    gained = [row["psnr"] - row["floor"] for row in rows]
    whole = [row["ceiling"] - row["floor"] for row in rows]
    return estimate(gained, whole, statistic=ratio_of_sums)


def _residue(facts: BySystem) -> Section:
    figures = _by_system(facts, "residue")
    names = {name: estimate(column(rows, "object_named")) for name, rows in facts.items()}
    whole = {name: estimate(column(rows, "blended_named")) for name, rows in facts.items()}
    rows = [
        Row(
            "object residue in the background, SD of chance",
            figures,
            "(4) below 0.2",
            below(figures[_OURS], 0.2),
        ),
        Row("foreground named", _labelled(names)),
        Row("object named in Blended", _labelled(whole)),
    ]
    return Section("residue", "What is where", tuple(COLUMNS.values()), rows)


def _tone(facts: BySystem) -> Section:
    gain = _by_system(facts, ("tone_along", "tone_data"), statistic=ratio_of_sums)
    rows = [
        Row("cosine of the object's colour shift with the data's tint", _by_system(facts, "tone_cosine")),
        _better("cosine, LayerFusion minus this", facts, "tone_cosine", _OTHERS, higher=True),
        Row(
            "gain: how much of the tint is there",
            gain,
            "(4) 0.5 to 1.5",
            within(gain[_OURS], 0.5, 1.5),
        ),
        Row("distance of the shift from the tint, ln", _by_system(facts, "tone_error")),
        _better("distance, LayerFusion minus this", facts, "tone_error", _OTHERS, higher=False, asked=False),
    ]
    return Section("tone", "Tone", tuple(COLUMNS.values()), rows)


def _shadow(facts: BySystem) -> Section:
    gain = _by_system(facts, ("shadow_along", "shadow_square"), statistic=ratio_of_sums)
    rows = [
        Row("darkening below the object minus beside it", _by_system(facts, "shadow")),
        Row("the data's, on the same ground", _by_system(facts, "shadow_data")),
        Row(
            "gain: how much of the data's shadow is there",
            gain,
            "(4) 0.5 to 1.5",
            within(gain[_OURS], 0.5, 1.5),
        ),
        Row("distance from the data's", _by_system(facts, "shadow_error")),
        _better("distance, LayerFusion minus this", facts, "shadow_error", [PASTED.name], higher=False),
    ]
    return Section("shadow", "Shadow", tuple(COLUMNS.values()), rows)


def _masks(ours: Sequence[Metrics]) -> Section:
    columns = {"at 0.8 T": "@0.8T", "at 0.5 T": "@0.5T", "run mean": ""}

    def row(measure: str, name: str) -> Row:
        return Row(measure, {label: estimate(column(ours, name + suffix)) for label, suffix in columns.items()})

    rows = [
        row("soft mask: overlap with the alpha", "iou_soft"),
        row("hard mask: overlap with the alpha", "iou_hard"),
        row("soft mask: AUC", "auc_soft"),
        row("structure prior alone: AUC", "auc_structure"),
        row("content confidence alone: AUC", "auc_content"),
        row("soft mask: leak at matched coverage", "leak_soft"),
        row("structure prior alone: leak at matched coverage", "leak_structure"),
        row("content confidence alone: leak at matched coverage", "leak_content"),
        row("translucent objects: correlation with the alpha inside", "translucency"),
    ]
    return Section("masks", "Masks as used", tuple(columns), rows)


def _by_system(
    facts: BySystem, names: str | tuple[str, ...], *, statistic: Callable[..., Values] | None = None
) -> dict[str, Estimate]:
    wanted = (names,) if isinstance(names, str) else names
    options = {} if statistic is None else {"statistic": statistic}
    return _labelled(
        {
            system: estimate(*(column(rows, name) for name in wanted), **options)  # type: ignore[arg-type]
            for system, rows in facts.items()
        }
    )


def _labelled(figures: Mapping[str, Estimate]) -> dict[str, Estimate]:
    return {COLUMNS[name]: figure for name, figure in figures.items()}


def _better(
    measure: str, facts: BySystem, name: str, systems: Sequence[str], *, higher: bool, asked: bool = True
) -> Row:
    """LayerFusion's figure minus each other's, item by item."""
    ours = column(facts[LAYERFUSION.name], name)
    figures = {system: paired(ours, column(facts[system], name)) for system in systems}
    answers = [above(figure) if higher else below(figure) for figure in figures.values()]
    bar = ("above 0" if higher else "below 0") if asked else ""
    return Row(measure, _labelled(figures), bar, every(*answers) if asked else None)
