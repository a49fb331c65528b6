"""What UNet and deltas learn: v-prediction under zero terminal SNR, and how a network's answer is drawn out of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn

from layerfusion.engine.backbones.sdxl import SDXLBackbone
from layerfusion.engine.models.runtime.loading import ModelBundle

NOISE_SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}


class NoiseSchedule:
    """Training noise levels, timesteps stratified over the batch."""

    def __init__(self) -> None:
        self._kept: Tensor = DDIMScheduler(**NOISE_SCHEDULE).alphas_cumprod  # type: ignore[arg-type]

    def noised(self, clean: Tensor, generator: torch.Generator, lean: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """Noise a batch (B, channels, h, w).

        Args:
            lean: the power of evenly drawn times; less than 1 draws much noise more often than little.

        Returns:
            timesteps (B,), noised latents, and the v a perfect model would predict.
        """
        count = len(clean)
        places = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        timesteps = (places**lean * 1000).long().clamp(0, 999)
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
) -> Tensor:
    """Draw one picture a prompt with DDIM and guidance, (B, channels, h, w) as the UNet's configuration says.

    Args:
        given, strength: latents (B, channels, h, w) to noise and to draw again, and the fraction of the steps that is.
    """
    count, grid = len(hidden), unet.config["sample_size"]
    scheduler = DDIMScheduler(**NOISE_SCHEDULE, clip_sample=False)  # type: ignore[arg-type]
    scheduler.set_timesteps(steps)
    latents = torch.randn(
        (count, unet.config["in_channels"], grid, grid), generator=torch.Generator().manual_seed(seed)
    )
    latents = latents.to(hidden.device)
    timesteps = scheduler.timesteps
    if given is not None:
        timesteps = timesteps[steps - round(steps * strength) :]
        latents = scheduler.add_noise(given, latents, timesteps[:1])  # type: ignore[arg-type]
    both_hidden = torch.cat([empty[0].expand(count, -1, -1), hidden])
    both_pooled = torch.cat([empty[1].expand(count, -1), pooled])
    for timestep in timesteps:
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
    return sample(bundle.unet, words.embeddings, words.pooled, nothing, side=side, seed=seed)
