"""Stage `transparency`: the encoder that hides alpha in the latents, and the decoder that finds it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from layerfusion.engine.training.contact_sheets import contact_sheet, over_checks
from layerfusion.engine.training.data.dataset import Examples
from layerfusion.engine.training.latents import FOREGROUNDS, KINDS, Latents, pictures_of
from layerfusion.engine.training.loop import Stage
from layerfusion.engine.training.optimisers import optimisers_for
from layerfusion.engine.training.precision import lay_out, mixed
from layerfusion.engine.transparency.compact import CompactTransparentDecoder, CompactTransparentEncoder

BATCH = 12
OPAQUE = 4
"""Of a batch, opaque pictures: half with the encoder's offset, half as the base model draws them. The decoder learns
that what does not carry transparency is solid all over, not that grey is see-through."""

OFFSET_BOUND = 0.04
"""Mean square of the offset, in units of the latents' variance, above which it is penalised: it must stay small enough
for the base model to recognise the latents."""

LATENT_NOISE = 0.45
"""Largest standard deviation of the noise on the latents: a generated picture's are that far from any true ones. Taught
on cleaner ones, the decoder takes a generated bottle for solid."""


class TransparencyStage(Stage):
    """Train transparent encoder and decoder on a frozen VAE.

    Args:
        encoder, decoder: what to go on from.
        vae: frozen.
        sets: what was encoded.
        latents: of it.
    """

    name = "transparency"
    hold = 0.3

    def __init__(
        self,
        encoder: CompactTransparentEncoder,
        decoder: CompactTransparentDecoder,
        vae: AutoencoderKL,
        sets: Mapping[str, Examples],
        latents: Latents,
    ) -> None:
        self.network = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
        self.network.requires_grad_(True)
        self.optimisers = optimisers_for(self.network, lr=1.5e-3, matrices=False)
        self.device = next(encoder.parameters()).device
        self._encoder, self._decoder = encoder, decoder
        self._vae = vae.requires_grad_(False)
        lay_out(cast(nn.Module, vae))
        self._scale = float(vae.config["scaling_factor"])
        self._sets, self._latents = sets, latents

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        latents, padded, straight, alpha, offset = self._batch(rng)
        shift = self._encoder(torch.cat([padded, alpha * 2 - 1], dim=1))
        size = shift.square().mean()
        carried = latents + shift * offset
        strength = LATENT_NOISE * torch.rand((len(latents), 1, 1, 1), generator=generator)
        carried = carried + (strength * torch.randn(latents.shape, generator=generator)).to(self.device)
        with mixed(self.device):
            rgb = self._decoded(carried.detach()).float()
            colours, logits = (part.float() for part in self._decoder(rgb, carried))
        found = logits.sigmoid()
        opacity = F.binary_cross_entropy_with_logits(logits, alpha) + 0.5 * (found - alpha).abs().mean()
        colour = ((colours - straight).abs() * alpha).sum() / alpha.sum() / 3
        loss = opacity + colour + 0.3 * F.relu(size - OFFSET_BOUND)
        figures = {"alpha_error": float((found - alpha).abs().mean().detach()), "offset": float(size.detach()) ** 0.5}
        return loss, figures, len(latents)

    def _batch(self, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Latents, padded colours (-1..1), straight colours, alpha (0-1), and whether the offset is added, a row."""
        see_through, transparent = self._foregrounds(rng, BATCH - OPAQUE)
        rgba = torch.from_numpy(transparent.astype(np.float32) / 255).permute(0, 3, 1, 2)
        kind = "studio" if rng.random() < 0.6 else "composite"
        solid, shown = self._draw(rng, kind, OPAQUE)
        opaque = torch.from_numpy(pictures_of(self._sets["train"], kind, shown)).permute(0, 3, 1, 2)
        straight = torch.cat([rgba[:, :3] * 2 - 1, opaque])
        alpha = torch.cat([rgba[:, 3:], torch.ones_like(opaque[:, :1])])
        offset = torch.ones((BATCH, 1, 1, 1))
        offset[-(OPAQUE // 2) :] = 0
        parts = (torch.cat([see_through, solid]), straight * alpha, straight, alpha, offset)
        return tuple(part.to(self.device) for part in parts)

    def _foregrounds(self, rng: np.random.Generator, count: int) -> tuple[Tensor, NDArray[np.uint8]]:
        """Latents and RGBA of so many foregrounds, one in three without a name."""
        nameless = count // 3
        parts = []
        for kind, wanted in zip(FOREGROUNDS, (count - nameless, nameless), strict=True):
            latents, rows = self._draw(rng, kind, wanted)
            parts.append((latents, self._sets[KINDS[kind].set].foreground[rows]))
        latents, pixels = zip(*parts, strict=True)
        return torch.cat(latents), np.concatenate(pixels)

    def _draw(self, rng: np.random.Generator, kind: str, count: int) -> tuple[Tensor, NDArray[np.int64]]:
        places = torch.from_numpy(rng.integers(0, len(self._latents.rows[kind]), count))
        return self._latents.latents[kind][places], self._latents.rows[kind][places].numpy()

    @torch.no_grad()
    def _decoded(self, latents: Tensor) -> Tensor:
        return cast(Tensor, self._vae.decode(latents / self._scale).sample).clamp(-1, 1)  # type: ignore[union-attr]

    def sheet(self) -> Image.Image:
        """Training foregrounds through both networks, below what they should be."""
        places = torch.arange(0, 12 * 7, 7) % len(self._latents.rows["foreground"])
        rows = self._latents.rows["foreground"][places].numpy()
        rgba = self._sets["train"].foreground[rows].astype(np.float32) / 255
        pixels = torch.from_numpy(rgba).permute(0, 3, 1, 2).to(self.device)
        padded = (pixels[:, :3] * 2 - 1) * pixels[:, 3:]
        shift = self._encoder(torch.cat([padded, pixels[:, 3:] * 2 - 1], dim=1))
        carried = self._latents.latents["foreground"][places].to(self.device) + shift
        colours, logits = self._decoder(self._decoded(carried), carried)
        found = torch.cat([(colours.clamp(-1, 1) + 1) / 2, logits.sigmoid()], dim=1).permute(0, 2, 3, 1).cpu().numpy()
        alpha = np.repeat(found[..., 3:] * 2 - 1, 3, axis=-1)
        return contact_sheet([over_checks(rgba), over_checks(found), alpha])
