"""Pictures that are noised by half and drawn again: whether a model keeps a thing that no caption describes.

A thing without a name is pasted on a drawn scene, in its own light and without a shadow, as an artist pastes one. The
model gets the picture and the caption “an object on …”. It is to add tone and shadow, and to leave thing and scene what
they are. No coupling of streams and no kept pixels help it: this is what the base model alone has learnt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from layerfusion.engine.backbones.sdxl import SDXLBackbone
from layerfusion.engine.evaluation.kept_measures import outline_in
from layerfusion.engine.evaluation.measures import psnr
from layerfusion.engine.evaluation.regions import grown, shadow_place
from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.training.data import arbitrary
from layerfusion.engine.training.data.scenes import draw_scene
from layerfusion.engine.training.data.triplets import preposition
from layerfusion.engine.training.data.vocabulary import OUTDOOR, TIMES, Vocabulary
from layerfusion.engine.training.prediction import sample

STRENGTH = 0.45
"""How much noise is added, as a fraction of the steps that are drawn again."""

_BATCH = 6


@dataclass(frozen=True)
class Pasted:
    """A thing before a scene.

    Attributes:
        background, flat: uint8 (side, side, 3), without and with the thing.
        alpha: (side, side), 0-1, of the thing.
        caption: what the model is told.
    """

    background: NDArray[np.uint8]
    flat: NDArray[np.uint8]
    alpha: NDArray[np.floating]
    caption: str


def pasted(rng: np.random.Generator, vocabulary: Vocabulary, side: int) -> Pasted:
    """Paste a thing of any outline and material in the lower middle of a scene."""
    kind = str(rng.choice(vocabulary.kinds))
    scene = draw_scene(rng, kind, str(rng.choice(list(TIMES))) if kind in OUTDOOR else "")
    background = Image.fromarray(scene.pixels.astype(np.uint8)).resize((side, side), Image.Resampling.LANCZOS)
    thing = arbitrary.draw(rng)
    scale = side * rng.uniform(0.4, 0.6) / max(thing.size)
    thing = thing.resize((max(1, int(thing.width * scale)), max(1, int(thing.height * scale))))
    layer = Image.new("RGBA", (side, side))
    left = int(rng.uniform(0.1, 0.9) * (side - thing.width))
    layer.paste(thing, (left, int(0.94 * side) - thing.height))
    flat = Image.alpha_composite(background.convert("RGBA"), layer).convert("RGB")
    alpha = np.asarray(layer.getchannel("A"), np.float32) / 255
    caption = f"an object {preposition(scene.caption)} {scene.caption}"
    return Pasted(np.asarray(background), np.asarray(flat), alpha, caption)


@torch.inference_mode()
def redrawn(bundle: ModelBundle, items: list[Pasted], seed: int) -> NDArray[np.uint8]:
    """Noise pictures by `STRENGTH` and draw them again, uint8 (n, side, side, 3)."""
    backbone, scale = SDXLBackbone(bundle), float(bundle.vae.config["scaling_factor"])
    empty, found = backbone.encode([""]), []
    for first in range(0, len(items), _BATCH):
        part = items[first : first + _BATCH]
        pictures = torch.from_numpy(np.stack([one.flat for one in part])).permute(0, 3, 1, 2).float() / 127.5 - 1
        given = bundle.vae.encode(pictures.to(bundle.device)).latent_dist.mean * scale  # type: ignore[union-attr]
        words = backbone.encode([one.caption for one in part])
        latents = sample(
            bundle.unet,
            words.embeddings,
            words.pooled,
            (empty.embeddings, empty.pooled),
            side=bundle.spec.native_size,
            seed=seed + first,
            given=given,
            strength=STRENGTH,
            schedule=bundle.scheduler_config,
        )
        decoded = bundle.vae.decode(latents / scale).sample.clamp(-1, 1)  # type: ignore[union-attr]
        found.append(((decoded + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(found)


def kept_when_redrawn(bundle: ModelBundle, vocabulary: Vocabulary, *, count: int, seed: int) -> dict[str, float]:
    """Mean IoU of the things with what is drawn of them, and mean PSNR of the scene away from thing and shadow, dB."""
    rng = np.random.default_rng(seed)
    items = [pasted(rng, vocabulary, bundle.spec.native_size) for _ in range(count)]
    overlaps, distances = [], []
    for one, picture in zip(items, redrawn(bundle, items, seed), strict=True):
        overlaps.append(outline_in(picture, one.background, one.flat, one.alpha).iou)
        away = ~grown(one.alpha > 0.05, 0.02) & ~shadow_place(one.alpha)
        distances.append(psnr(picture, one.background, away))
    return {"redrawn_object_iou": float(np.nanmean(overlaps)), "redrawn_backdrop_psnr": float(np.mean(distances))}
