"""All metrics of one item, computed from its drawings. The table and the claims report their means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.evaluation import measures
from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.light import floats, light_of, shaded, tint_of
from layerfusion.engine.evaluation.measures import Colour, alpha_of, over_grey, pasted, signed_rgb
from layerfusion.engine.evaluation.regions import SOLID, core, undisturbed
from layerfusion.engine.evaluation.statistics import Estimate, estimate
from layerfusion.engine.evaluation.systems import Drawing, Maps
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.training.data.scenes import Light

Metrics = dict[str, float]
"""Name -> value; a metric that does not apply is missing or NaN."""

LEAST_TINT = 0.05
"""Scenes with nearly white light (|ln tint| below this) are left out of the measures of tone."""

LEAST_SHADOW = 0.02
"""Objects whose shadow in the data is weaker than this are left out of the measures of shadow."""


class Classifier(Protocol):
    """A classifier of objects and scenes. Its input is (N, H, W, 3), -1..1; its output is one name per image."""

    def name_objects(self, pictures: NDArray[np.float32]) -> list[str]: ...

    def name_scenes(self, pictures: NDArray[np.float32]) -> list[str]: ...


@dataclass(frozen=True)
class Truth:
    """The light that the model's training data would give an item.

    Attributes:
        light: the light; None if it is unknown.
        casts: whether the object casts a shadow on the ground.
    """

    light: Light | None
    casts: bool

    @staticmethod
    def of(item: Item, *, known: bool, scene: str = "") -> Truth:
        """The light of an item.

        Args:
            item: the item.
            known: whether the model was trained on the data that `engine.evaluation.light` describes.
            scene: the background's prompt if it is not the item's own.
        """
        return Truth(light_of(scene or item.scene) if known else None, not floats(item.thing))


def system_metrics(drawing: Drawing, alone: Drawing, truth: Truth) -> Metrics:
    """The metrics of one system on one item.

    Args:
        drawing: the system's drawing.
        alone: the same item drawn without coupling; its foreground is the object without the scene's light.
        truth: the data's light.
    """
    alpha, flat = alpha_of(drawing.foreground), pasted(drawing.background, drawing.foreground)
    clean = measures.clean_picture(drawing.blended, flat, alpha)
    everywhere = np.ones(alpha.shape, bool)
    return {
        "exact_error": float(measures.exact_error(drawing.blended, flat)),
        "gap": measures.difference(drawing.blended, flat, everywhere),
        "gap_clean": measures.difference(drawing.blended, clean, everywhere),
        "elsewhere_exact": measures.energy_elsewhere(drawing.blended, flat, alpha),
        "elsewhere_clean": measures.energy_elsewhere(clean, flat, alpha),
        "psnr": measures.psnr(drawing.blended, drawing.background, undisturbed(alpha)),
        "sharpness": measures.sharpness(drawing.background),
        "under_object": measures.difference(drawing.blended, flat, alpha > SOLID),
        "spill": measures.spill(drawing.blended, drawing.background, alpha),
        "presence": measures.presence(drawing.blended, drawing.background, alpha),
        "crispness": measures.crispness(alpha),
        "coverage": float(alpha.mean()),
        **tone_metrics(drawing.blended, alpha, alone, truth),
        **shadow_metrics(drawing.blended, drawing.background, alpha, truth),
    }


def tone_metrics(blended: Pixels, alpha: NDArray[np.floating], alone: Drawing, truth: Truth) -> Metrics:
    """The object's colour shift in the blended picture, relative to the object drawn alone, and the data's tint."""
    if truth.light is None:
        return {}
    wanted = np.log(tint_of(truth.light))
    if np.linalg.norm(wanted) < LEAST_TINT:
        return {}
    own = measures.colour_inside(alone.foreground, alpha_of(alone.foreground))
    shift = measures.tone_shift(measures.colour_inside(blended, alpha), own)
    return {
        "tone_cosine": measures.cosine(shift, wanted),
        "tone_along": float(shift @ wanted),
        "tone_data": float(wanted @ wanted),
        "tone_error": float(np.linalg.norm(shift - wanted)),
    }


def shadow_metrics(blended: Pixels, background: Pixels, alpha: NDArray[np.floating], truth: Truth) -> Metrics:
    """The darkening below the object, and that of the data's shadow on the same background under the same object."""
    if truth.light is None or not truth.casts:
        return {}
    found = measures.shadow(blended, background, alpha)
    wanted = measures.shadow(shaded(background, alpha, truth.light), background, alpha)
    if not wanted > LEAST_SHADOW:
        return {}
    return {
        "shadow": found,
        "shadow_data": wanted,
        "shadow_along": found * wanted,
        "shadow_square": wanted * wanted,
        "shadow_error": abs(found - wanted),
    }


def anchor_metrics(drawing: Drawing, other_seed: Drawing, round_trip: Drawing) -> Metrics:
    """The two anchors of layer consistency: the PSNR of two backgrounds that share only their prompt (floor), and of a
    background before and after a VAE round trip (ceiling)."""
    where = undisturbed(alpha_of(drawing.foreground))
    return {
        "floor": measures.psnr(drawing.background, other_seed.background, where),
        "ceiling": measures.psnr(drawing.background, round_trip.background, where),
    }


def mask_metrics(maps: Maps, foreground: Pixels, *, translucent: bool) -> Metrics:
    """The masks of the coupling against the resulting alpha: at 0.8 T, at 0.5 T, and as the mean over all steps."""
    alpha = measures.pooled(alpha_of(foreground), (maps.soft.shape[1], maps.soft.shape[2]))
    found: Metrics = {}
    for name in ("structure", "content", "soft"):
        aucs = [measures.auc(step, alpha) for step in getattr(maps, name)]
        leaks = [measures.leak(step, alpha) for step in getattr(maps, name)]
        found |= _over_steps(f"auc_{name}", aucs, maps) | _over_steps(f"leak_{name}", leaks, maps)
    for name in ("soft", "hard"):
        overlap = [measures.soft_iou(step, alpha) for step in getattr(maps, name)]
        found |= _over_steps(f"iou_{name}", overlap, maps)
    found |= _over_steps("outside_hard", [measures.outside(step, alpha) for step in maps.hard], maps)
    inside = [measures.correlation_inside(step, alpha) if translucent else math.nan for step in maps.soft]
    return found | _over_steps("translucency", inside, maps) | {"trust": float(maps.trust.mean())}


def _over_steps(name: str, values: Sequence[float], maps: Maps) -> Metrics:
    """A metric at two times and its mean over all steps."""
    mean = _mean(np.asarray(values, np.float64))
    return {f"{name}@0.8T": values[maps.at(0.8)], f"{name}@0.5T": values[maps.at(0.5)], name: mean}


def change_metrics(before: Drawing, after: Drawing) -> Metrics:
    """The change of a foreground between two drawings of one object: in colour inside both outlines, in outline, and in
    bytes."""
    a, b = alpha_of(before.foreground), alpha_of(after.foreground)
    return {
        "colour": measures.difference(before.foreground, after.foreground, core(a) & core(b)),
        "outline": measures.soft_iou(a, b),
        "bytes": float(measures.differing_bytes(before.foreground, after.foreground)),
    }


def tint_between(item: Item, *, known: bool) -> Colour | None:
    """ln of the tint that the data gives an object in the item's other scene, divided by that in its own, (3,).

    None if the light is unknown, or if the two scenes' light is nearly the same.
    """
    one, other = (Truth.of(item, known=known, scene=scene).light for scene in (item.scene, item.other_scene))
    if one is None or other is None:
        return None
    wanted = np.log(tint_of(other)) - np.log(tint_of(one))
    return wanted if np.linalg.norm(wanted) >= LEAST_TINT else None


def shift_metrics(before: Drawing, after: Drawing, wanted: Colour | None) -> Metrics:
    """The foreground's own colour shift between two drawings, projected on a tint difference.

    Args:
        before, after: two drawings of one object. Its colour is the mean inside both outlines, away from the edge.
        wanted: a difference of tints, ln per channel; None measures the shift's size alone.

    Returns:
        `shift_size`, its norm, ln; `shift_along`, its component along `wanted`, ln; `shift_cosine`; and `shift_product`
        and `shift_square`, whose sums give the fraction of the tint difference.
    """
    inside = core(alpha_of(before.foreground)) & core(alpha_of(after.foreground))
    if not inside.any():
        return {}
    colour, changed = (one.foreground[..., :3][inside].mean(axis=0) / 255.0 for one in (before, after))
    shift = measures.tone_shift(changed, colour)
    found = {"shift_size": float(np.linalg.norm(shift))}
    if wanted is None:
        return found
    return found | {
        "shift_along": float(shift @ wanted / np.linalg.norm(wanted)),
        "shift_cosine": measures.cosine(shift, wanted),
        "shift_product": float(shift @ wanted),
        "shift_square": float(wanted @ wanted),
    }


def residue_metrics(pairs: Sequence[tuple[Pixels, Pixels]], others: int = 8) -> tuple[list[float], Estimate]:
    """The traces of each object in its background, in standard deviations of what chance gives.

    With r = `measures.residue`, chance is r(F_j, B_i): the correlation of a background i with the foregrounds of the
    `others` items j that follow i.

    Args:
        pairs: (foreground, background) of every item, by one system.
        others: number of other items per item.

    Returns:
        One value per item, (r(F_i, B_i) - mean_j r(F_j, B_i)) / SD of all r(F_j, B_i); and the estimate of their mean.
    """
    count = len(pairs)
    own = np.array([measures.residue(foreground, background) for foreground, background in pairs])
    chance = np.full((count, min(others, count - 1)), math.nan)
    for i, (_, background) in enumerate(pairs):
        for j in range(chance.shape[1]):
            chance[i, j] = measures.residue(pairs[(i + 1 + j) % count][0], background)
    spread = float(np.nanstd(chance)) if np.isfinite(chance).sum() > 1 else math.nan
    if not spread > 0:
        return [math.nan] * count, estimate([])
    values = [(r - _mean(row)) / spread for r, row in zip(own, chance, strict=True)]
    return values, estimate(values)


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan


def classification_metrics(
    items: Sequence[Item], drawings: Sequence[Drawing], classifier: Classifier | None
) -> list[Metrics]:
    """For each item, whether the classifier names foreground, background and the object in Blended as the prompts do: 1
    or 0. Empty for every item if there is no classifier."""
    if classifier is None or not items:
        return [{} for _ in items]
    objects = classifier.name_objects(np.stack([over_grey(one.foreground) for one in drawings]))
    whole = classifier.name_objects(np.stack([signed_rgb(one.blended) for one in drawings]))
    scenes = classifier.name_scenes(np.stack([signed_rgb(one.background) for one in drawings]))
    return [
        {
            "object_named": float(objects[i] == item.thing),
            "scene_named": float(scenes[i] == canonical(item.scene)),
            "blended_named": float(whole[i] == item.thing),
        }
        for i, item in enumerate(items)
    ]


def canonical(scene: str) -> str:
    """The classifier's name of a scene; captions with the same meaning share one name."""
    from layerfusion.engine.training.classifier import scene_of

    return scene_of(scene)


def column(rows: Sequence[Mapping[str, float]], name: str) -> list[float]:
    """One metric of all items; NaN for an item that does not have it."""
    return [row.get(name, math.nan) for row in rows]


def plain(metrics: Metrics) -> dict[str, float | None]:
    """Round to six digits and replace NaN, which JSON does not have, by None."""
    return {name: float(f"{value:.6g}") if value == value else None for name, value in metrics.items()}
