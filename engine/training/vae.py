"""Stages `vae` and `thin`: pictures to latents and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.training.contact_sheets import contact_sheet
from layerfusion.engine.training.data.dataset import Examples
from layerfusion.engine.training.geometry import pixels_a_latent
from layerfusion.engine.training.loop import Stage
from layerfusion.engine.training.optimisers import optimisers_for
from layerfusion.engine.training.precision import lay_out, mixed

CROP = 8
"""Side of the crops, in latents."""

PIXELS = 16 * 64 * 64
"""Pixels a batch, a channel: so many crops as that makes."""

LATENT_NOISE = 0.08
"""Standard deviation of the noise the decoder sees in training, in the VAE's own latents. It stands for the sampled
posterior: with it the latents stay smooth enough to be predicted."""

UNLIKE = 0.3
"""What it costs a VAE to write other latents than its teacher's, in units of their variance."""

_SHARES = {"composite": 0.45, "background": 0.13, "studio": 0.17, "foreground": 0.25}


class AutoencoderStage(Stage):
    """Train the VAE on crops that prefer the object.

    Args:
        vae: what to go on from; its configuration says how many pixels a latent is, and how many channels it has.
        data: the training sets, each drawn from as often as its weight says.
        test: pictures for the sheet and the figures beside it.
        teacher: a VAE whose latents this one is to write too; stage `thin`.
    """

    clip = 1.0

    def __init__(
        self,
        vae: AutoencoderKL,
        data: Sequence[tuple[Examples, float]],
        test: Examples,
        *,
        teacher: AutoencoderKL | None = None,
    ) -> None:
        self.name = "vae" if teacher is None else "thin"
        self._teacher = teacher
        if teacher is not None:
            if _latents_of(teacher) != _latents_of(vae):
                raise InvalidRequest(
                    f"The VAE has {_latents_of(vae)}, its teacher {_latents_of(teacher)}.",
                    "Give one whose VAE keeps them.",
                )
            lay_out(cast(nn.Module, teacher.requires_grad_(False)))
        self.network = self.vae = vae
        lay_out(cast(nn.Module, vae))
        self.device = vae.device
        self._sets, self._test = [one for one, _ in data], test
        weights = np.asarray([weight for _, weight in data])
        self._chances = weights / weights.sum()
        self._crop = min(CROP * pixels_a_latent(vae), test.composite.shape[1])
        self._batch = max(1, PIXELS // self._crop**2)
        vae.requires_grad_(True)
        self.optimisers = optimisers_for(vae, lr=1.6e-3)

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        pictures = torch.from_numpy(self._crops(rng)).permute(0, 3, 1, 2).to(self.device)
        with mixed(self.device):
            posterior = self.vae.encode(pictures).latent_dist  # type: ignore[union-attr]
        latents = posterior.mean.float()
        if self._teacher is not None:
            regular = UNLIKE * self._unlike(pictures, latents)
        else:
            regular = 3e-4 * (latents.square().mean() + 0.01 * (posterior.logvar.float() + 9).square().mean())
        noise = (LATENT_NOISE * torch.randn(latents.shape, generator=generator)).to(self.device)
        with mixed(self.device):
            found = self.vae.decode(latents + noise).sample  # type: ignore[union-attr]
        error = found.float() - pictures
        across, down = error.diff(dim=-1).abs().mean(), error.diff(dim=-2).abs().mean()
        square = error.square().mean()
        loss = error.abs().mean() + 2.0 * square + 0.5 * (across + down) + regular
        return loss, {"psnr": _decibels(float(square.detach()))}, len(pictures)

    def _unlike(self, pictures: Tensor, latents: Tensor) -> Tensor:
        """The mean square of what lies between these latents and the teacher's, in units of the latents' variance."""
        assert self._teacher is not None
        with mixed(self.device), torch.no_grad():
            wanted = self._teacher.encode(pictures).latent_dist.mean  # type: ignore[union-attr]
        return (latents - wanted.float()).square().mean() * float(self._teacher.config["scaling_factor"]) ** 2

    def _crops(self, rng: np.random.Generator) -> NDArray[np.floating]:
        """(batch, crop, crop, 3), -1..1."""
        side, out = self._crop, np.empty((self._batch, self._crop, self._crop, 3), np.float32)
        for place, kind in enumerate(rng.choice(list(_SHARES), self._batch, p=list(_SHARES.values()))):
            data = self._sets[int(rng.choice(len(self._sets), p=self._chances))]
            index = int(rng.integers(len(data)))
            alpha = data.foreground[index, :, :, 3]
            spots = [tuple(8 * rng.integers(0, (alpha.shape[0] - side) // 8 + 1, 2)) for _ in range(3)]
            seen = [int(alpha[y : y + side : 4, x : x + side : 4].sum()) for y, x in spots]
            prefer = kind != "background" and rng.random() < 0.7
            y, x = spots[int(np.argmax(seen)) if prefer else 0]
            window = (index, slice(y, y + side), slice(x, x + side))
            if kind == "foreground":
                rgba = data.foreground[window].astype(np.float32) / 255
                crop = (rgba[..., :3] * 2 - 1) * rgba[..., 3:]
            else:
                crop = getattr(data, kind)[window].astype(np.float32) / 127.5 - 1
            out[place] = crop[:, ::-1] if rng.random() < 0.5 else crop
        return out

    def sheet(self) -> Image.Image:
        """Fresh composites and foregrounds over grey, above what comes back."""
        return vae_sheet(self.vae, self._test)

    def validate(self) -> dict[str, float]:
        """PSNR in decibels on whole fresh pictures."""
        return validated(self.vae, self._test)


def _latents_of(vae: AutoencoderKL) -> str:
    return f"{vae.config['latent_channels']} channels at {pixels_a_latent(vae)} px a latent"


def vae_sheet(vae: AutoencoderKL, test: Examples) -> Image.Image:
    """Twelve composites and twelve foregrounds over grey, above what comes back."""
    pictures = test.composite[:12].astype(np.float32) / 127.5 - 1
    pictures = np.concatenate([pictures, test.on_grey(np.arange(12, 24))])
    back = round_trip(vae, pictures)
    return contact_sheet([pictures[:12], back[:12], pictures[12:], back[12:]])


def validated(vae: AutoencoderKL, test: Examples) -> dict[str, float]:
    """PSNR in decibels of 32 composites, and of 32 foregrounds over grey."""
    rows = np.arange(min(32, len(test)))
    pictures = {"composite": test.composite[rows].astype(np.float32) / 127.5 - 1, "foreground": test.on_grey(rows)}
    return {f"psnr_{kind}": psnr(round_trip(vae, true), true) for kind, true in pictures.items()}


def round_trip(vae: AutoencoderKL, pictures: NDArray[np.floating]) -> NDArray[np.floating]:
    """Encode and decode (N, H, W, 3), -1..1."""
    parts = []
    for batch in torch.from_numpy(pictures).permute(0, 3, 1, 2).split(8):
        latents = vae.encode(batch.to(vae.device)).latent_dist.mean  # type: ignore[union-attr]
        parts.append(vae.decode(latents).sample.clamp(-1, 1).cpu())  # type: ignore[union-attr]
    return torch.cat(parts).permute(0, 2, 3, 1).numpy()


def psnr(found: NDArray[np.floating], true: NDArray[np.floating]) -> float:
    """Mean over pictures (N, H, W, 3), -1..1, of the peak signal-to-noise ratio in decibels."""
    return float(np.mean([_decibels(float(np.square(a - b).mean())) for a, b in zip(found, true, strict=True)]))


def _decibels(square_error: float) -> float:
    return -10 * np.log10(max(square_error, 1e-10) / 4)


@torch.no_grad()
def latent_scale(vae: AutoencoderKL, data: Examples, count: int = 320) -> float:
    """The scaling factor that gives latents unit standard deviation."""
    rows = np.arange(min(count, len(data)))
    pictures = np.concatenate([data.composite[rows].astype(np.float32) / 127.5 - 1, data.on_grey(rows)])
    batches = torch.from_numpy(pictures).permute(0, 3, 1, 2).split(8)
    latents = torch.cat([vae.encode(batch.to(vae.device)).latent_dist.mean for batch in batches])  # type: ignore[union-attr]
    return 1 / float(latents.std())
