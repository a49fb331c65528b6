"""RGBA pictures <-> latents that carry transparency, in one model's own conventions."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.layers import Pixels
from engine.models.autoencoder import to_latents, to_rgb
from engine.models.loading import ModelBundle


def decode_rgba(bundle: ModelBundle, latents: Tensor) -> Pixels:
    """Decode one foreground's latents (1, 4, h, w) to uint8 RGBA (H, W, 4), straight alpha."""
    rgb = to_rgb(bundle, latents)
    read = (
        latents
        if bundle.spec.transparency.decoder_latent == "scaled"
        else latents / bundle.vae.config["scaling_factor"]
    )
    colours, alpha = bundle.decoder(rgb.to(bundle.dtype), read.to(bundle.dtype))
    return _bytes(torch.cat([(colours.clamp(-1, 1) + 1) / 2, alpha.sigmoid()], dim=1))


def decode_rgb(bundle: ModelBundle, latents: Tensor) -> Pixels:
    """Decode background or blended latents (1, 4, h, w) to uint8 RGBA (H, W, 4), opaque."""
    rgb = (to_rgb(bundle, latents) + 1) / 2
    return _bytes(torch.cat([rgb, torch.ones_like(rgb[:, :1])], dim=1))


def encode_rgba(bundle: ModelBundle, pixels: Pixels) -> Tensor:
    """Encode a foreground, uint8 RGBA (H, W, 4), to latents (1, 4, h, w) that carry its transparency.

    Colours are padded with mid-grey where they are transparent, as LayerDiffuse pads them.
    """
    padded, alpha = _over_grey(pixels, bundle)
    offset = bundle.encoder(torch.cat([padded, alpha * 2 - 1], dim=1))
    return to_latents(bundle, padded) + offset


def encode_over_grey(bundle: ModelBundle, pixels: Pixels) -> tuple[Tensor, Tensor]:
    """Encode what an opaque picture shows where this layer is solid.

    Returns:
        latents (1, 4, h, w) of the colours over mid-grey, and alpha (1, 1, H, W), 0-1.
    """
    padded, alpha = _over_grey(pixels, bundle)
    return to_latents(bundle, padded), alpha


def _over_grey(pixels: Pixels, bundle: ModelBundle) -> tuple[Tensor, Tensor]:
    unit = torch.from_numpy(np.array(pixels)).to(bundle.device, bundle.dtype).permute(2, 0, 1).unsqueeze(0) / 255
    alpha = unit[:, 3:]
    return (unit[:, :3] * 2 - 1) * alpha, alpha


def _bytes(unit: Tensor) -> NDArray[np.uint8]:
    """(1, 4, H, W), 0-1 -> uint8 (H, W, 4)."""
    return (unit[0].float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
