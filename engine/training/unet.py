"""Stage `unet`: the UNet and both text encoders, jointly, on cached latents."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTokenizer

from layerfusion.engine.training.contact_sheets import contact_sheet
from layerfusion.engine.training.latents import Latents
from layerfusion.engine.training.loop import Stage
from layerfusion.engine.training.optimisers import optimisers_for
from layerfusion.engine.training.outer_level import is_outer
from layerfusion.engine.training.precision import mixed, prepare
from layerfusion.engine.training.prediction import NOISE_SCHEDULE, NoiseSchedule, encode_text, predict, sample
from layerfusion.engine.training.wordpieces import token_ids

BATCH = 64
SHARES = {"composite": 0.32, "small": 0.13, "nameless": 0.11, "studio": 0.34, "background": 0.1}
"""What a batch is made of; `small` are composites whose object is small, `nameless` those of things without a name,
which must be kept as they are when a picture is noised by half and drawn again. Objects alone stand before studio
backdrops of any colour: transparency is not the base model's business, it is what the foreground deltas add."""

SHADOWS_COUNT = 8.0
"""What is added to the error's weight of 1 where the ground is in full shadow: shadows are faint and cover little of a
picture, and the optimum stays what it is."""

CROPPED = 0.25
"""Share of batches that are cut to a portrait or landscape, about objects that stay whole: down to half a side."""

NEW = 3
"""How often a picture of a name comes that the base of a new edition does not know, compared with the others. What it
knows is soon drawn at the new size; what is new must be learnt with a lower rate (see `inner_rate`)."""

UNPROMPTED = 0.1
"""Share of captions left out, for classifier-free guidance."""

SHEET = (
    ("a red apple", "a dog", "a penguin", "a blue car", "a castle", "a guitar", "a glass of water", "a green bottle"),
    (
        "a beach at sunset",
        "snowy mountains at sunrise",
        "a city street at night",
        "a green forest in the fog",
        "a flower field on a sunny day",
        "the moon",
        "a wooden table",
        "a room with a blue wall",
    ),
    (
        "a red apple on a wooden table",
        "a dog in a green meadow on a sunny day",
        "a penguin in a snowy field at night",
        "a blue car on a city street at sunset",
        "a castle in front of snowy mountains at sunrise",
        "a teddy bear in a room with a pink wall",
        "a green bottle on a beach at sunset",
        "a rocket in outer space with stars",
    ),
)


class UNetStage(Stage):
    """Denoising from words.

    Args:
        unet, encoders, tokenizer: what to go on from.
        latents: the encoded training set.
        vae: for the sheets.
        side: of the pictures, in pixels.
        lr: of AdamW, see `optimisers_for`.
        inner_rate: the share of it that everything but the outermost level gets: that of a UNet that has just got
            another one, and is to keep what it knows.
        new: names that the base does not know; their pictures come more often, see `NEW`.
        schedule: the noise, as a diffusers scheduler's configuration.
    """

    name = "unet"

    def __init__(
        self,
        unet: UNet2DConditionModel,
        encoders: tuple[nn.Module, nn.Module],
        tokenizer: CLIPTokenizer,
        latents: Latents,
        vae: AutoencoderKL,
        *,
        side: int,
        lr: float = 1e-3,
        inner_rate: float = 1.0,
        new: Collection[str] = (),
        schedule: Mapping[str, Any] = NOISE_SCHEDULE,
    ) -> None:
        self.network = nn.ModuleDict({"unet": unet, "text_encoder": encoders[0], "text_encoder_2": encoders[1]})
        self.network.requires_grad_(True)
        self.device = unet.device
        prepare(unet)
        self.optimisers = optimisers_for(
            self.network, lr=lr, share=lambda name: 1.0 if is_outer(name, unet) else inner_rate
        )
        self._schedule = schedule
        self._unet, self._encoders, self._tokenizer, self._vae = unet, encoders, tokenizer, vae
        self._latents, self._shade = latents.latents, latents.shade
        self._tokens = {kind: token_ids(tokenizer, captions) for kind, captions in latents.captions.items()}
        self._empty = token_ids(tokenizer, [""])
        self._noise, self._side = NoiseSchedule(schedule), side
        self._extent = latents.extent
        self._forms = _forms(unet.config["sample_size"], 2 ** (len(unet.config["block_out_channels"]) - 1))
        self._fitting: dict[tuple[str, tuple[int, int]], Tensor] = {}
        for form in self._forms:
            self._fitting |= _fitting(latents, form)
        self._often = {kind: _often(captions, new) for kind, captions in latents.captions.items()}

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        clean, tokens, weights = [], [], []
        form = self._forms[int(rng.integers(len(self._forms)))] if rng.random() < CROPPED and self._forms else None
        for kind, share in SHARES.items():
            rows, windows = self._chosen(rng, kind, round(BATCH * share), form)
            if not len(rows):
                continue
            clean.append(_cut(self._latents[kind][rows], windows))
            tokens.append(self._tokens[kind][rows])
            plain = torch.ones_like(clean[-1][:, :1])
            if kind in self._shade:
                plain = plain + SHADOWS_COUNT * _cut(self._shade[kind][rows].unsqueeze(1), windows)
            weights.append(plain)
        order = torch.from_numpy(rng.permutation(sum(len(part) for part in clean)))
        batch, words = torch.cat(clean)[order].to(self.device), torch.cat(tokens)[order]
        weight = torch.cat(weights)[order].to(self.device)
        words[torch.from_numpy(rng.random(len(words)) < UNPROMPTED)] = self._empty
        hidden, pooled = encode_text(self._encoders, words.to(self.device))
        timesteps, noised, v = self._noise.noised(batch, generator)
        with mixed(self.device):
            found = predict(self._unet, noised, timesteps, hidden, pooled, side=self._side)
        errors = (found.float() - v).square() * weight / weight.mean()
        return errors.mean(), _by_noise(errors.detach(), timesteps), len(batch)

    def _chosen(
        self, rng: np.random.Generator, kind: str, count: int, form: tuple[int, int] | None
    ) -> tuple[Tensor, list[tuple[slice, slice]] | None]:
        """Rows of a kind, and the window of each picture; None for whole pictures.

        Args:
            form: rows and columns of the windows. Pictures whose objects they cannot hold are left out.
        """
        if form is None:
            often = self._often[kind]
            return often[torch.from_numpy(rng.integers(0, len(often), count))], None
        fitting = self._fitting[kind, form]
        rows = fitting[torch.from_numpy(rng.integers(0, len(fitting), count if len(fitting) else 0))]
        windows = []
        for row in rows.tolist():
            extent = self._extent[kind][row].tolist() if kind in self._extent else None
            places = []
            for axis, wide in enumerate(form):
                whole = self._latents[kind].shape[2 + axis]
                first, last = (extent[axis], extent[2 + axis]) if extent else (whole, 0)
                start = int(rng.integers(max(0, last - wide), min(first, whole - wide) + 1))
                places.append(slice(start, start + wide))
            windows.append((places[0], places[1]))
        return rows, windows

    def sheet(self) -> Image.Image:
        """Objects, scenes, and objects in scenes."""
        scale = float(self._vae.config["scaling_factor"])
        empty = encode_text(self._encoders, self._empty.to(self.device))
        rows = []
        for prompts in SHEET:
            hidden, pooled = encode_text(self._encoders, token_ids(self._tokenizer, list(prompts)).to(self.device))
            latents = sample(self._unet, hidden, pooled, empty, side=self._side, schedule=self._schedule)
            rgb = cast(Tensor, self._vae.decode(latents / scale).sample)  # type: ignore[union-attr]
            rows.append(rgb.clamp(-1, 1).permute(0, 2, 3, 1).cpu().numpy())
        return contact_sheet(rows)


def _by_noise(errors: Tensor, timesteps: Tensor) -> dict[str, float]:
    """The mean error of what has little, middling and much noise: details, shapes and layouts are learnt there."""
    each, third = errors.mean(dim=(1, 2, 3)), (timesteps * 3 // 1000).clamp(max=2)
    return {name: float(each[third == place].mean()) for place, name in enumerate(("little", "middling", "much"))}


def _often(captions: list[str], new: Collection[str]) -> Tensor:
    """Every row of a kind, those with a new name `NEW` times."""
    named = [any(name in caption for name in new) for caption in captions]
    return torch.repeat_interleave(torch.where(torch.tensor(named), NEW, 1))


def _forms(grid: int, multiple: int) -> list[tuple[int, int]]:
    """The portraits and landscapes that a picture of `grid` latents a side can be cut to, rows and columns."""
    short = [side for side in range(multiple, grid, multiple) if 2 * side >= grid]
    return [form for side in short for form in ((side, grid), (grid, side))]


def _fitting(latents: Latents, form: tuple[int, int]) -> dict[tuple[str, tuple[int, int]], Tensor]:
    """The pictures of each kind whose objects a window holds, with a form."""
    found = {}
    for kind in SHARES:
        fits = torch.ones(len(latents.latents[kind]), dtype=torch.bool)
        if kind in latents.extent:
            extent = latents.extent[kind]
            fits = (extent[:, 2:] - extent[:, :2] <= torch.tensor(form)).all(dim=1)
        found[kind, form] = fits.nonzero().flatten()
    return found


def _cut(pictures: Tensor, windows: list[tuple[slice, slice]] | None) -> Tensor:
    """(N, C, h, w) -> (N, C, rows, columns), a window each."""
    if windows is None:
        return pictures
    cut = [picture[:, rows, columns] for picture, (rows, columns) in zip(pictures, windows, strict=True)]
    return torch.stack(cut)
