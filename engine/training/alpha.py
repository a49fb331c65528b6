"""Stage `alpha`: the transparent decoder goes on with foregrounds as the model draws them.

It comes last, after the foreground deltas, the adapter for few steps and the VAE's decoder, because it reads what all
of them make. Four kinds of foregrounds are shown to it, all our choice:

* known ones, noised and drawn again in few and in many steps (see `drawn_again`), half of which one can see through;
* whole drawings of solid objects, whose true alpha nobody knows. What is nearly solid in them must become solid, and
  what is faint or lies away from the object must become nothing (as pseudo-labels are sharpened in MixMatch, Berthelot
  et al., arXiv 1905.02249): a grey that came out a little coloured is no veil;
* whole drawings of things one can see through, whose truth is their one picture, laid into the outline that was drawn
  (see `fitting`): what the UNet scratches into the inside of a bottle is neither its alpha nor its colour;
* opaque pictures, as in `transparency`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from layerfusion.engine.training.data import translucent
from layerfusion.engine.training.data.dataset import Examples
from layerfusion.engine.training.data.vocabulary import TRANSLUCENT, with_article
from layerfusion.engine.training.drawn_again import DrawnAgain
from layerfusion.engine.training.fitting import fitted
from layerfusion.engine.training.latents import KINDS, Latents, pictures_of
from layerfusion.engine.training.precision import mixed
from layerfusion.engine.training.transparency import TransparencyStage
from layerfusion.engine.transparency.compact import CompactTransparentDecoder, CompactTransparentEncoder

SHOWN = {"see-through": 2, "named": 1, "nameless": 1}
"""How many are drawn again at once, by what they show, with as many opaque pictures as `OPAQUE` says."""

OPAQUE = 2
"""Half of which carry the encoder's offset."""

BATCH = {"known": 5, "solid": 3, "see-through": 4}
"""How many of a batch are known, and whole drawings of each kind."""

POOL = {"known": 96, "solid": 64, "see-through": 40}
"""How many drawings are kept to choose from; of things one can see through, of each name."""

DRAW_EVERY, TOGETHER = 2, 4
"""In so many steps some more are drawn, in turn known ones and whole ones; and how many whole solid ones at once."""

LATENT_NOISE = 0.15
"""Largest standard deviation of the noise on what is drawn again."""

SEE_THROUGH_COUNTS = 5.0
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


@dataclass(frozen=True)
class _Shown:
    """A drawing and what the decoder should find in it, half precision, on the processor.

    Attributes:
        latents: (channels, h, w).
        rgb: the VAE's picture of them (3, H, W), -1..1.
        straight: true colours (3, H, W), -1..1; zeros where nobody knows them.
        alpha: true alpha (1, H, W), 0-1.
        coloured: 1 if the colours are known, else 0.
    """

    latents: Tensor
    rgb: Tensor
    straight: Tensor
    alpha: Tensor
    coloured: float


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
        self._before = deepcopy(decoder).requires_grad_(False).eval()
        self._drawn_again = drawn_again
        names = [sets["train"].facts[int(row)]["names"] for row in latents.rows["foreground"]]
        clear = np.asarray([any(name in TRANSLUCENT for name in some) for some in names])
        single = np.asarray([len(some) == 1 for some in names])
        self._clear, self._solid = np.flatnonzero(clear), np.flatnonzero(single & ~clear)
        self._names = sorted({names[row][0] for row in np.flatnonzero(single & clear)})
        self._pools: dict[str, list[_Shown]] = {kind: [] for kind in ("known", "solid", *self._names)}
        self._done = 0

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        if self._done % DRAW_EVERY == 0:
            self._draw_more(rng, generator)
        self._done += 1
        shown = self._chosen(rng)
        latents, rgb, straight, alpha = (
            torch.stack([getattr(one, part) for one in shown]).float().to(self.device)
            for part in ("latents", "rgb", "straight", "alpha")
        )
        coloured = torch.tensor([one.coloured for one in shown], device=self.device).view(-1, 1, 1, 1)
        with mixed(self.device):
            colours, logits = (part.float() for part in self._decoder(rgb, latents))
        found = logits.sigmoid()
        between = ((alpha > 0.03) & (alpha < 0.97)).float()
        weight = 1 + SEE_THROUGH_COUNTS * between
        error = found - alpha
        opacity = F.binary_cross_entropy_with_logits(logits, alpha, weight=weight) + 0.5 * (weight * error.abs()).mean()
        across, down = weight[..., 1:] * error.diff(dim=-1).abs(), weight[..., 1:, :] * error.diff(dim=-2).abs()
        edges = across.mean() + down.mean()
        veil = (found / (found + 0.1) * (alpha == 0)).mean()
        seen = alpha * coloured
        colour = ((colours - straight).abs() * seen).sum() / seen.sum().clamp(min=1) / 3
        loss = opacity + 0.5 * edges + VEIL * veil + colour
        missed = (error.abs() * between).sum() / between.sum().clamp(min=1)
        figures = {"alpha_error": error.abs().mean(), "see_through": missed, "veil": veil, "edges": edges}
        figures["colour"] = colour
        return loss, {name: float(value.detach()) for name, value in figures.items()}, len(shown)

    def _chosen(self, rng: np.random.Generator) -> list[_Shown]:
        """A batch out of the pools; of things one can see through, every name as often as the others."""
        there = [name for name in self._names if self._pools[name]]
        kinds = [kind for kind in ("known", "solid") for _ in range(BATCH[kind]) if self._pools[kind]]
        kinds += [there[place] for place in rng.integers(0, len(there), BATCH["see-through"])] if there else []
        return [self._pools[kind][int(rng.integers(len(self._pools[kind])))] for kind in kinds]

    def _draw_more(self, rng: np.random.Generator, generator: torch.Generator) -> None:
        turn = self._done // DRAW_EVERY % 3
        if turn == 0:
            self._draw_known(rng, generator)
        elif turn == 1:
            self._draw_whole(rng, generator)
        else:
            self._draw_seen_through(generator)
        for kind, pool in self._pools.items():
            del pool[: -POOL.get(kind, POOL["see-through"])]

    def _keep(self, kind: str, latents: Tensor, straight: Tensor | None, alpha: Tensor) -> None:
        """Put drawings (B, channels, h, w) with their truth, (B, 3, H, W) and (B, 1, H, W), into a pool."""
        with mixed(self.device):
            rgb = self._decoded(latents)
        known = torch.zeros_like(rgb) if straight is None else straight
        parts = (part.detach().half().cpu().clone() for part in (latents, rgb, known, alpha))
        for one in zip(*parts, strict=True):
            self._pools[kind].append(_Shown(*one, coloured=float(straight is not None)))

    @torch.no_grad()
    def _draw_known(self, rng: np.random.Generator, generator: torch.Generator) -> None:
        """Draw known foregrounds again, and take opaque pictures."""
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
        self._keep("known", torch.cat([again, carried[len(captions) :]]), straight, alpha)

    @torch.no_grad()
    def _draw_whole(self, rng: np.random.Generator, generator: torch.Generator) -> None:
        """Draw solid objects from nothing."""
        if not len(self._solid):
            return
        places = rng.choice(self._solid, TOGETHER)
        captions = [self._latents.captions["foreground"][int(place)] for place in places]
        latents = self._drawn_again.whole(captions, generator)
        for one, alpha in zip(latents, self._alpha_before(latents), strict=True):
            firm = settled(alpha)
            if firm.any():
                self._keep("solid", one[None], None, torch.from_numpy(firm)[None, None].to(self.device))

    @torch.no_grad()
    def _draw_seen_through(self, generator: torch.Generator) -> None:
        """Draw what one can see through from nothing, and lay its picture into the outlines."""
        if not self._names:
            return
        latents = self._drawn_again.whole([with_article(name) for name in self._names], generator)
        for name, one, alpha in zip(self._names, latents, self._alpha_before(latents), strict=True):
            laid = fitted(np.asarray(translucent.draw(name)), alpha)
            if laid is not None:
                rgba = torch.from_numpy(laid).permute(2, 0, 1)[None].to(self.device)
                self._keep(name, one[None], rgba[:, :3] * 2 - 1, rgba[:, 3:])

    def _alpha_before(self, latents: Tensor) -> NDArray[np.floating]:
        """Alpha (B, H, W) as the decoder found it before this stage: outlines must not follow what is being learnt."""
        with mixed(self.device):
            _, logits = self._before(self._decoded(latents).float(), latents)
        return logits.float().sigmoid()[:, 0].cpu().numpy()


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
