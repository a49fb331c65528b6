"""The figures of the embedded model's card: classification of its drawings, alpha, masks, and time.

Used by `layerfusion train measure`. Objects are paired with scenes with which training never shows them, and some have
colours that training never shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from layerfusion.engine.evaluation.alpha_measures import aligned, border_mean, stray, veiled
from layerfusion.engine.evaluation.held_out_pairs import Drawn, draw, held_out_items
from layerfusion.engine.evaluation.measures import auc, over_grey, pooled, signed_rgb, soft_iou
from layerfusion.engine.evaluation.prices import seconds
from layerfusion.engine.evaluation.redrawing import kept_when_redrawn
from layerfusion.engine.evaluation.see_through import seen_through
from layerfusion.engine.evaluation.sharpness import sharpness
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.runtime.loading import ModelBundle, load_model
from layerfusion.engine.training.classifier import ClassifierNetwork, scene_of
from layerfusion.engine.training.data.dataset import Examples
from layerfusion.engine.training.data.sprites import SpriteLibrary
from layerfusion.engine.training.data.vocabulary import TRANSLUCENT, with_article
from layerfusion.engine.training.latents import pictures_of
from layerfusion.engine.training.prediction import sample_prompts
from layerfusion.engine.training.vae import psnr, round_trip


def measure(
    spec: ModelSpec,
    classifier: ClassifierNetwork,
    test: Examples,
    sprites: SpriteLibrary,
    *,
    count: int,
    seed: int = 5000,
) -> tuple[dict[str, Any], Image.Image]:
    """Measure every figure of the model card.

    Args:
        spec: the model.
        classifier: the classifier of objects and scenes.
        test: held-out examples, for the VAE and the classifier's ceilings.
        sprites: the training sprites, whose alpha is the truth.
        count: number of pairs to draw.
        seed: the first pair's seed; the following pairs have the following seeds.

    Returns:
        The figures by name, and a contact sheet of the drawings.
    """
    items = held_out_items(count, seed, sprites.vocabulary)
    drawn = list(draw(spec, items))
    quickly = [] if spec.few_step_adapter is None else list(draw(spec, items, "fast"))
    bundle = load_model(spec)
    figures: dict[str, Any] = {"pairs": count, "seed": seed}
    with torch.inference_mode():
        figures |= _vae(bundle, test)
        figures |= _ceilings(bundle, classifier, test)
        shown = set(sprites.vocabulary.names(held_out=False))
        figures |= _named(classifier, drawn, shown)
        if quickly:
            figures |= {f"few_steps_{name}": value for name, value in _named(classifier, quickly, shown).items()}
            clear = _alpha(quickly, sprites) | seen_through(spec, sprites.vocabulary, seed, "fast")
            figures |= {f"few_steps_{name}": value for name, value in clear.items()}
        figures |= _alpha(drawn, sprites) | seen_through(spec, sprites.vocabulary, seed)
        figures |= _masks(drawn)
        figures |= _deltas(bundle, sprites, seed)
        figures |= kept_when_redrawn(bundle, sprites.vocabulary, count=min(48, count), seed=seed)
        figures |= seconds(spec)
        figures |= sharpness(spec, [one.blended for one in drawn], test)
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()}, _sheet(
        drawn
    )


def _vae(bundle: ModelBundle, test: Examples, count: int = 256) -> dict[str, float]:
    rows = np.arange(min(count, len(test)))
    found = {}
    for kind in ("composite", "background", "foreground"):
        pictures = pictures_of(test, kind, rows)
        found[f"vae_psnr_{kind}"] = psnr(round_trip(bundle.vae, pictures), pictures)
    return found


def _ceilings(bundle: ModelBundle, classifier: ClassifierNetwork, test: Examples) -> dict[str, float]:
    """The classifier's accuracy on images that it was not trained on, and on the same after a VAE round trip."""
    rows = np.arange(min(400, len(test)))
    things = [test.facts[row]["names"][0] for row in rows]
    scenes = [scene_of(test.facts[row]["captions"][1]) for row in rows]
    found = {}
    for suffix, through in (("sprites", False), ("round_trips", True)):

        def seen(kind: str, through: bool = through) -> NDArray[np.floating]:
            pictures = pictures_of(test, kind, rows)
            return round_trip(bundle.vae, pictures) if through else pictures

        found[f"ceiling_foreground_{suffix}"] = _share(classifier.name_objects(seen("foreground")), things)
        found[f"ceiling_composite_{suffix}"] = _share(classifier.name_objects(seen("composite")), things)
        found[f"ceiling_scene_{suffix}"] = _share(classifier.name_scenes(seen("background")), scenes)
    return found


def _named(classifier: ClassifierNetwork, drawn: list[Drawn], shown: set[str]) -> dict[str, Any]:
    things = [one.item.name for one in drawn]
    called = classifier.name_objects(np.stack([over_grey(one.foreground) for one in drawn]))
    placed = classifier.name_scenes(np.stack([signed_rgb(one.background) for one in drawn]))
    whole = classifier.name_objects(np.stack([signed_rgb(one.blended) for one in drawn]))
    wanted = [scene_of(one.item.scene) for one in drawn]
    unseen = [thing not in shown for thing in things]
    hues = [a == b for a, b, new in zip(called, things, unseen, strict=True) if new]
    return {
        "foreground_named": _share(called, things),
        "scene_named": _share(placed, wanted),
        "blended_object_named": _share(whole, things),
        "held_out_colours_named": float(np.mean(hues)) if hues else float("nan"),
        "foregrounds_mistaken": _mistakes(things, called),
        "scenes_mistaken": _mistakes(wanted, placed),
        "blended_mistaken": _mistakes(things, whole),
    }


def _alpha(drawn: list[Drawn], sprites: SpriteLibrary) -> dict[str, float]:
    planes = [one.foreground[..., 3] / 255.0 for one in drawn]
    coverage = [float(plane.mean()) for plane in planes]
    solid = [
        (plane, aligned(_true_alpha(sprites, one.item.name), plane))
        for one, plane in zip(drawn, planes, strict=True)
        if one.item.name not in TRANSLUCENT
    ]
    return {
        "stray_alpha": float(np.mean([stray(plane) for plane in planes])),
        "stray_alpha_worst": float(np.max([stray(plane) for plane in planes])),
        "coverage_within_5_70": float(np.mean([0.05 <= share <= 0.7 for share in coverage])),
        "veiled": float(np.mean([veiled(plane) for plane in planes])),
        "border_alpha": float(np.mean([border_mean(plane) for plane in planes])),
        "alpha_iou_with_sprite": float(np.mean([soft_iou(a, b) if b is not None else 0.0 for a, b in solid])),
    }


def _masks(drawn: list[Drawn]) -> dict[str, float]:
    run: dict[str, list[float]] = {"structure": [], "content": [], "soft": []}
    late, overlap, late_overlap = [], [], []
    for one in drawn:
        alpha = one.foreground[..., 3] / 255.0
        figure = one.masks.figure_step()
        for step in one.masks.steps:
            truth = pooled(alpha, step.soft.shape)  # type: ignore[arg-type]
            for key in run:
                run[key].append(auc(getattr(step, key), truth))
            overlap.append(soft_iou(step.soft, truth))
            if step is figure:
                late.append(auc(step.soft, truth))
                late_overlap.append(overlap[-1])
    return {
        **{f"mask_auc_{key}": float(np.nanmean(values)) for key, values in run.items()},
        "mask_auc_at_0.8T": float(np.nanmean(late)),
        "mask_soft_iou": float(np.mean(overlap)),
        "mask_soft_iou_at_0.8T": float(np.mean(late_overlap)),
    }


def _deltas(bundle: ModelBundle, sprites: SpriteLibrary, seed: int, count: int = 48) -> dict[str, float]:
    """Foregrounds from the same noise with and without the foreground deltas, without coupling."""
    solid = [name for name in sprites.vocabulary.names(held_out=False) if name not in TRANSLUCENT]
    chosen = [solid[index] for index in np.linspace(0, len(solid) - 1, count).astype(int)]
    with _deltas_on_all_rows(bundle):
        on = _foregrounds(bundle, chosen, seed)
    off = _foregrounds(bundle, chosen, seed)
    border_on, border_off = ([border_mean(alpha) for _, alpha in part] for part in (on, off))
    chroma_on, chroma_off = ([border_mean(np.abs(rgb).max(axis=-1)) for rgb, _ in part] for part in (on, off))
    matters = [a > 0.3 or c >= 5 * d for a, c, d in zip(border_off, chroma_off, chroma_on, strict=True)]

    # The true alpha is placed by the drawing with deltas, because without them alpha covers the whole frame.
    truths = [aligned(_true_alpha(sprites, name), alpha) for name, (_, alpha) in zip(chosen, on, strict=True)]

    def overlap(part: list[tuple[NDArray[np.floating], NDArray[np.floating]]]) -> float:
        pairs = zip(part, truths, strict=True)
        return float(np.mean([soft_iou(alpha, truth) if truth is not None else 0.0 for (_, alpha), truth in pairs]))

    return {
        "deltas_on_border_alpha": float(np.mean(border_on)),
        "deltas_on_border_alpha_below_0.02": float(np.mean([value < 0.02 for value in border_on])),
        "deltas_off_border_alpha": float(np.mean(border_off)),
        "deltas_matter": float(np.mean(matters)),
        "deltas_on_alpha_iou": overlap(on),
        "deltas_off_alpha_iou": overlap(off),
    }


@contextmanager
def _deltas_on_all_rows(bundle: ModelBundle) -> Iterator[None]:
    """Add the foreground deltas to every row of the UNet within the block."""
    named = dict(bundle.unet.named_modules())
    handles = []
    for module, projections in bundle.deltas.items():
        for name, delta in projections.items():
            handles.append(
                named[f"{module}.{name}"].register_forward_hook(lambda _m, i, out, delta=delta: out + delta(i[0]))
            )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _foregrounds(
    bundle: ModelBundle, chosen: list[str], seed: int
) -> list[tuple[NDArray[np.floating], NDArray[np.floating]]]:
    """Draw with the foreground stream alone; the opaque image (H, W, 3), -1..1, and alpha (H, W), 0-1, per object."""
    latents = sample_prompts(bundle, [with_article(name) for name in chosen], seed)
    scale = float(bundle.vae.config["scaling_factor"])
    found = []
    for one in latents.split(8):
        rgb = cast(Tensor, bundle.vae.decode(one / scale).sample).clamp(-1, 1)  # type: ignore[union-attr]
        _, logits = bundle.decoder(rgb, one)
        pictures = rgb.permute(0, 2, 3, 1).numpy()
        found += list(zip(pictures, logits.sigmoid()[:, 0].numpy(), strict=True))
    return found


def _true_alpha(sprites: SpriteLibrary, name: str) -> NDArray[np.floating]:
    return np.asarray(sprites.get(name).getchannel("A"), np.float32) / 255


def _share(found: list[str], wanted: list[str]) -> float:
    return float(np.mean([a == b for a, b in zip(found, wanted, strict=True)]))


def _mistakes(wanted: list[str], found: list[str]) -> list[str]:
    return [f"{a} classified as {b}" for a, b in zip(wanted, found, strict=True) if a != b]


def _sheet(drawn: list[Drawn], columns: int = 12, rows: int = 4) -> Image.Image:
    """A contact sheet: one column per pair, with the foreground over a chequerboard, the background and the blended
    image."""
    from layerfusion.engine.training.contact_sheets import contact_sheet, over_checks

    shown: list[NDArray[np.floating]] = []
    for start in range(0, min(len(drawn), columns * rows), columns):
        part = drawn[start : start + columns]
        shown.append(over_checks(np.stack([one.foreground for one in part]).astype(np.float32) / 255))
        shown.append(np.stack([signed_rgb(one.background) for one in part]))
        shown.append(np.stack([signed_rgb(one.blended) for one in part]))
    return contact_sheet(shown)
