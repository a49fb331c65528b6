"""What UNet and deltas learn: v-prediction under zero terminal SNR, and how a network's answer is drawn out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn

from layerfusion.engine.backbones.sdxl import SDXLBackbone
from layerfusion.engine.models.runtime.loading import ModelBundle

NOISE_SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}


LOUDER = (0.5, 0.9)
"""Between which shares of the time `louder` rises from the first edition's noise to its own. Up to half of the time
details are decided, and a picture that is noised by a half and drawn again must still show in it."""


def louder(factor: float) -> dict[str, Any]:
    """`NOISE_SCHEDULE` with more noise where layouts are decided.

    A level that halves the latents averages four, whose noise halves, while what they show stays. So a UNet with a
    level more outside meets inside what it was trained on if the noise is twice as loud, and 20 steps decide as much of
    the layout as they did (simple diffusion, Hoogeboom et al., arXiv 2301.11093). That the noise stays as it was up to
    half of the time is our choice: whatever names a share of the time, as strengths of redrawing do, keeps its sense.

    Args:
        factor: of the ratio of noise to signal, from `LOUDER`'s second share of the time on.
    """
    kept = ddim(NOISE_SCHEDULE).alphas_cumprod.double()
    share = torch.arange(len(kept), dtype=torch.float64) / len(kept)
    risen = ((share - LOUDER[0]) / (LOUDER[1] - LOUDER[0])).clamp(0, 1)
    here = factor ** (risen * risen * (3 - 2 * risen))
    kept = kept / (kept + here**2 * (1 - kept))
    kept[-1] = 0
    betas = 1 - kept / torch.cat([torch.ones(1), kept[:-1]])
    return NOISE_SCHEDULE if factor == 1 else {**NOISE_SCHEDULE, "trained_betas": betas.tolist()}


def ddim(schedule: Mapping[str, Any]) -> DDIMScheduler:
    """The scheduler that draws as training expects it.

    Args:
        schedule: a diffusers scheduler's configuration, of which the noise is used.
    """
    known = {name: schedule[name] for name in (*NOISE_SCHEDULE, "trained_betas") if schedule.get(name) is not None}
    return DDIMScheduler(**known, clip_sample=False)


class NoiseSchedule:
    """Training noise levels, timesteps stratified over the batch."""

    def __init__(self, schedule: Mapping[str, Any] = NOISE_SCHEDULE) -> None:
        self._kept: Tensor = ddim(schedule).alphas_cumprod

    def noised(
        self, clean: Tensor, generator: torch.Generator, lean: float = 1.0, until: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Noise a batch (B, channels, h, w).

        Args:
            lean: the power of evenly drawn times; less than 1 draws much noise more often than little.
            until: (B,), 0-1, the share of the time up to which times are drawn, a row; None for all of it.

        Returns:
            timesteps (B,), noised latents, and the v a perfect model would predict.
        """
        count = len(clean)
        places = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        shares = places**lean if until is None else places**lean * until
        timesteps = (shares * 1000).long().clamp(0, 999)
        kept = self._kept[timesteps].view(-1, 1, 1, 1)
        noise = torch.randn(clean.shape, generator=generator)
        a, b = kept.sqrt().to(clean), (1 - kept).sqrt().to(clean)
        noise = noise.to(clean)
        return timesteps.to(clean.device), a * clean + b * noise, a * noise - b * clean


def encode_text(encoders: tuple[nn.Module, nn.Module], tokens: Tensor) -> tuple[Tensor, Tensor]:
    """(B, L) -> hidden states (B, L, 256) and pooled (B, 128), as SDXL reads its two encoders."""
    first = encoders[0](tokens, output_hidden_states=True)
    second = encoders[1](tokens, output_hidden_states=True)
    return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1), second.text_embeds


def predict(
    unet: UNet2DConditionModel, latents: Tensor, timesteps: Tensor, hidden: Tensor, pooled: Tensor, *, side: int
) -> Tensor:
    """The UNet's answer, (B, channels, h, w).

    Args:
        side: of the pictures it is trained on, in pixels; SDXL's UNets are told.
    """
    sizes = torch.tensor([(side, side, 0, 0, side, side)] * len(latents), dtype=latents.dtype, device=latents.device)
    return unet(
        latents,
        timesteps,
        encoder_hidden_states=hidden,
        added_cond_kwargs={"text_embeds": pooled, "time_ids": sizes},
        return_dict=False,
    )[0]


def sample(
    unet: UNet2DConditionModel,
    hidden: Tensor,
    pooled: Tensor,
    empty: tuple[Tensor, Tensor],
    *,
    side: int,
    seed: int = 0,
    steps: int = 20,
    guidance: float = 4.0,
    rescale: float = 0.5,
    given: Tensor | None = None,
    strength: float = 1.0,
    schedule: Mapping[str, Any] = NOISE_SCHEDULE,
) -> Tensor:
    """Draw one picture a prompt with DDIM and guidance, (B, channels, h, w) as the UNet's configuration says.

    Args:
        given, strength: latents (B, channels, h, w) to noise and to draw again, and the fraction of the steps that is.
        schedule: the noise, as a diffusers scheduler's configuration.
    """
    count, grid = len(hidden), unet.config["sample_size"]
    scheduler = ddim(schedule)
    scheduler.set_timesteps(steps)
    form = (count, unet.config["in_channels"], grid, grid) if given is None else given.shape
    latents = torch.randn(form, generator=torch.Generator().manual_seed(seed)).to(hidden.device)
    timesteps = scheduler.timesteps
    if given is not None:
        timesteps = timesteps[steps - round(steps * strength) :]
        latents = scheduler.add_noise(given, latents, timesteps[:1])  # type: ignore[arg-type]
    both_hidden = torch.cat([empty[0].expand(count, -1, -1), hidden])
    both_pooled = torch.cat([empty[1].expand(count, -1), pooled])
    for timestep in timesteps:
        if guidance == 1:
            guided = predict(unet, latents, timestep.expand(count).to(hidden.device), hidden, pooled, side=side)
        else:
            rows = timestep.expand(2 * count).to(hidden.device)
            without, with_ = predict(unet, torch.cat([latents] * 2), rows, both_hidden, both_pooled, side=side).chunk(2)
            guided = without + guidance * (with_ - without)
            deviation = with_.std(dim=(1, 2, 3), keepdim=True) / guided.std(dim=(1, 2, 3), keepdim=True)
            guided = rescale * guided * deviation + (1 - rescale) * guided
        latents = scheduler.step(guided, timestep, latents, return_dict=False)[0]  # type: ignore[arg-type]
    return latents


def sample_prompts(bundle: ModelBundle, prompts: Sequence[str], seed: int) -> Tensor:
    """`sample` with a whole model, one image per prompt."""
    backbone = SDXLBackbone(bundle)
    words, empty = backbone.encode(prompts), backbone.encode([""])
    nothing, side = (empty.embeddings, empty.pooled), bundle.spec.native_size
    return sample(
        bundle.unet, words.embeddings, words.pooled, nothing, side=side, seed=seed, schedule=bundle.scheduler_config
    )
