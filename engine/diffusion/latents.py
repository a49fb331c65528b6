"""Pictures <-> latents, and the noise every stream starts from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.models.loading import ModelBundle


def initial_noise(seeds: Sequence[int], channels: int, height: int, width: int) -> Tensor:
    """Unit Gaussian noise, (len(seeds), channels, height, width), float32 on the CPU.

    Every stream has its own generator, so changing one seed leaves the others' noise bit-equal.
    """
    return torch.cat(
        [
            torch.randn((1, channels, height, width), generator=torch.Generator("cpu").manual_seed(seed))
            for seed in seeds
        ]
    )


def to_latents(bundle: ModelBundle, rgb: Tensor) -> Tensor:
    """Encode (B, 3, H, W) in -1..1 to the UNet's latents (B, 4, h, w): the mean, normalised as the model says."""
    (distribution,) = bundle.vae.encode(rgb.to(bundle.device, bundle.vae.dtype), return_dict=False)
    shift, scale = _normalisation(bundle)
    return (distribution.mean - shift) * scale


def to_rgb(bundle: ModelBundle, latents: Tensor) -> Tensor:
    """Decode the UNet's latents (B, 4, h, w) to (B, 3, H, W), clipped to -1..1."""
    shift, scale = _normalisation(bundle)
    (rgb,) = bundle.vae.decode((latents / scale + shift).to(bundle.vae.dtype), return_dict=False)  # type: ignore[arg-type]
    return rgb.clamp(-1, 1)


def _normalisation(bundle: ModelBundle) -> tuple[Tensor | float, Tensor | float]:
    """(shift, scale) with latents = (z - shift) * scale, from the VAE's own configuration."""
    config = bundle.vae.config
    mean, std, factor = config["latents_mean"], config["latents_std"], config["scaling_factor"]
    if mean is None or std is None:
        return 0.0, factor

    def column(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, device=bundle.device, dtype=bundle.vae.dtype).view(1, -1, 1, 1)

    return column(mean), factor / column(std)
