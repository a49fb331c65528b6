"""Pictures whose truth is known, with the errors of what the model draws: noised by half at most, and drawn again.

What reads latents in the end, the VAE's decoder and the transparent one, never gets true ones. It goes on with these,
drawn as they will be: in a few steps with the adapter, and in many with guidance. Our choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTokenizer

from layerfusion.engine.training.deltas import hook
from layerfusion.engine.training.distill import STEPS, Adapter
from layerfusion.engine.training.precision import mixed, prepare
from layerfusion.engine.training.prediction import encode_text, sample
from layerfusion.engine.training.wordpieces import token_ids

MANY = 20
"""Steps of a whole job with guidance."""

LATEST = {"few": 0.5, "many": 0.45}
"""The largest share of the steps that are drawn again. Of more noise the model makes another picture, whose truth is
not that of the one it was given."""


class DrawnAgain:
    """Noises latents and draws them again.

    Args:
        unet: frozen; gets adapter and deltas for good.
        encoders, tokenizer: frozen.
        schedule: the noise, as a diffusers scheduler's configuration.
        side: of the pictures, in pixels.
        adapter: what `distill.Adapter.state` gives; without it all are drawn in many steps.
        deltas: the foreground deltas, if foregrounds are drawn.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        encoders: tuple[nn.Module, nn.Module],
        tokenizer: CLIPTokenizer,
        schedule: Mapping[str, Any],
        side: int,
        *,
        adapter: dict[str, Tensor] | None = None,
        deltas: nn.ModuleDict | None = None,
    ) -> None:
        self._unet = unet.requires_grad_(False).eval()
        if deltas is not None:
            hook(unet, deltas.requires_grad_(False))
        prepare(unet)
        self._adapter = None if adapter is None else Adapter(unet).to(unet.device).requires_grad_(False)
        if self._adapter is not None and adapter is not None:
            self._adapter.read(adapter)
        self._encoders, self._tokenizer = encoders, tokenizer
        self._schedule, self._side = schedule, side

    def __call__(self, latents: Tensor, captions: list[str], generator: torch.Generator) -> Tensor:
        """Noise latents (B, channels, h, w) and draw them again, all in few steps or all in many, from one time on."""
        few = self._in_few(generator)
        steps, latest = (STEPS, LATEST["few"]) if few else (MANY, LATEST["many"])
        drawn = 1 + int(torch.randint(int(steps * latest), (), generator=generator))
        return self._draw(captions, generator, few, given=latents, strength=drawn / steps)

    def whole(self, captions: list[str], generator: torch.Generator) -> Tensor:
        """Draw from noise alone, all in few steps or all in many, (B, channels, h, w)."""
        return self._draw(captions, generator, self._in_few(generator))

    def _in_few(self, generator: torch.Generator) -> bool:
        return self._adapter is not None and bool(torch.rand((), generator=generator) < 0.5)

    @torch.no_grad()
    def _draw(self, captions: list[str], generator: torch.Generator, few: bool, **given: Any) -> Tensor:
        device = self._unet.device
        words = encode_text(self._encoders, token_ids(self._tokenizer, captions).to(device))
        how = {"seed": int(torch.randint(2**31, (), generator=generator)), "side": self._side, **given}
        with mixed(device):
            if few:
                nothing = words[0][:1], words[1][:1]  # which is not asked at this guidance
                drawn = sample(self._unet, *words, nothing, steps=STEPS, guidance=1.0, schedule=self._schedule, **how)
            else:
                empty = encode_text(self._encoders, token_ids(self._tokenizer, [""]).to(device))
                drawn = self._without_adapter(*words, empty, steps=MANY, schedule=self._schedule, **how)
        return drawn.float()

    def _without_adapter(self, *words: Any, **how: Any) -> Tensor:
        if self._adapter is None:
            return sample(self._unet, *words, **how)
        with self._adapter.off():
            return sample(self._unet, *words, **how)
