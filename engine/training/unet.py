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

from layerfusion.engine.training.batches import GIVEN_UNTIL, Batches
from layerfusion.engine.training.contact_sheets import contact_sheet
from layerfusion.engine.training.latents import Latents
from layerfusion.engine.training.loop import Stage
from layerfusion.engine.training.optimisers import optimisers_for
from layerfusion.engine.training.outer_level import is_outer
from layerfusion.engine.training.precision import mixed, prepare
from layerfusion.engine.training.prediction import NOISE_SCHEDULE, NoiseSchedule, encode_text, predict, sample
from layerfusion.engine.training.wordpieces import token_ids

BATCH = 64
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
        lr: of AdamW, see `optimisers_for`.
        inner_rate: the share of it that everything but the outermost level gets: that of a UNet that has just got
            another one, and is to keep what it knows.
        often: names, with their articles, whose pictures come more often, see `batches.OFTEN`.
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
        often: Collection[str] = (),
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
        multiple = 2 ** (len(unet.config["block_out_channels"]) - 1)
        self._batches = Batches(latents, unet.config["sample_size"], multiple, often)
        self._tokens = {kind: token_ids(tokenizer, captions) for kind, captions in latents.captions.items()}
        self._empty = token_ids(tokenizer, [""])
        self._noise, self._side = NoiseSchedule(schedule), side

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        clean, tokens, weights, until = [], [], [], []
        for chosen in self._batches.draw(rng, BATCH):
            clean.append(chosen.shown(self._latents[chosen.kind]))
            tokens.append(self._tokens[chosen.kind][chosen.rows])
            plain = torch.ones_like(clean[-1][:, :1])
            if chosen.kind in self._shade:
                plain = plain + SHADOWS_COUNT * chosen.shown(self._shade[chosen.kind].unsqueeze(1))
            weights.append(plain)
            until.append(torch.full((len(plain),), GIVEN_UNTIL.get(chosen.kind, 1.0)))
        order = torch.from_numpy(rng.permutation(sum(len(part) for part in clean)))
        batch, words = torch.cat(clean)[order].to(self.device), torch.cat(tokens)[order]
        weight = torch.cat(weights)[order].to(self.device)
        words[torch.from_numpy(rng.random(len(words)) < UNPROMPTED)] = self._empty
        hidden, pooled = encode_text(self._encoders, words.to(self.device))
        timesteps, noised, v = self._noise.noised(batch, generator, until=torch.cat(until)[order])
        with mixed(self.device):
            found = predict(self._unet, noised, timesteps, hidden, pooled, side=self._side)
        errors = (found.float() - v).square() * weight / weight.mean()
        return errors.mean(), _by_noise(errors.detach(), timesteps), len(batch)

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
