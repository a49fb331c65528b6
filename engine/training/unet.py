"""Stage `unet`: the UNet and both text encoders, jointly, on cached latents."""

from __future__ import annotations

from typing import cast

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
from layerfusion.engine.training.precision import mixed, prepare
from layerfusion.engine.training.prediction import NoiseSchedule, encode_text, predict, sample
from layerfusion.engine.training.wordpieces import token_ids

BATCH = 48
SHARES = {"composite": 0.28, "small": 0.12, "nameless": 0.14, "studio": 0.3, "background": 0.16}
"""What a batch is made of; `small` are composites whose object is small, `nameless` those of things without a name,
which must be kept as they are when a picture is noised by half and drawn again. Objects alone stand before studio
backdrops of any colour: transparency is not the base model's business, it is what the foreground deltas add."""

SHADOWS_COUNT = 8.0
"""What is added to the error's weight of 1 where the ground is in full shadow: shadows are faint and cover little of a
picture, and the optimum stays what it is."""

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
    ) -> None:
        self.network = nn.ModuleDict({"unet": unet, "text_encoder": encoders[0], "text_encoder_2": encoders[1]})
        self.network.requires_grad_(True)
        self.device = unet.device
        prepare(unet)
        self.optimisers = optimisers_for(self.network, lr=lr)
        self._unet, self._encoders, self._tokenizer, self._vae = unet, encoders, tokenizer, vae
        self._latents, self._shade = latents.latents, latents.shade
        self._tokens = {kind: token_ids(tokenizer, captions) for kind, captions in latents.captions.items()}
        self._empty = token_ids(tokenizer, [""])
        self._noise, self._side = NoiseSchedule(), side

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        clean, tokens, weights = [], [], []
        for kind, share in SHARES.items():
            rows = torch.from_numpy(rng.integers(0, len(self._latents[kind]), round(BATCH * share)))
            clean.append(self._latents[kind][rows])
            tokens.append(self._tokens[kind][rows])
            plain = torch.ones(len(rows), 1, *self._latents[kind].shape[2:])
            weights.append(
                plain + SHADOWS_COUNT * self._shade[kind][rows].unsqueeze(1) if kind in self._shade else plain
            )
        order = torch.from_numpy(rng.permutation(sum(len(part) for part in clean)))
        batch, words = torch.cat(clean)[order].to(self.device), torch.cat(tokens)[order]
        weight = torch.cat(weights)[order].to(self.device)
        words[torch.from_numpy(rng.random(len(words)) < UNPROMPTED)] = self._empty
        hidden, pooled = encode_text(self._encoders, words.to(self.device))
        timesteps, noised, v = self._noise.noised(batch, generator)
        with mixed(self.device):
            found = predict(self._unet, noised, timesteps, hidden, pooled, side=self._side)
        return ((found.float() - v).square() * weight / weight.mean()).mean(), {}, len(batch)

    def sheet(self) -> Image.Image:
        """Objects, scenes, and objects in scenes."""
        scale = float(self._vae.config["scaling_factor"])
        empty = encode_text(self._encoders, self._empty.to(self.device))
        rows = []
        for prompts in SHEET:
            hidden, pooled = encode_text(self._encoders, token_ids(self._tokenizer, list(prompts)).to(self.device))
            latents = sample(self._unet, hidden, pooled, empty, side=self._side)
            rgb = cast(Tensor, self._vae.decode(latents / scale).sample)  # type: ignore[union-attr]
            rows.append(rgb.clamp(-1, 1).permute(0, 2, 3, 1).cpu().numpy())
        return contact_sheet(rows)
