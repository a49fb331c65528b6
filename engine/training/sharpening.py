"""Stage `decoder`: the VAE's decoder alone, until pictures are as sharp as what they were made from.

A decoder that learns from the distance of pixels paints the mean of all pictures that its latents could stand for, and
means are soft. Three things are added here, all our choice of published ideas:

* a critic of patches, trained beside the decoder (PatchGAN with the hinge loss, as VQGAN has it; Esser et al., arXiv
  2012.09841), whose share of the gradient is kept constant, as there;
* the strength of gradients, averaged over small windows, which must be that of the truth: edges and textures may lie a
  pixel off, but must be as strong, and flat regions must stay flat (after the gradient-variance loss, Abrahamyan et
  al., arXiv 2202.00997, which compares variances of gradient maps);
* half of the pictures are not encoded ones but noised and drawn again by the model, see `drawn_again`.

The encoder, and so all latents, stay as they are.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor, nn

from layerfusion.engine.training.data.dataset import Examples
from layerfusion.engine.training.drawn_again import DrawnAgain
from layerfusion.engine.training.latents import KINDS, Latents, pictures_of
from layerfusion.engine.training.loop import Stage
from layerfusion.engine.training.optimisers import optimisers_for
from layerfusion.engine.training.precision import lay_out, mixed
from layerfusion.engine.training.vae import vae_sheet, validated

SHARES = {"composite": 0.4, "small": 0.1, "nameless": 0.1, "studio": 0.1, "foreground": 0.2, "background": 0.1}
"""What the pictures are of. Foregrounds over grey are never drawn again here: their latents carry alpha then."""

CROP = 12
"""Side of the crops, in latents."""

BATCH = 8

POOL, POOL_STEP = 160, 2
"""How many pictures drawn again are kept to choose from, and how many of them are drawn anew each step."""

LATENT_NOISE = 0.08
"""Largest standard deviation of the noise on true latents, in the UNet's scale."""

STRENGTH, WINDOW = 2.0, 5
"""Weight of the loss of gradients' strength, and the side of the windows it is averaged over, in pixels."""

ENERGY = 0.15
"""Weight of the difference between the logarithms of the mean energy of a batch's gradients and the truth's. Where the
decoder cannot know which windows are strong, it would make all of them as weak as most are."""

CRITIC = 0.25
"""The critic's gradient at the last layer, as a share of that of all else."""

DRAWN_COUNTS = 0.3
"""Weight of the distance of pixels where the picture was drawn again: its details are the model's own, which no decoder
should wash out for not being those of the truth."""

_LOUDER = 6.0
_CRITIC_RATE = 1e-3
_CRITIC_FIRST = 80
"""Steps that the critic has alone before the decoder hears of it."""


class Critic(nn.Module):
    """Pictures (B, 3, H, W), -1..1, to how true each patch of about 30 pixels looks, (B, 1, h, w).

    It is also shown, louder, what a blur takes away: true pictures and those of a decoder differ in little else.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (6, 32, 64, 96)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.GroupNorm(4, after), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, pictures: Tensor) -> Tensor:
        fine = pictures - F.avg_pool2d(pictures, 5, stride=1, padding=2, count_include_pad=False)
        return self.layers(torch.cat([pictures, _LOUDER * fine], dim=1))


class SharpeningStage(Stage):
    """Train the VAE's decoder.

    A run that is gone on with begins with a new critic and a new pool.

    Args:
        vae: what to go on from.
        sets: what was encoded.
        latents: of it.
        test: pictures for the sheet and the figures beside it.
        drawn_again: what noises pictures and draws them again.
    """

    name = "decoder"
    hold = 0.3

    def __init__(
        self, vae: AutoencoderKL, sets: dict[str, Examples], latents: Latents, test: Examples, drawn_again: DrawnAgain
    ) -> None:
        self.network = self.vae = vae
        lay_out(cast(nn.Module, vae))
        self.device = vae.device
        vae.requires_grad_(False)
        vae.decoder.requires_grad_(True)
        cast(nn.Module, vae.post_quant_conv).requires_grad_(True)
        self.optimisers = optimisers_for(vae, lr=5e-4, matrices=False)
        self._scale = float(vae.config["scaling_factor"])
        self._sets, self._latents, self._test, self._drawn_again = sets, latents, test, drawn_again
        self._critic = Critic().to(self.device)
        self._critic_optimiser = torch.optim.AdamW(self._critic.parameters(), lr=_CRITIC_RATE, betas=(0.5, 0.95))
        self._pool: list[tuple[Tensor, str, int]] = []
        self._done = 0

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        self._done += 1
        latents, true, again = self._crops(rng, generator)
        with mixed(self.device):
            found = self.vae.decode(latents / self._scale).sample.float()  # type: ignore[union-attr]
        error = (found - true) * torch.where(again, DRAWN_COUNTS, 1.0).view(-1, 1, 1, 1)
        distance = error.abs().mean() + 2.0 * error.square().mean()
        strength, wanted = gradient_strength(found), gradient_strength(true)
        soft = (strength - wanted).abs().mean()
        ratio = strength.square().mean().log() - wanted.square().mean().log()
        loss = distance + STRENGTH * soft + ENERGY * ratio.abs()
        disliked = self._judged(found.detach(), true)
        figures = {"distance": float(distance.detach()), "soft": float(soft.detach()), "critic": disliked}
        figures["energy"] = float(ratio.detach().exp())
        if self._done > _CRITIC_FIRST:
            self._critic.requires_grad_(False)
            with mixed(self.device):
                praise = self._critic(found).float().mean()
            self._critic.requires_grad_(True)
            loss = loss - CRITIC * self._balance(loss, praise) * praise
        return loss, figures, len(true)

    def _judged(self, found: Tensor, true: Tensor) -> float:
        """The critic's own step; what it lost by, 2 at first and less the better it tells pictures apart."""
        with mixed(self.device):
            real, drawn = self._critic(true).float(), self._critic(found).float()
        loss = F.relu(1 - real).mean() + F.relu(1 + drawn).mean()
        self._critic_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._critic_optimiser.step()
        return float(loss.detach())

    def _balance(self, loss: Tensor, praise: Tensor) -> Tensor:
        """The weight with which the critic's gradient at the decoder's last layer is as large as the loss's."""
        last = self.vae.decoder.conv_out.weight
        own, other = (torch.autograd.grad(part, last, retain_graph=True)[0].norm() for part in (loss, praise))
        return (own / (other + 1e-6)).clamp(max=10.0).detach()

    def _crops(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Latents (B, channels, h, w) in the UNet's scale, the pictures that they should become (B, 3, H, W), -1..1,
        and whether each was drawn again, (B,)."""
        self._draw_some(rng, generator)
        latents, pictures = [], []
        for place in range(BATCH):
            if place < BATCH // 2:
                encoded, kind, row = self._pool[int(rng.integers(len(self._pool)))]
            else:
                kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
                row = int(rng.integers(len(self._latents.rows[kind])))
                encoded = self._latents.latents[kind][row]
                noise = LATENT_NOISE * float(rng.random()) * torch.randn(encoded.shape, generator=generator)
                encoded = encoded + noise
            encoded, picture = self._cut(rng, encoded, kind, row)
            latents.append(encoded)
            pictures.append(picture)
        again = torch.arange(BATCH) < BATCH // 2
        return torch.stack(latents).to(self.device), torch.stack(pictures).to(self.device), again.to(self.device)

    def _cut(self, rng: np.random.Generator, encoded: Tensor, kind: str, row: int) -> tuple[Tensor, Tensor]:
        """A crop that shows some of the object more often than not."""
        height, width = encoded.shape[-2:]
        side = min(CROP, height, width)
        y, x = (int(rng.integers(0, size - side + 1)) for size in (height, width))
        extent = self._latents.extent.get(kind)
        if extent is not None and rng.random() < 0.7:
            first, last = extent[row, :2].tolist(), extent[row, 2:].tolist()
            y, x = (
                int(np.clip(rng.integers(low - side // 2, max(low, high - side) + side // 2 + 1), 0, size - side))
                for low, high, size in zip(first, last, (height, width), strict=True)
            )
        data = self._sets[KINDS[kind].set]
        whole = pictures_of(data, KINDS[kind].field, self._latents.rows[kind][row : row + 1].numpy())[0]
        step = whole.shape[0] // height
        picture = whole[y * step : (y + side) * step, x * step : (x + side) * step]
        return encoded[:, y : y + side, x : x + side], torch.from_numpy(picture).permute(2, 0, 1)

    def _draw_some(self, rng: np.random.Generator, generator: torch.Generator) -> None:
        """Draw a few pictures again, which replace the oldest of the pool; eight steps' worth to begin with."""
        shares = {kind: share for kind, share in SHARES.items() if kind != "foreground"}
        chances = np.asarray(list(shares.values())) / sum(shares.values())
        count = POOL_STEP if self._pool else 8 * POOL_STEP
        kinds = [str(kind) for kind in rng.choice(list(shares), count, p=chances)]
        rows = [int(rng.integers(len(self._latents.rows[kind]))) for kind in kinds]
        pairs = list(zip(kinds, rows, strict=True))
        clean = torch.stack([self._latents.latents[kind][row] for kind, row in pairs]).to(self.device)
        captions = [self._latents.captions[kind][row] for kind, row in pairs]
        found = self._drawn_again(clean, captions, generator).cpu()
        self._pool += [(one, kind, row) for one, (kind, row) in zip(found, pairs, strict=True)]
        del self._pool[:-POOL]

    def sheet(self) -> Image.Image:
        """Fresh composites and foregrounds over grey, above what comes back."""
        return vae_sheet(self.vae, self._test)

    def validate(self) -> dict[str, float]:
        """PSNR in decibels on whole fresh pictures."""
        return validated(self.vae, self._test)


def gradient_strength(pictures: Tensor) -> Tensor:
    """The root mean square of the gradients of pictures (B, 3, H, W), -1..1, in windows of `WINDOW` pixels."""
    across, down = pictures.diff(dim=-1)[..., 1:, :], pictures.diff(dim=-2)[..., :, 1:]
    energy = (across.square() + down.square()).mean(dim=1, keepdim=True)
    return (F.avg_pool2d(energy, WINDOW, stride=2) + 1e-5).sqrt()
