"""What a latent stands for, read from the networks' configurations."""

from __future__ import annotations

from diffusers import AutoencoderKL, UNet2DConditionModel


def pixels_a_latent(vae: AutoencoderKL) -> int:
    """Pixels a latent, a side: every level but the last halves the picture."""
    return 2 ** (len(vae.config["block_out_channels"]) - 1)


def stride_of(unet: UNet2DConditionModel, vae: AutoencoderKL) -> int:
    """What both sides of a picture must be a multiple of, in pixels, for every level of both networks to halve it."""
    return pixels_a_latent(vae) * 2 ** (len(unet.config["block_out_channels"]) - 1)
