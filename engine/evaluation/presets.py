"""What the presets, and the options of which they are made, cost and lose.

Cost is counted, as `layerfusion benchmark` counts it: the operations of the same job on SDXL, as a multiple of one
stock picture. Loss is measured on the evaluated model: its drawings in every way, from the same noise, with `exact`,
which omits nothing, as the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.measures import alpha_of, psnr, soft_iou
from layerfusion.engine.evaluation.metrics import (
    Classifier,
    Metrics,
    Truth,
    classification_metrics,
    column,
    residue_metrics,
    system_metrics,
)
from layerfusion.engine.evaluation.rows import Row, Section, certain
from layerfusion.engine.evaluation.statistics import Estimate, estimate, paired, ratio_of_sums
from layerfusion.engine.evaluation.study import Study
from layerfusion.engine.evaluation.systems import PASTED, Drawing, Variant
from layerfusion.engine.evaluation.trade_off import TradeOff
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.options.fusion import FusionSettings

_ALTERNATIVES = {
    "paper": Variant("preset_paper", preset="paper"),
    "exact": Variant("preset_exact", preset="exact"),
    "balanced": Variant("preset_balanced", preset="balanced"),
    "fast": Variant("preset_fast", preset="fast"),
    "fast, no adapter": Variant("preset_fast_own_steps", {"few_steps": False}, preset="fast"),
    "deep_every 3": Variant("option_deep_every", {"deep_every": 3}, preset="exact"),
    "guidance_every 3": Variant("option_guidance_every", {"guidance_every": 3}, preset="exact"),
    "guidance_end 0.4": Variant("option_guidance_end", {"guidance_end": 0.4}, preset="exact"),
}
"""Column -> how it is drawn. The last three are `exact` with one option more, by its name and value."""

_ALONE = Variant("preset_pasted", PASTED.settings, preset="exact", use="pasted")
"""The object's own colour: drawn without coupling, in the steps of `exact`."""

VARIANTS = (*_ALTERNATIVES.values(), _ALONE)
"""The variants that must be drawn of every item."""

COST = "operations on SDXL, in stock pictures"
_REFERENCE = "exact"

_BETTER: dict[str, tuple[str, bool]] = {
    "layer consistency: PSNR of Blended against Background, dB": ("psnr", True),
    "object residue in the background, SD of chance": ("residue", False),
    "tone: distance of the object's from the data's tint, ln": ("tone_error", False),
    "shadow: distance from the data's": ("shadow_error", False),
    "sharpness of the background": ("sharpness", True),
    "foreground named correctly": ("object_named", True),
    "scene named correctly": ("scene_named", True),
    "object in Blended named correctly": ("blended_named", True),
}
"""Row -> metric, and whether more of it is better."""

_SHOWN = {
    "Layer consistency, dB\nmore is better": "psnr",
    "Tone: distance from the data's, ln\nless is better": "tone_error",
    "Shadow: distance from the data's\nless is better": "shadow_error",
    "Objects named correctly in Blended\nmore is better": "blended_named",
}
"""Panels of the chart -> metric."""

Count = Callable[[int, float, FusionSettings, tuple[int, float]], float]
"""(steps, guidance scale, options, steps and guidance of the stock picture) -> a job's cost in stock pictures; see
`profiling.cost_model.count_on_sdxl`."""


def presets_section(
    study: Study, items: Sequence[Item], classifier: Classifier | None, count: Count | None, *, light_known: bool
) -> Section:
    """Measure every column on all items.

    Args:
        study: the drawings.
        items: the items.
        classifier: classifies objects and scenes; None leaves names unmeasured.
        count: counts the cost; None leaves it unmeasured.
        light_known: whether the model was trained on data whose light `light` knows; tone and shadow need it.
    """
    alone = [study.drawing(item, _ALONE) for item in items]
    truths = [Truth.of(item, known=light_known) for item in items]
    drawn = {name: [study.drawing(item, variant) for item in items] for name, variant in _ALTERNATIVES.items()}
    metrics = {name: _metrics(items, drawings, alone, truths, classifier) for name, drawings in drawn.items()}
    seconds = {name: [study.seconds_of(item, way) for item in items] for name, way in _ALTERNATIVES.items()}
    rows = [
        Row(COST, {} if count is None else {n: certain(c, len(items)) for n, c in costs(study.spec, count).items()}),
        Row(
            "drawing time divided by that of `exact`",
            {
                name: estimate(taken, seconds[_REFERENCE], statistic=ratio_of_sums)
                for name, taken in seconds.items()
                if name != _REFERENCE
            },
        ),
    ]
    for measure, (metric, more) in _BETTER.items():
        rows += _judged(measure, {name: column(found, metric) for name, found in metrics.items()}, more)
    return Section("presets", "What the presets cost and lose", tuple(_ALTERNATIVES), rows + _likeness(drawn))


def costs(spec: ModelSpec, count: Count) -> dict[str, float]:
    """The cost of every column: column -> stock pictures.

    Args:
        spec: the model whose steps, guidance, options and adapter are those of the jobs.
        count: counts a job.
    """
    found, usual = {}, (spec.defaults.steps, spec.defaults.guidance_scale)
    for name, variant in _ALTERNATIVES.items():
        settings = _settings(spec, variant)
        adapter = spec.adapter_for(settings)
        own = spec.defaults if adapter is None else adapter
        found[name] = count(own.steps, own.guidance_scale, settings, usual)
    return found


def trade_offs(section: Section) -> list[TradeOff]:
    """The panels of the chart of a section that `presets_section` made: cost against loss."""
    rows = {row.measure: row for row in section.rows}
    found = []
    for title, metric in _SHOWN.items():
        measure, more = next((row, more) for row, (name, more) in _BETTER.items() if name == metric)
        cost, quality = rows[COST].figures, rows[measure].figures
        points = {
            name: (cost[name].value, quality[name])
            for name in section.columns
            if name in cost and name in quality and quality[name].known
        }
        if points:
            found.append(TradeOff(title, "operations, in stock pictures", points, more_is_better=more))
    return found


def _settings(spec: ModelSpec, variant: Variant) -> FusionSettings:
    return spec.defaults.fusion.preset(variant.preset).changed(variant.settings)  # type: ignore[arg-type]


def _metrics(
    items: Sequence[Item],
    drawings: Sequence[Drawing],
    alone: Sequence[Drawing],
    truths: Sequence[Truth],
    classifier: Classifier | None,
) -> list[Metrics]:
    """Every item's metrics in one column."""
    residues, _ = residue_metrics([(one.foreground, one.background) for one in drawings])
    names = classification_metrics(items, drawings, classifier)
    return [
        {**system_metrics(drawing, bare, truth), **named, "residue": residue}
        for drawing, bare, truth, named, residue in zip(drawings, alone, truths, names, residues, strict=True)
    ]


def _judged(measure: str, values: Mapping[str, Sequence[float]], more: bool) -> list[Row]:
    """A measure in every column, and its paired difference from `exact`.

    The target is that of `balanced`: its mean is not on the worse side of the interval of `exact`.
    """
    figures = {name: estimate(found) for name, found in values.items()}
    reference, ours = figures[_REFERENCE], figures["balanced"]
    holds = None
    if reference.known and ours.known:
        holds = ours.value >= reference.low if more else ours.value <= reference.high
    changes = {name: paired(found, values[_REFERENCE]) for name, found in values.items() if name != _REFERENCE}
    bar = "`balanced` in the interval of `exact`, or better"
    return [Row(measure, figures, bar, holds), Row("the same, minus that of `exact`", changes)]


def _likeness(drawn: Mapping[str, Sequence[Drawing]]) -> list[Row]:
    """How near the pictures of every column are to those of `exact`."""
    reference = drawn[_REFERENCE]

    def against(likeness: Callable[[Drawing, Drawing], float]) -> dict[str, Estimate]:
        return {
            name: estimate([likeness(a, b) for a, b in zip(drawings, reference, strict=True)])
            for name, drawings in drawn.items()
            if name != _REFERENCE
        }

    return [
        Row("soft IoU of the alpha with that of `exact`", against(_alike_alpha)),
        Row("PSNR of Background against that of `exact`, dB", against(lambda a, b: _psnr(a.background, b.background))),
        Row("PSNR of Blended against that of `exact`, dB", against(lambda a, b: _psnr(a.blended, b.blended))),
    ]


def _alike_alpha(a: Drawing, b: Drawing) -> float:
    return soft_iou(alpha_of(a.foreground), alpha_of(b.foreground))


def _psnr(a: Pixels, b: Pixels) -> float:
    return psnr(a, b, np.ones(a.shape[:2], bool))
