"""Stage `distill`: an adapter that lets the model draw in a few steps without guidance.

The student is the model with a low-rank change of nearly all its layers. Each of its steps learns to end where several
guided steps of the model end: progressive distillation (Salimans & Ho, arXiv 2202.00512) of a guided model (Meng et
al., arXiv 2210.03142). The adapter is written as the published files for few steps are (LCM-LoRA, Lightning, Hyper),
with kohya's names, so that it is read by whatever reads those.

Foregrounds are drawn with the foreground deltas on top; every third batch trains the adapter under them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTokenizer

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.training.batches import Batches
from layerfusion.engine.training.contact_sheets import contact_sheet
from layerfusion.engine.training.deltas import hook
from layerfusion.engine.training.latents import Latents
from layerfusion.engine.training.loop import Stage
from layerfusion.engine.training.optimisers import optimisers_for
from layerfusion.engine.training.outer_level import moved_outwards
from layerfusion.engine.training.precision import mixed, prepare
from layerfusion.engine.training.prediction import NOISE_SCHEDULE, ddim, encode_text, predict, sample
from layerfusion.engine.training.unet import SHEET
from layerfusion.engine.training.wordpieces import token_ids

RANK = 32
BATCH = 48
FEW_STEPS = "few_steps_lora.safetensors"
"""The adapter's file."""

STEPS = 4
"""How many steps the student draws in."""

SUBSTEPS = 4
"""Steps of the model that one of the student's stands for. As a student of consistency (LCM), which must learn where
whole trajectories end, the first edition was still speckled after 15,000 samples."""

GUIDANCE, RESCALE = 4.0, 0.5
"""Of the trajectories: what the model is used with; the student needs none."""

_LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
_CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj")


class LowRank(nn.Module):
    """up(down(x)) beside one linear layer or convolution; it changes nothing at first."""

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        if isinstance(layer, nn.Linear):
            rank = min(RANK, layer.in_features, layer.out_features)
            self.lora_down: nn.Module = nn.Linear(layer.in_features, rank, bias=False)
            self.lora_up: nn.Module = nn.Linear(rank, layer.out_features, bias=False)
        else:
            rank = min(RANK, layer.in_channels, layer.out_channels)
            shape: dict[str, Any] = {
                "kernel_size": layer.kernel_size,
                "stride": layer.stride,
                "padding": layer.padding,
            }
            self.lora_down = nn.Conv2d(layer.in_channels, rank, bias=False, **shape)
            self.lora_up = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        nn.init.zeros_(cast(Tensor, self.lora_up.weight))

    def forward(self, x: Tensor) -> Tensor:
        return self.lora_up(self.lora_down(x))


class Adapter(nn.Module):
    """The low-rank change of a UNet. It acts on the UNet it was made for, except within `off`.

    Args:
        unet: what it changes.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.parts = nn.ModuleDict()
        self._on = True
        for name, module in unet.named_modules():
            if name.endswith((*_LAYERS, *_CONVOLUTIONS)) and isinstance(module, nn.Linear | nn.Conv2d):
                part = self.parts[name.replace(".", "/")] = LowRank(module)
                module.register_forward_hook(self._beside(part))

    def _beside(self, part: nn.Module) -> Any:
        return lambda _module, inputs, output: output + part(inputs[0]) if self._on else None

    @contextmanager
    def off(self) -> Iterator[None]:
        """The UNet as it was."""
        self._on = False
        try:
            yield
        finally:
            self._on = True

    def state(self) -> dict[str, Tensor]:
        """As LCM-LoRA files have it: `lora_unet_<module>.lora_down.weight`, `.lora_up.weight` and `.alpha`, which
        equals the rank."""
        tensors: dict[str, Tensor] = {}
        for key, part in self.parts.items():
            stem = _stem(key)
            for half in ("lora_down", "lora_up"):
                tensors[f"{stem}.{half}.weight"] = cast(Tensor, getattr(part, half).weight).detach().cpu().contiguous()
            tensors[f"{stem}.alpha"] = torch.tensor(float(len(tensors[f"{stem}.lora_down.weight"])))
        return tensors

    def read(self, state: dict[str, Tensor]) -> None:
        """Go on from an adapter of the same UNet, as `state` gives it.

        Raises:
            InvalidRequest: it is another UNet's.
        """
        own = self.state()
        if {key: value.shape for key, value in own.items()} != {key: value.shape for key, value in state.items()}:
            raise InvalidRequest(
                "The adapter for few steps was made for another UNet.",
                "Leave it out of the edition, and it begins anew.",
            )
        for key, part in self.parts.items():
            for half in ("lora_down", "lora_up"):
                cast(Tensor, getattr(part, half).weight).data.copy_(state[f"{_stem(key)}.{half}.weight"])

    def grow(self, base: dict[str, Tensor]) -> None:
        """Begin with the adapter of the UNet that this one was grown from; what is new changes nothing yet.

        Args:
            base: as `state` gives it.
        """
        for key, part in self.parts.items():
            for half in ("lora_down", "lora_up"):
                own = cast(Tensor, getattr(part, half).weight)
                known = base.get(f"{_stem(moved_outwards(key.replace('/', '.')))}.{half}.weight")
                if known is not None and known.shape == own.shape:
                    own.data.copy_(known)

    def write(self, file: Path) -> None:
        """Write it, float16."""
        save_file({key: value.half() for key, value in self.state().items()}, str(file), metadata={"format": "pt"})


def _stem(key: str) -> str:
    """What files call a part."""
    return "lora_unet_" + key.replace("/", "_").replace(".", "_")


@dataclass(frozen=True)
class Transparent:
    """What foregrounds are trained with.

    Attributes:
        deltas: the trained foreground deltas, see `deltas`.
        latents: (N, channels, h, w), the foregrounds' with their transparency.
        captions: N of them.
    """

    deltas: nn.ModuleDict
    latents: Tensor
    captions: list[str]


class DistillStage(Stage):
    """Train the adapter on a frozen UNet.

    Args:
        unet, encoders, tokenizer: frozen; the teacher.
        latents: the encoded training set.
        vae: for the sheets.
        side: of the pictures, in pixels.
        transparent: of the foregrounds; None while their deltas are not trained.
        begun: the adapter to go on from.
        grown: that of the UNet this one was grown from, if there is none to go on from.
        schedule: the noise, as a diffusers scheduler's configuration.
    """

    name = "distill"
    hold = 0.3

    def __init__(
        self,
        unet: UNet2DConditionModel,
        encoders: tuple[nn.Module, nn.Module],
        tokenizer: CLIPTokenizer,
        latents: Latents,
        vae: AutoencoderKL,
        *,
        side: int,
        transparent: Transparent | None = None,
        begun: dict[str, Tensor] | None = None,
        grown: dict[str, Tensor] | None = None,
        schedule: Mapping[str, Any] = NOISE_SCHEDULE,
    ) -> None:
        self._unet, self._vae, self._side = unet.requires_grad_(False).eval(), vae, side
        self.device = unet.device
        prepare(unet)
        self.network = self.adapter = Adapter(unet).to(self.device)
        if begun is not None:
            self.adapter.read(begun)
        elif grown is not None:
            self.adapter.grow(grown)
        self.optimisers = optimisers_for(self.adapter, lr=1e-3, matrices=False)
        self._encoders, self._tokenizer = encoders, tokenizer
        for encoder in encoders:
            encoder.requires_grad_(False).eval()
        self._latents = latents.latents
        multiple = 2 ** (len(unet.config["block_out_channels"]) - 1)
        self._batches = Batches(latents, unet.config["sample_size"], multiple)
        self._tokens = {kind: token_ids(tokenizer, captions) for kind, captions in latents.captions.items()}
        self._transparent = transparent
        if transparent is not None:
            self._words = token_ids(tokenizer, transparent.captions)
        self._empty = token_ids(tokenizer, [""]).to(self.device)
        scheduler, self._schedule = ddim(schedule), schedule
        scheduler.set_timesteps(STEPS * SUBSTEPS)
        self._times = torch.cat([scheduler.timesteps, torch.tensor([-1])])
        self._kept = torch.cat([scheduler.alphas_cumprod, torch.ones(1)])  # the last is the clean picture's
        self._done = 0

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        self._done += 1
        if self._transparent is not None and self._done % 3 == 0:
            rows = torch.from_numpy(rng.integers(0, len(self._transparent.latents), BATCH))
            handles = hook(self._unet, self._transparent.deltas)
            try:
                loss = self._unlike(self._transparent.latents[rows], self._words[rows], generator)
            finally:
                for handle in handles:
                    handle.remove()
            return loss, {"foregrounds": float(loss.detach())}, BATCH
        clean, words = [], []
        for chosen in self._batches.draw(rng, BATCH):
            clean.append(chosen.shown(self._latents[chosen.kind]))
            words.append(self._tokens[chosen.kind][chosen.rows])
        loss = self._unlike(torch.cat(clean), torch.cat(words), generator)
        return loss, {"pictures": float(loss.detach())}, len(torch.cat(words))

    def _unlike(self, clean: Tensor, words: Tensor, generator: torch.Generator) -> Tensor:
        """How far the student's v is from that whose step ends where the teacher's guided steps end."""
        count = len(clean)
        order = torch.randperm(count, generator=generator)
        clean, words = clean[order].to(self.device), words[order].to(self.device)
        places = torch.arange(count) * STEPS // count * SUBSTEPS  # as many pictures of every step
        noise = torch.randn(clean.shape, generator=generator).to(self.device)
        a, b = self._levels(self._times[places])
        noised = end = a * clean + b * noise
        with torch.no_grad():
            conditions = encode_text(self._encoders, words)
            empty = encode_text(self._encoders, self._empty)
            with self.adapter.off():
                for substep in range(SUBSTEPS):
                    times = self._times[places + substep], self._times[places + substep + 1]
                    end = self._guided_step(end, *times, conditions, empty)
            wanted = self._v_between(noised, end, self._times[places], self._times[places + SUBSTEPS])
        with mixed(self.device):
            rows = self._times[places].to(self.device)
            found = predict(self._unet, noised, rows, *conditions, side=self._side).float()
        return (found - wanted).square().mean()

    def _levels(self, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """How much signal and noise there is, (B, 1, 1, 1) each; at timestep -1 there is no noise."""
        kept = self._kept[timesteps].view(-1, 1, 1, 1).to(self.device)
        return kept.sqrt(), (1 - kept).sqrt()

    def _v_between(self, start: Tensor, end: Tensor, later: Tensor, earlier: Tensor) -> Tensor:
        """The v with which one step of DDIM leads from `start` to `end`."""
        a, b = self._levels(later)
        c, d = self._levels(earlier)
        return (end - (a * c + b * d) * start) / (a * d - b * c)

    def _guided_step(
        self, noised: Tensor, later: Tensor, earlier: Tensor, words: tuple[Tensor, Tensor], empty: tuple[Tensor, Tensor]
    ) -> Tensor:
        """The teacher's DDIM step with guidance."""
        count = len(noised)
        hidden = torch.cat([empty[0].expand(count, -1, -1), words[0]])
        pooled = torch.cat([empty[1].expand(count, -1), words[1]])
        rows = torch.cat([later] * 2).to(self.device)
        with mixed(self.device):
            both = predict(self._unet, torch.cat([noised] * 2), rows, hidden, pooled, side=self._side).float()
        without, with_ = both.chunk(2)
        v = without + GUIDANCE * (with_ - without)
        deviation = with_.std(dim=(1, 2, 3), keepdim=True) / v.std(dim=(1, 2, 3), keepdim=True)
        v = RESCALE * v * deviation + (1 - RESCALE) * v
        a, b = self._levels(later)
        clean, noise = a * noised - b * v, a * v + b * noised
        a, b = self._levels(earlier)
        return a * clean + b * noise

    def sheet(self) -> Image.Image:
        """Objects, scenes, and objects in scenes, in few steps without guidance."""
        scale = float(self._vae.config["scaling_factor"])
        rows = []
        for prompts in SHEET:
            hidden, pooled = encode_text(self._encoders, token_ids(self._tokenizer, list(prompts)).to(self.device))
            latents = few_steps(self._unet, hidden, pooled, side=self._side, schedule=self._schedule)
            rgb = cast(Tensor, self._vae.decode(latents / scale).sample)  # type: ignore[union-attr]
            rows.append(rgb.clamp(-1, 1).permute(0, 2, 3, 1).cpu().numpy())
        return contact_sheet(rows)


def few_steps(
    unet: UNet2DConditionModel,
    hidden: Tensor,
    pooled: Tensor,
    *,
    side: int,
    seed: int = 0,
    schedule: Mapping[str, Any] = NOISE_SCHEDULE,
) -> Tensor:
    """Draw one picture a prompt with DDIM, in `STEPS` steps and without guidance, (B, channels, h, w)."""
    nothing = (hidden[:1], pooled[:1])  # which is not asked at this guidance
    return sample(unet, hidden, pooled, nothing, side=side, seed=seed, steps=STEPS, guidance=1.0, schedule=schedule)
