"""Stage `latents`: every picture through the VAE once, so that the UNet's training need not wait for it.

The file holds, kind by kind, latents float16 (N, channels, h, w) in the UNet's scale, and beside it a caption a row;
for composites also how much of each latent is ground in shadow, float16 (N, h, w), and for pictures of objects which
latents the objects take up, int64 (N, 4).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.training.data.dataset import Examples
from layerfusion.engine.training.geometry import pixels_a_latent
from layerfusion.engine.training.precision import lay_out, mixed


@dataclass(frozen=True)
class Kind:
    """What is encoded of a set.

    Attributes:
        set: its name.
        field: foreground (over mid-grey), studio, background or composite.
        share: how much of the set.
    """

    set: str
    field: str
    share: float


KINDS = {
    "composite": Kind("train", "composite", 0.9),
    "studio": Kind("train", "studio", 0.5),
    "foreground": Kind("train", "foreground", 0.4),
    "background": Kind("train", "background", 0.2),
    "small": Kind("small", "composite", 1.0),
    "nameless": Kind("nameless", "composite", 1.0),
    "nameless_foreground": Kind("nameless", "foreground", 0.6),
    "wide": Kind("wide", "composite", 1.0),
    "wide_studio": Kind("wide", "studio", 0.6),
    "wide_background": Kind("wide", "background", 0.4),
    "tall": Kind("tall", "composite", 1.0),
    "tall_studio": Kind("tall", "studio", 0.6),
    "tall_background": Kind("tall", "background", 0.4),
}
"""Backgrounds repeat themselves soonest. Small objects are wanted in composites only: an object alone should fill its
picture. What has no name is never asked for, but given: in pictures that are noised and drawn again, and as layers."""

FOREGROUNDS = ("foreground", "nameless_foreground")
"""The kinds that are transparent."""

SHADED = ("composite", "small", "nameless", "wide", "tall")
"""The kinds whose ground may lie in shadow."""

WITH_OBJECTS = (*SHADED, "studio", "wide_studio", "tall_studio")
"""The kinds with objects in them, and something around."""

_CAPTION = {"foreground": 0, "studio": 0, "background": 1, "composite": 2}


@dataclass(frozen=True)
class Latents:
    """Encoded pictures.

    Attributes:
        latents: kind -> (N, channels, h, w).
        captions: kind -> N captions.
        rows: kind -> (N,) int64, which example of its set each is.
        shade: kind -> (N, h, w), 0-1, how dark the shadow on what can be seen of the ground is; composites only.
        extent: kind -> (N, 4) int64, first row and column, last row and column (exclusive) of the latents that objects
            take up; of `WITH_OBJECTS`.
    """

    latents: dict[str, Tensor]
    captions: dict[str, list[str]]
    rows: dict[str, Tensor]
    shade: dict[str, Tensor]
    extent: dict[str, Tensor]


@torch.inference_mode()
def encode_all(vae: AutoencoderKL, sets: Mapping[str, Examples], file: Path, kinds: Mapping[str, Kind] = KINDS) -> None:
    """Encode what the training learns from.

    Args:
        vae: trained; its configuration says how to scale.
        sets: those of `kinds`.
        file: to write.
        kinds: what of them.
    """
    lay_out(cast(nn.Module, vae))
    tensors: dict[str, Tensor] = {}
    captions: dict[str, list[str]] = {}
    for name, kind in kinds.items():
        examples = sets[kind.set]
        rows = np.linspace(0, len(examples) - 1, int(len(examples) * kind.share)).astype(np.int64)
        tensors[name] = _encoded(vae, examples, kind.field, rows)
        tensors[f"{name}.rows"] = torch.from_numpy(rows)
        captions[name] = [examples.facts[int(row)]["captions"][_CAPTION[kind.field]] for row in rows]
        if name in SHADED:
            tensors[f"{name}.shade"] = _shade(examples, rows, pixels_a_latent(vae))
        if name in WITH_OBJECTS:
            tensors[f"{name}.extent"] = extents(examples, rows, pixels_a_latent(vae))
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(file), metadata={"captions": json.dumps(captions)})


def _encoded(vae: AutoencoderKL, data: Examples, field: str, rows: NDArray[np.integer]) -> Tensor:
    """float16 (n, channels, h, w)."""
    parts = []
    for batch in tqdm(np.array_split(rows, -(-len(rows) // 8)), desc=field, mininterval=10):
        pictures = torch.from_numpy(pictures_of(data, field, batch)).permute(0, 3, 1, 2).contiguous()
        with mixed(vae.device):
            found = vae.encode(pictures.to(vae.device)).latent_dist.mean  # type: ignore[union-attr]
        parts.append(found.float().cpu() * float(vae.config["scaling_factor"]))
    return torch.cat(parts).half().contiguous()


def _shade(data: Examples, rows: NDArray[np.integer], factor: int) -> Tensor:
    """float16 (n, h, w): the mean shadow of each latent's square, what the object covers counting as none."""
    parts = []
    for batch in np.array_split(rows, -(-len(rows) // 256)):
        bare = 1 - data.foreground[batch][..., 3].astype(np.float32) / 255
        shade = torch.from_numpy(data.shadow[batch].astype(np.float32) / 255 * bare)
        parts.append(F.avg_pool2d(shade, factor))
    return torch.cat(parts).half().contiguous()


def extents(data: Examples, rows: NDArray[np.integer], factor: int) -> Tensor:
    """int64 (n, 4): which latents the objects of each example take up, as `Latents.extent` has it."""
    found = torch.zeros((len(rows), 4), dtype=torch.int64)
    for place, row in enumerate(rows):
        seen = data.foreground[row, :, :, 3] > 12
        for axis in (0, 1):
            places = np.flatnonzero(seen.any(axis=1 - axis))
            if len(places):
                found[place, axis], found[place, 2 + axis] = int(places[0]) // factor, int(places[-1]) // factor + 1
    return found


def pictures_of(data: Examples, field: str, rows: NDArray[np.integer]) -> NDArray[np.floating]:
    """(n, H, W, 3), -1..1."""
    if field == "foreground":
        return data.on_grey(rows)
    return getattr(data, field)[rows].astype(np.float32) / 127.5 - 1


def load_latents(file: Path) -> Latents:
    """Read what `encode_all` wrote.

    Raises:
        InvalidRequest: it is not there, or an earlier version wrote it, without what is asked of it today.
    """
    if not file.exists():
        raise InvalidRequest(f"{file} is missing.", "Run `layerfusion train latents` first.")
    with safe_open(str(file), framework="pt") as opened:
        names = set(opened.keys())
        needed = {*KINDS, *(f"{kind}.shade" for kind in SHADED), *(f"{kind}.extent" for kind in WITH_OBJECTS)}
        if not needed <= names:
            raise InvalidRequest(f"{file} is of an earlier version.", "Run `layerfusion train latents` again.")
        captions = json.loads(opened.metadata()["captions"])
        latents = {kind: opened.get_tensor(kind).float() for kind in captions}
        rows = {kind: opened.get_tensor(f"{kind}.rows") for kind in captions}
        shade = {kind: opened.get_tensor(f"{kind}.shade").float() for kind in SHADED}
        extent = {kind: opened.get_tensor(f"{kind}.extent") for kind in WITH_OBJECTS}
    return Latents(latents, captions, rows, shade, extent)
