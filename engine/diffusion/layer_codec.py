"""Encoding and decoding between RGBA pictures and latents with transparency, by the conventions of the given model."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.models.runtime.offloading import Component
from layerfusion.engine.models.runtime.vae import from_vae, posterior, to_latents, to_rgb, to_vae
from layerfusion.engine.transparency.compact import CompactTransparentDecoder, CompactTransparentEncoder
from layerfusion.engine.transparency.padding import pad_colours
from layerfusion.engine.transparency.views import Views, median_of_views


def decode_rgba(bundle: ModelBundle, latents: Tensor, *, views: Views | None = None) -> Pixels:
    """Decode one foreground's latents (1, C, h, w) to uint8 RGBA (H, W, 4), straight alpha.

    Args:
        views: how many flipped and rotated views the LayerDiffuse decoder decodes; None takes the model's number.
    """
    return decode_foreground(bundle, latents, views=views)[0]


def decode_foreground(bundle: ModelBundle, latents: Tensor, *, views: Views | None = None) -> tuple[Pixels, Pixels]:
    """Decode as `decode_rgba` does, and also return the VAE's opaque picture of the latents: the object on plain grey.

    Returns:
        two uint8 RGBA arrays (H, W, 4), straight alpha: the foreground, and the object on grey with alpha 255.
    """
    rgb = to_rgb(bundle, latents)
    return with_alpha(bundle, rgb, latents, views=views), opaque(rgb)


def with_alpha(bundle: ModelBundle, rgb: Tensor, latents: Tensor, *, views: Views | None = None) -> Pixels:
    """A foreground, uint8 RGBA (H, W, 4), of its latents (1, C, h, w) and of the VAE's picture of them, (1, 3, H, W).

    `views` is that of `decode_rgba`.
    """
    decoder, memory = bundle.decoder, bundle.memory

    def decode() -> Tensor:
        """(1, 4, H, W), 0-1, alpha last."""
        dtype = _dtype_of(decoder)
        picture, read = ((rgb.float() + 1) / 2).to(dtype), _decoder_latents(bundle, latents).to(dtype)
        if isinstance(decoder, CompactTransparentDecoder):
            colours, alpha = decoder(rgb.to(dtype), read)
            return torch.cat([(colours.clamp(-1, 1) + 1) / 2, alpha.sigmoid()], dim=1)
        if (views or bundle.spec.transparency.views) == 1:
            return decoder(picture, read).roll(-1, dims=1)
        at_once = memory.views_at_once(picture[0, 0].numel())
        return median_of_views(decoder, picture, read, at_once=at_once).roll(-1, dims=1)

    decoded = memory.run(decode, Component.DECODER)
    if _dtype_of(decoder) != torch.float32 and not torch.isfinite(decoded).all():
        decoder.to(torch.float32)
        decoded = memory.run(decode, Component.DECODER)
    return _bytes(decoded)


def decode_rgb(bundle: ModelBundle, latents: Tensor) -> Pixels:
    """Decode background or blended latents (1, C, h, w) to uint8 RGBA (H, W, 4), opaque."""
    return opaque(to_rgb(bundle, latents))


def opaque(rgb: Tensor) -> Pixels:
    """(1, 3, H, W), -1..1, to uint8 RGBA (H, W, 4) with alpha 255."""
    return _bytes(torch.cat([(rgb + 1) / 2, torch.ones_like(rgb[:, :1])], dim=1))


def encode_rgba(bundle: ModelBundle, pixels: Pixels) -> Tensor:
    """Encode a foreground, uint8 RGBA (H, W, 4), to latents (1, C, h, w) that carry its transparency.

    The VAE encodes the colours over mid-grey. The embedded model adds the encoder's offset to the latents; LayerDiffuse
    uses the offset in place of the posterior's Gaussian sample: mean + std x offset.
    """
    over_grey, alpha = _over_grey(pixels, bundle)
    factor = bundle.spec.transparency.offset_factor
    encoder, memory = bundle.encoder, bundle.memory
    if isinstance(encoder, CompactTransparentEncoder):
        seen = torch.cat([over_grey, alpha * 2 - 1], dim=1).to(_dtype_of(encoder))
        offset = memory.run(lambda: encoder(seen), Component.ENCODER)
        return to_latents(bundle, over_grey) + factor * offset
    padded = pad_colours(_unit(pixels).to(bundle.device)).unsqueeze(0)
    seen = torch.cat([alpha, padded], dim=1).to(_dtype_of(encoder))
    offset = memory.run(lambda: encoder(seen), Component.ENCODER)
    mean, std = posterior(bundle, over_grey)
    return from_vae(bundle, mean + std * (factor * offset).to(mean))


def encode_opaque(bundle: ModelBundle, pixels: Pixels) -> Tensor:
    """Encode a picture, uint8 (H, W, 3 or 4), to latents (1, C, h, w) as a background's; alpha is ignored."""
    unit = torch.from_numpy(np.ascontiguousarray(pixels[..., :3])).to(bundle.device, bundle.dtype)
    return to_latents(bundle, unit.permute(2, 0, 1).unsqueeze(0) / 127.5 - 1)


def encode_over_grey(bundle: ModelBundle, pixels: Pixels) -> tuple[Tensor, Tensor]:
    """Encode a layer's colours over mid-grey, as an opaque picture shows them where the layer is solid.

    Returns:
        latents (1, C, h, w) of the colours over mid-grey, and alpha (1, 1, H, W), 0-1.
    """
    over_grey, alpha = _over_grey(pixels, bundle)
    return to_latents(bundle, over_grey), alpha


def _decoder_latents(bundle: ModelBundle, latents: Tensor) -> Tensor:
    """The latents that the transparent decoder reads beside the picture, scaled as the model's decoder expects them."""
    read = bundle.spec.transparency.decoder_latent
    if read == "zero":
        return torch.zeros_like(latents)
    return latents if read == "scaled" else to_vae(bundle, latents)


def _dtype_of(network: torch.nn.Module) -> torch.dtype:
    return next((parameter.dtype for parameter in network.parameters()), torch.float32)


def _over_grey(pixels: Pixels, bundle: ModelBundle) -> tuple[Tensor, Tensor]:
    """float32 (1, 3, H, W), -1..1, exactly 0 where alpha is 0; and alpha (1, 1, H, W), 0-1."""
    unit = _unit(pixels).unsqueeze(0).to(bundle.device)
    alpha = unit[:, 3:]
    return (unit[:, :3] * 2 - 1) * alpha, alpha


def _unit(pixels: Pixels) -> Tensor:
    """uint8 (H, W, 4) -> float32 (4, H, W), 0-1."""
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 255


def _bytes(unit: Tensor) -> NDArray[np.uint8]:
    """(1, 4, H, W), 0-1 -> uint8 (H, W, 4)."""
    return (unit[0].float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
