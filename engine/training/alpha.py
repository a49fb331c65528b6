"""Stage `alpha`: the transparent decoder goes on with foregrounds as the model draws them.

It comes last, after the foreground deltas, the adapter for few steps and the VAE's decoder, because it reads what all
of them make. Three kinds of foregrounds are shown to it, all our choice:

* known ones, noised and drawn again in few and in many steps (see `drawn_again`), half of which one can see through;
* whole drawings of solid objects, whose true alpha nobody knows. What is nearly solid in them must become solid, and
  what is faint or lies away from the object must become nothing (as pseudo-labels are sharpened in MixMatch, Berthelot
  et al., arXiv 1905.02249): a grey that came out a little coloured is no veil;
* opaque pictures, as in `transparency`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from layerfusion.engine.training.data.dataset import Examples
from layerfusion.engine.training.data.vocabulary import TRANSLUCENT
from layerfusion.engine.training.drawn_again import DrawnAgain
from layerfusion.engine.training.latents import KINDS, Latents, pictures_of
from layerfusion.engine.training.precision import mixed
from layerfusion.engine.training.transparency import TransparencyStage
from layerfusion.engine.transparency.compact import CompactTransparentDecoder, CompactTransparentEncoder

SHOWN = {"see-through": 2, "named": 1, "nameless": 1}
"""How many of a batch are drawn again, by what they show."""

WHOLE, OPAQUE = 2, 2
"""Whole drawings and opaque pictures of a batch; half of the opaque ones carry the encoder's offset."""

POOL, POOL_EVERY = 64, 4
"""How many whole drawings are kept to choose from; as many as the second number says are drawn in so many steps."""

LATENT_NOISE = 0.15
"""Largest standard deviation of the noise on what is drawn again."""

SEE_THROUGH_COUNTS = 3.0
"""What is added to the weight of 1 where a thing is neither solid nor absent."""

VEIL = 0.15
"""Weight of what is seen where nothing is. A little costs nearly as much as much does, unlike in the cross entropy, to
which a veil of a hundredth is next to nothing."""

FIRM = (0.3, 0.7)
"""In whole drawings of solid objects, alpha up to the first is none, from the second on all."""

PARTS = 0.04
"""Pieces smaller than this share of the largest are no part of the object, and are to vanish."""

_REACH = 6
"""How far from a piece its soft edge may reach, in pixels."""


class AlphaStage(TransparencyStage):
    """Train the transparent decoder; the encoder, which deltas and adapter were trained with, stays as it is.

    Args:
        encoder, decoder: what to go on from.
        vae: frozen.
        sets: what was encoded.
        latents: of it.
        drawn_again: what draws foregrounds.
    """

    name = "alpha"

    def __init__(
        self,
        encoder: CompactTransparentEncoder,
        decoder: CompactTransparentDecoder,
        vae: AutoencoderKL,
        sets: Mapping[str, Examples],
        latents: Latents,
        drawn_again: DrawnAgain,
    ) -> None:
        super().__init__(encoder, decoder, vae, sets, latents)
        encoder.requires_grad_(False)
        self._drawn_again = drawn_again
        names = [sets["train"].facts[int(row)]["names"] for row in latents.rows["foreground"]]
        clear = np.asarray([any(name in TRANSLUCENT for name in some) for some in names])
        single = np.asarray([len(some) == 1 for some in names])
        self._clear, self._solid = np.flatnonzero(clear), np.flatnonzero(single & ~clear)
        self._pool: list[tuple[Tensor, Tensor]] = []
        self._done = 0

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        if self._done % POOL_EVERY == 0:
            self._draw_whole(rng, generator)
        self._done += 1
        latents, straight, alpha = self._shown(rng, generator)
        known = len(latents)
        if self._pool:
            chosen = [self._pool[int(rng.integers(len(self._pool)))] for _ in range(WHOLE)]
            latents = torch.cat([latents, torch.stack([one for one, _ in chosen])])
            alpha = torch.cat([alpha, torch.stack([two for _, two in chosen])])
        with mixed(self.device):
            rgb = self._decoded(latents).float()
            colours, logits = (part.float() for part in self._decoder(rgb, latents))
        found = logits.sigmoid()
        between = ((alpha > 0.03) & (alpha < 0.97)).float()
        weight = 1 + SEE_THROUGH_COUNTS * between
        error = found - alpha
        opacity = F.binary_cross_entropy_with_logits(logits, alpha, weight=weight) + 0.5 * (weight * error.abs()).mean()
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        veil = (found / (found + 0.1) * (alpha == 0)).mean()
        seen = alpha[:known]
        colour = ((colours[:known] - straight).abs() * seen).sum() / seen.sum() / 3
        loss = opacity + 0.5 * edges + VEIL * veil + colour
        missed = (error.abs() * between).sum() / between.sum().clamp(min=1)
        figures = {"alpha_error": error.abs().mean(), "see_through": missed, "veil": veil, "edges": edges}
        return loss, {name: float(value.detach()) for name, value in figures.items()}, len(latents)

    @torch.no_grad()
    def _shown(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Latents of known foregrounds, drawn again, and of opaque pictures; their straight colours (B, 3, H, W),
        -1..1, and alpha (B, 1, H, W)."""
        parts, pixels, captions = [], [], []
        for shows, count in SHOWN.items():
            kind = "nameless_foreground" if shows == "nameless" else "foreground"
            some = self._clear if shows == "see-through" and len(self._clear) else None
            places = rng.choice(some if some is not None else len(self._latents.rows[kind]), count)
            parts.append(self._latents.latents[kind][torch.from_numpy(places)])
            pixels.append(self._sets[KINDS[kind].set].foreground[self._latents.rows[kind][places].numpy()])
            captions += [self._latents.captions[kind][int(place)] for place in places]
        rgba = torch.from_numpy(np.concatenate(pixels).astype(np.float32) / 255).permute(0, 3, 1, 2)
        kind = "studio" if rng.random() < 0.6 else "composite"
        solid, rows = self._draw(rng, kind, OPAQUE)
        opaque = torch.from_numpy(pictures_of(self._sets["train"], kind, rows)).permute(0, 3, 1, 2)
        straight = torch.cat([rgba[:, :3] * 2 - 1, opaque]).to(self.device)
        alpha = torch.cat([rgba[:, 3:], torch.ones_like(opaque[:, :1])]).to(self.device)
        shift = self._encoder(torch.cat([straight * alpha, alpha * 2 - 1], dim=1))
        shift[len(shift) - OPAQUE // 2 :] = 0
        carried = torch.cat([*parts, solid]).to(self.device) + shift
        again = self._drawn_again(carried[: len(captions)], captions, generator)
        strength = LATENT_NOISE * torch.rand((len(again), 1, 1, 1), generator=generator)
        again = again + (strength * torch.randn(again.shape, generator=generator)).to(self.device)
        return torch.cat([again, carried[len(captions) :]]), straight, alpha

    @torch.no_grad()
    def _draw_whole(self, rng: np.random.Generator, generator: torch.Generator) -> None:
        """Draw solid objects from nothing, which replace the oldest of the pool."""
        if not len(self._solid):
            return
        places = rng.choice(self._solid, POOL_EVERY)
        captions = [self._latents.captions["foreground"][int(place)] for place in places]
        latents = self._drawn_again.whole(captions, generator)
        with mixed(self.device):
            _, logits = self._decoder(self._decoded(latents).float(), latents)
        for one, alpha in zip(latents, logits.float().sigmoid()[:, 0].cpu().numpy(), strict=True):
            firm = settled(alpha)
            if firm.any():
                self._pool.append((one, torch.from_numpy(firm)[None].to(self.device)))
        del self._pool[:-POOL]


def settled(alpha: NDArray[np.floating]) -> NDArray[np.floating]:
    """The alpha (H, W), 0-1, of a solid object without what is faint, and without small pieces away from it.

    All of it is 0 if nothing in it is half solid.
    """
    from scipy import ndimage  # of the extra `train`

    labels, count = ndimage.label(alpha > 0.5)  # type: ignore[misc]
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    if not count:
        return np.zeros_like(alpha)
    pieces = np.isin(labels, 1 + np.flatnonzero(sizes >= PARTS * sizes.max()))
    near = ndimage.binary_dilation(pieces, iterations=_REACH)
    faint, solid = FIRM
    return (((alpha - faint) / (solid - faint)).clip(0, 1) * near).astype(np.float32)
