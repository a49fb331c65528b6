"""Stage `deltas`: the low-rank change of the attention projections that makes the base model draw transparent objects.

The base model draws an object before a backdrop of some colour; with the deltas it draws it padded with mid-grey, its
alpha hidden in the latents. Nothing but attn1 and attn2's to_q, to_k, to_v and to_out.0 may change (design of the
method: the deltas act on some rows of a batch only).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTokenizer

from layerfusion.engine.training.contact_sheets import contact_sheet, over_checks
from layerfusion.engine.training.data.dataset import Examples
from layerfusion.engine.training.latents import FOREGROUNDS, KINDS, Latents
from layerfusion.engine.training.loop import Stage
from layerfusion.engine.training.optimisers import optimisers_for
from layerfusion.engine.training.outer_level import moved_inwards
from layerfusion.engine.training.precision import mixed, prepare
from layerfusion.engine.training.prediction import NOISE_SCHEDULE, NoiseSchedule, encode_text, predict, sample
from layerfusion.engine.training.unet import UNPROMPTED
from layerfusion.engine.training.wordpieces import token_ids
from layerfusion.engine.transparency.compact import CompactTransparentDecoder, CompactTransparentEncoder

RANK = 64
BATCH = 48
_PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")

_SHEET = ("a red apple", "a dog", "a penguin", "a blue car", "a castle", "a guitar", "an owl", "a balloon")
_SHEET_TRANSLUCENT = ("a glass of water", "a green bottle", "a blue bottle", "a soap bubble", "smoke", "a crab")


class LowRankDelta(nn.Module):
    """up @ down beside one linear layer."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        rank = min(RANK, linear.in_features, linear.out_features)
        self.lora_A = nn.Linear(linear.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, linear.out_features, bias=False)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.lora_B(self.lora_A(x))


def fresh_deltas(unet: UNet2DConditionModel) -> nn.ModuleDict:
    """Deltas that change nothing yet, by projection name, with `/` for `.`."""
    found = {}
    for name, module in unet.named_modules():
        if name.endswith(_PROJECTIONS) and (".attn1." in name or ".attn2." in name):
            found[name.replace(".", "/")] = LowRankDelta(cast(nn.Linear, module))
    return nn.ModuleDict(found)


def begun_deltas(unet: UNet2DConditionModel, base: Mapping[str, Tensor]) -> nn.ModuleDict:
    """Deltas that are those of the UNet this one was grown from, if they fit it; else fresh ones.

    Args:
        base: as `state_of` gives them.
    """
    made = fresh_deltas(unet)
    shapes = {key: value.shape for key, value in made.state_dict().items()}
    for named in (str, moved_inwards):
        known = {}
        for key, value in base.items():
            projection, factor = named(key).split(".lora_")
            known[f"{projection.replace('.', '/')}.lora_{factor}"] = value.float()
        if {key: value.shape for key, value in known.items()} == shapes:
            made.load_state_dict(known)
            break
    return made


def hook(unet: UNet2DConditionModel, deltas: nn.ModuleDict) -> list[Any]:
    """Add the deltas to every row until the returned handles are removed."""

    def adding(delta: nn.Module) -> Any:
        return lambda _module, inputs, output: output + delta(inputs[0])

    named = dict(unet.named_modules())
    return [named[key.replace("/", ".")].register_forward_hook(adding(delta)) for key, delta in deltas.items()]


def state_of(deltas: nn.ModuleDict) -> dict[str, Tensor]:
    """As the engine's loader reads them: `<module>.<projection>.lora_{A,B}.weight`."""
    return {key.replace("/", "."): value.detach().cpu().contiguous() for key, value in deltas.state_dict().items()}


@torch.no_grad()
def with_transparency(
    encoder: CompactTransparentEncoder, sets: Mapping[str, Examples], latents: Latents
) -> tuple[Tensor, list[str]]:
    """All foregrounds' latents with their alpha hidden in them, (N, channels, h, w), and their captions.

    Args:
        encoder: the trained transparent encoder.
        sets: what was encoded.
        latents: of it.
    """
    parts, captions = [], []
    for kind in FOREGROUNDS:
        data, rows = sets[KINDS[kind].set], latents.rows[kind].numpy()
        captions += latents.captions[kind]
        for place in range(0, len(rows), 64):
            rgba = torch.from_numpy(data.foreground[rows[place : place + 64]].astype(np.float32) / 255)
            rgba = rgba.permute(0, 3, 1, 2).to(next(encoder.parameters()).device)
            padded = (rgba[:, :3] * 2 - 1) * rgba[:, 3:]
            offset = encoder(torch.cat([padded, rgba[:, 3:] * 2 - 1], dim=1)).cpu()
            parts.append(latents.latents[kind][place : place + 64] + offset)
    return torch.cat(parts), captions


class DeltasStage(Stage):
    """Train the deltas on a frozen UNet.

    Args:
        unet, encoders, tokenizer: frozen.
        transparency: the trained encoder and decoder.
        vae: for the sheets.
        sets: what was encoded.
        latents: of it; only the foregrounds' are used.
        side: of the pictures, in pixels.
        base: the deltas of the UNet this one was grown from.
        schedule: the noise, as a diffusers scheduler's configuration.
    """

    name = "deltas"
    hold = 0.3

    @torch.no_grad()
    def __init__(
        self,
        unet: UNet2DConditionModel,
        encoders: tuple[nn.Module, nn.Module],
        tokenizer: CLIPTokenizer,
        transparency: tuple[CompactTransparentEncoder, CompactTransparentDecoder],
        vae: AutoencoderKL,
        sets: Mapping[str, Examples],
        latents: Latents,
        *,
        side: int,
        base: Mapping[str, Tensor] | None = None,
        schedule: Mapping[str, Any] = NOISE_SCHEDULE,
    ) -> None:
        self.network = self.deltas = begun_deltas(unet, base or {})
        self.device = unet.device
        prepare(unet)
        self._unet, self._vae, self._decoder = unet.requires_grad_(False).eval(), vae, transparency[1]
        hook(unet, self.deltas)
        self.optimisers = optimisers_for(self.deltas, lr=2e-3, matrices=False)
        self._noise, self._side, self._schedule = NoiseSchedule(schedule), side, schedule

        self._latents, captions = with_transparency(transparency[0], sets, latents)

        def encoded(prompts: list[str]) -> tuple[Tensor, Tensor]:
            return encode_text(encoders, token_ids(tokenizer, prompts).to(self.device))

        known = {caption: place for place, caption in enumerate(dict.fromkeys(captions))}
        self._rows = torch.tensor([known[caption] for caption in captions])
        chunks = [encoded([*known][place : place + 64]) for place in range(0, len(known), 64)]
        self._hidden, self._pooled = (torch.cat(part) for part in zip(*chunks, strict=True))
        self._empty = encoded([""])
        self._shown = [encoded(list(_SHEET)), encoded(list(_SHEET_TRANSLUCENT))]

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        places = torch.from_numpy(rng.integers(0, len(self._latents), BATCH))
        hidden, pooled = self._hidden[self._rows[places]], self._pooled[self._rows[places]]
        left_out = torch.from_numpy(rng.random(BATCH) < UNPROMPTED).to(self.device)
        hidden = torch.where(left_out[:, None, None], self._empty[0], hidden)
        pooled = torch.where(left_out[:, None], self._empty[1], pooled)
        timesteps, noised, v = self._noise.noised(self._latents[places].to(self.device), generator)
        with mixed(self.device):
            found = predict(self._unet, noised, timesteps, hidden, pooled, side=self._side)
        return (found.float() - v).square().mean(), {}, BATCH

    def sheet(self) -> Image.Image:
        """Foregrounds over a chequerboard, and their alpha."""
        scale = float(self._vae.config["scaling_factor"])
        rows = []
        for hidden, pooled in self._shown:
            latents = sample(self._unet, hidden, pooled, self._empty, side=self._side, schedule=self._schedule)
            rgb = cast(Tensor, self._vae.decode(latents / scale).sample).clamp(-1, 1)  # type: ignore[union-attr]
            colours, logits = self._decoder(rgb, latents)
            found = torch.cat([(colours.clamp(-1, 1) + 1) / 2, logits.sigmoid()], dim=1).permute(0, 2, 3, 1)
            rgba = found.cpu().numpy()
            rows += [over_checks(rgba), np.repeat(rgba[..., 3:] * 2 - 1, 3, axis=-1)]
        return contact_sheet(rows)
