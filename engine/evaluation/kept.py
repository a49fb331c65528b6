"""Measures of what happens to layers that an artist keeps: objects of the vocabulary, and made pictures.

Each is kept before a new background, relit, harmonised with its backdrop, and moved and harmonised again. Shadow and
Light may change the tone of a kept object smoothly, and cast a shadow; nothing else. Blended is to show the object that
was kept, and not another one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from layerfusion.engine.evaluation.contact_sheets import kept_tiles
from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.kept_measures import (
    LEAST_TONE,
    changed_elsewhere,
    object_change,
    object_shift,
    outline_in,
)
from layerfusion.engine.evaluation.measures import alpha_of, cosine, differing_bytes, pasted, soft_iou
from layerfusion.engine.evaluation.metrics import Metrics, Truth, column, plain, shadow_metrics
from layerfusion.engine.evaluation.regions import Plane
from layerfusion.engine.evaluation.rows import Row, Section, at_least, at_most, certain, every, more_than
from layerfusion.engine.evaluation.statistics import Estimate, Statistic, estimate, mean, ratio_of_sums
from layerfusion.engine.evaluation.study import Study
from layerfusion.engine.evaluation.systems import (
    KEPT,
    LAYERFUSION,
    MADE,
    MADE_HARMONISED,
    MADE_KEPT,
    MADE_MOVED,
    MADE_RELIT,
    MOVED,
    PLACED,
    RELIT,
    Drawing,
    Variant,
    scene_of,
)
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.image.shadow_light import clean_layers, recompose

VARIANTS = (LAYERFUSION, KEPT, RELIT, PLACED, MOVED)
"""The variants that must be drawn of every pair of the vocabulary."""

MADE_VARIANTS = (MADE, MADE_KEPT, MADE_RELIT, MADE_HARMONISED, MADE_MOVED)
"""The variants that must be drawn of every made picture."""


@dataclass(frozen=True)
class KeptSet:
    """One of the two sets of pictures.

    Attributes:
        key: the section's key in the JSON.
        title: the section's title.
        uses: column -> the variant that shows this use.
        given: the variant with the layers from which all uses start.
        least_iou: the target for the outline in Blended.
    """

    key: str
    title: str
    uses: Mapping[str, Variant]
    given: Variant
    least_iou: float


VOCABULARY = KeptSet(
    "kept_vocabulary",
    "What the artist keeps: objects of the vocabulary",
    {"kept": KEPT, "relit": RELIT, "harmonised": PLACED, "moved": MOVED},
    LAYERFUSION,
    0.9,
)
OTHERS = KeptSet(
    "kept_others",
    "What the artist keeps: pictures that are of no vocabulary",
    {"kept": MADE_KEPT, "relit": MADE_RELIT, "harmonised": MADE_HARMONISED, "moved": MADE_MOVED},
    MADE,
    0.85,
)

MOST_STRUCTURE, MOST_STRUCTURE_P99, MOST_TONE, MOST_ELSEWHERE = 1.0, 4.0, 40.0, 0.01
"""Targets for the change of an object by Shadow and Light, in units of 1/255, and for the fraction of changed pixels
away from it."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What an artist sees of one picture: uint8 (H, W, 4).

    Attributes:
        drawing: the layers.
        flat: Background and Foreground composited.
        shadow, light: the clean layers.
        stack: all four composited.
    """

    drawing: Drawing
    flat: Pixels
    shadow: Pixels
    light: Pixels
    stack: Pixels

    @staticmethod
    def of(drawing: Drawing) -> Shown:
        flat = pasted(drawing.background, drawing.foreground)
        made = clean_layers(drawing.blended, flat, [alpha_of(drawing.foreground)])
        return Shown(drawing, flat, made.shadow, made.light, recompose(flat, made.shadow, made.light))


@dataclass(frozen=True, eq=False)
class KeptPicture:
    """One use of one picture.

    Attributes:
        item: the item.
        scene: the background's prompt.
        metrics: what was measured.
        tiles: one row of the contact sheet.
    """

    item: Item
    scene: str
    metrics: Metrics
    tiles: Image.Image

    @property
    def caption(self) -> str:
        numbers = ", ".join(f"{name} {self.metrics[name]:.2f}" for name in _CAPTIONED if name in self.metrics)
        return f"{self.item.name}: {self.item.object}, {self.scene}; {numbers}"


_CAPTIONED = ("structure", "structure_p99", "tone_p99", "elsewhere", "iou")
"""The metrics in the caption of a picture."""

ByUse = Mapping[str, Sequence[KeptPicture]]
"""Column -> all pictures."""


def gather(study: Study, group: KeptSet, items: Sequence[Item], *, light_known: bool) -> ByUse:
    """Measure every picture, by use.

    Args:
        study: the drawings.
        group: the set of pictures.
        items: its items.
        light_known: whether the model was trained on data whose light `light` knows.
    """
    return {
        label: [_picture(study, group, variant, item, light_known=light_known) for item in items]
        for label, variant in group.uses.items()
    }


def section(group: KeptSet, pictures: ByUse) -> Section:
    """The rows of one set, with their targets; a target has to be met in every column."""
    metrics = {use: [picture.metrics for picture in found] for use, found in pictures.items()}

    def row(
        measure: str,
        *names: str,
        bar: str = "",
        meets: Callable[[Estimate], bool | None] | None = None,
        statistic: Statistic = mean,
    ) -> Row:
        figures = {
            use: estimate(*(column(rows, name) for name in names), statistic=statistic)
            for use, rows in metrics.items()
            if any(name in row for name in names for row in rows)
        }
        holds = every(*map(meets, figures.values())) if meets and figures else None
        return Row(measure, figures, bar, holds)

    def worst(measure: str, name: str, bar: str = "") -> Row:
        figures = {
            use: certain(max(values), len(values))
            for use, rows in metrics.items()
            if (values := [row[name] for row in rows if math.isfinite(row.get(name, math.nan))])
        }
        holds = every(*(at_most(figure, 0) for figure in figures.values())) if bar and figures else None
        return Row(measure, figures, bar, holds)

    light = [
        row(
            "on the object: cosine of its tone change with Blended's",
            "tone_cosine",
            bar="more than 0.5",
            meets=lambda figure: more_than(figure, 0.5),
        ),
        row("on the object: fraction of Blended's tone change", "tone_along", "tone_square", statistic=ratio_of_sums),
        row(
            "shadow, gain: fraction of the data's shadow",
            "shadow_along",
            "shadow_square",
            bar="at least 0.6",
            meets=lambda figure: at_least(figure, 0.6),
            statistic=ratio_of_sums,
        ),
        row("the same in Blended", "blended_shadow_along", "blended_shadow_square", statistic=ratio_of_sums),
    ]
    rows = [
        worst("kept layers: differing bytes, at most", "bytes", "0"),
        row(
            "on the object: structure changed, mean of 255",
            "structure",
            bar="at most 1",
            meets=lambda figure: at_most(figure, MOST_STRUCTURE),
        ),
        row(
            "on the object: structure changed, 99th percentile of 255",
            "structure_p99",
            bar="at most 4",
            meets=lambda figure: at_most(figure, MOST_STRUCTURE_P99),
        ),
        worst("the same, worst picture", "structure_p99"),
        row("the same, beyond a smooth factor and offset", "redrawn_p99"),
        row(
            "on the object: tone changed, 99th percentile of 255",
            "tone_p99",
            bar="at most 40",
            meets=lambda figure: at_most(figure, MOST_TONE),
        ),
        *(light if group is VOCABULARY else ()),
        row(
            "away from object and shadow: fraction of pixels changed by more than 4 of 255",
            "elsewhere",
            bar="at most 0.01",
            meets=lambda figure: at_most(figure, MOST_ELSEWHERE),
        ),
        worst("the same, worst picture", "elsewhere"),
        row("pictures within all four limits of change", "unspoilt"),
        row(
            "Blended: IoU of the object with its alpha",
            "iou",
            bar=f"at least {group.least_iou}",
            meets=lambda figure: at_least(figure, group.least_iou),
        ),
        row("Blended: fraction of the object that is drawn", "drawn"),
        row("Blended: area drawn beside the object, as a fraction of it", "beyond"),
        row(
            "relit layer: soft IoU of its alpha with the artist's",
            "relit_iou",
            bar=f"at least {group.least_iou}",
            meets=lambda figure: at_least(figure, group.least_iou),
        ),
    ]
    return Section(group.key, group.title, tuple(group.uses), rows)


def as_lines(group: KeptSet, pictures: ByUse) -> list[str]:
    """Every picture's metrics as lines of JSON: set, use, item, the two prompts and the metrics."""
    return [
        json.dumps(
            {"set": group.key, "use": use, "item": one.item.name, "object": one.item.object, "scene": one.scene}
            | plain(one.metrics)
        )
        for use, found in pictures.items()
        for one in found
    ]


def _picture(study: Study, group: KeptSet, variant: Variant, item: Item, *, light_known: bool) -> KeptPicture:
    given, drawing = study.drawing(item, group.given), study.drawing(item, variant)
    scene = scene_of(item, variant)
    shown, alpha = Shown.of(drawing), alpha_of(drawing.foreground)
    metrics = _change_metrics(shown, alpha) | _outline_metrics(drawing, given if variant.use == "relit" else drawing)
    metrics |= _fidelity(given, drawing, variant.use)
    if group is VOCABULARY:
        metrics |= _light_metrics(shown, alpha, Truth.of(item, known=light_known, scene=scene))
    tiles = kept_tiles(shown.flat, drawing.blended, shown.stack, shown.shadow, shown.light)
    return KeptPicture(item, scene, metrics, tiles)


def _change_metrics(shown: Shown, alpha: Plane) -> Metrics:
    change = object_change(shown.stack, shown.flat, alpha)
    limited = {
        "structure": (change.structure, MOST_STRUCTURE),
        "structure_p99": (change.structure_p99, MOST_STRUCTURE_P99),
        "tone_p99": (change.tone_p99, MOST_TONE),
        "elsewhere": (changed_elsewhere(shown.stack, shown.flat, alpha), MOST_ELSEWHERE),
    }
    spoilt = any(value > limit for value, limit in limited.values())
    found = {name: value for name, (value, _) in limited.items()}
    return found | {"unspoilt": float(not spoilt), "redrawn_p99": change.redrawn_p99}


def _outline_metrics(drawing: Drawing, expected: Drawing) -> Metrics:
    """What Blended shows of the foreground of `expected`: of the artist's own, also if it is relit."""
    foreground = expected.foreground
    flat = pasted(drawing.background, foreground)
    outline = outline_in(drawing.blended, drawing.background, flat, alpha_of(foreground))
    return {"iou": outline.iou, "drawn": outline.drawn, "beyond": outline.beyond}


def _light_metrics(shown: Shown, alpha: Plane, truth: Truth) -> Metrics:
    """Tone and shadow of the stack, the tone against Blended's and the shadow against the data's."""
    drawing = shown.drawing
    blended = shadow_metrics(drawing.blended, drawing.background, alpha, truth)
    found = shadow_metrics(shown.stack, drawing.background, alpha, truth)
    return found | {f"blended_{name}": value for name, value in blended.items()} | _tone(shown, alpha)


def _fidelity(given: Drawing, drawing: Drawing, use: str) -> Metrics:
    """Whether kept layers came back byte for byte, and how far a relit one kept its outline."""
    if use == "relit":
        return {"relit_iou": soft_iou(alpha_of(drawing.foreground), alpha_of(given.foreground))}
    bytes_ = 0 if use == "kept" else differing_bytes(drawing.background, given.background)
    if use in ("kept", "harmonised"):
        bytes_ += differing_bytes(drawing.foreground, given.foreground)
    return {"bytes": float(bytes_)}


def _tone(shown: Shown, alpha: Plane) -> Metrics:
    """The tone that the stack gives the object, against Blended's; none if Blended leaves its tone alone."""
    wanted = object_shift(shown.drawing.blended, shown.flat, alpha)
    if not np.linalg.norm(wanted) > LEAST_TONE:
        return {}
    found = object_shift(shown.stack, shown.flat, alpha)
    return {
        "tone_cosine": cosine(found, wanted),
        "tone_along": float(found @ wanted),
        "tone_square": float(wanted @ wanted),
    }
