"""Encoding images to the UNet's latents and decoding them, with the normalisation of the VAE's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.models.runtime.offloading import Component


def to_latents(bundle: ModelBundle, rgb: Tensor) -> Tensor:
    """Encode rgb (B, 3, H, W) in -1..1 to the UNet's latents (B, C, h, w): the posterior's mean, normalised."""
    return from_vae(bundle, posterior(bundle, rgb)[0])


def posterior(bundle: ModelBundle, rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the VAE's posterior, each (B, C, h, w), in the VAE's scale.

    Args:
        bundle: the model.
        rgb: (B, 3, H, W), -1..1.
    """

    def encode() -> tuple[Tensor, Tensor]:
        (distribution,) = bundle.vae.encode(rgb.to(bundle.device, _precision(bundle)), return_dict=False)
        return distribution.mean, distribution.std

    return bundle.memory.run(encode, Component.VAE)


def to_rgb(bundle: ModelBundle, latents: Tensor) -> Tensor:
    """Decode the UNet's latents (B, C, h, w) to (B, 3, H, W), clipped to -1..1.

    If the VAE overflows in half precision, as SDXL's may in float16, it is converted to float32 for good and the
    decoding is repeated.
    """

    def decode() -> Tensor:
        (rgb,) = bundle.vae.decode(to_vae(bundle, latents).to(_precision(bundle)), return_dict=False)  # type: ignore[arg-type]
        return rgb.clamp(-1, 1)

    rgb = bundle.memory.run(decode, Component.VAE)
    if _precision(bundle) != torch.float32 and not torch.isfinite(rgb).all():
        nn.Module.to(bundle.vae, torch.float32)  # diffusers' own `to` would print a warning
        rgb = bundle.memory.run(decode, Component.VAE)
    return rgb


def from_vae(bundle: ModelBundle, latents: Tensor) -> Tensor:
    """Convert latents (B, C, h, w) from the VAE's scale to the UNet's."""
    shift, scale = _normalisation(bundle)
    return (latents - shift) * scale


def to_vae(bundle: ModelBundle, latents: Tensor) -> Tensor:
    """Convert latents (B, C, h, w) from the UNet's scale to the VAE's."""
    shift, scale = _normalisation(bundle)
    return latents / scale + shift


def _precision(bundle: ModelBundle) -> torch.dtype:
    """The data type of the VAE's weights; diffusers' own `dtype` walks through all its modules each time."""
    return next(cast(nn.Module, bundle.vae).parameters()).dtype


def _normalisation(bundle: ModelBundle) -> tuple[Tensor | float, Tensor | float]:
    """(shift, scale), where the UNet's latents are (z - shift) * scale, from the VAE's configuration."""
    config = bundle.vae.config
    mean, std, factor = config["latents_mean"], config["latents_std"], config["scaling_factor"]
    if mean is None or std is None:
        return 0.0, factor

    def column(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, device=bundle.device, dtype=_precision(bundle)).view(1, -1, 1, 1)

    return column(mean), factor / column(std)
