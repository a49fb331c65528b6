"""Running the loop of one job without computing, to see which forwards of the network it asks for.

The loop of `engine.diffusion.denoise` runs unchanged on a network that predicts zeros. Layers that the artist keeps are
constraints that hold their stream, as in a real job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from layerfusion.engine.diffusion.constraints import Constraints, LatentConstraint, Moment
from layerfusion.engine.diffusion.denoise import Guidance, Prompts, denoise
from layerfusion.engine.diffusion.known_scene import LIGHT_AFTER, LIGHT_AT
from layerfusion.engine.diffusion.observer import Observer
from layerfusion.engine.diffusion.sampling import Sampler
from layerfusion.engine.fusion.coupling import Coupling, Forward
from layerfusion.engine.fusion.mask_builder import KnownShape
from layerfusion.engine.fusion.masks import Grid
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.request import HARMONISE_STRENGTH

Kind = Literal["new", "background", "harmonise"]
"""What is drawn: all layers; a new background under kept foregrounds; shadow and light of layers that are all kept."""

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One forward of the network: its place in the job, and the number of its rows."""

    now: Forward
    rows: int


def known_shapes(kind: Kind, streams: Streams, grid: Grid, device: torch.device) -> dict[int, KnownShape]:
    """The shapes of the foregrounds that are kept."""
    if kind == "new":
        return {}
    alpha = torch.ones((1, grid[0] * grid[1]), device=device)
    return {index: KnownShape(alpha) for index in range(streams.foregrounds)}


def calls(
    kind: Kind, coupling: Coupling, sampler: Sampler, words: Any, channels: int, size: Size, scale: float
) -> list[Call]:
    """The forwards of a job.

    Args:
        kind: what is drawn.
        coupling: a coupling on the processor.
        sampler: a new sampler.
        words: blank conditioning, one row per stream.
        channels: the number of latent channels.
        size: the picture's size in pixels.
        scale: the guidance scale.
    """
    noise, recorded = torch.zeros((coupling.streams.count, channels, *coupling.latent_grid)), _Recorded()
    held = _held(kind, coupling.streams, noise)
    for _ in denoise(_Zeros(), sampler, coupling, Prompts(words, words, size), noise, Guidance(scale), held, recorded):
        pass
    return recorded.calls


def _held(kind: Kind, streams: Streams, noise: Tensor) -> Constraints:
    """The constraints of `engine.diffusion.source_constraints`, as far as they decide which rows run."""
    if kind == "new":
        return Constraints()
    everywhere = torch.ones((1, 1, 1))
    kept = [*range(streams.foregrounds), *([streams.background] if kind == "harmonise" else [])]
    latents = [LatentConstraint(stream, noise[stream], everywhere) for stream in kept]
    since = 1.0
    if kind == "harmonise":
        since = HARMONISE_STRENGTH
        latents.append(LatentConstraint(streams.blended, noise[streams.blended], everywhere, until=since))
    return Constraints(tuple(latents), scenes=(_Lit(streams.blended, min(LIGHT_AT, LIGHT_AFTER * since)),))


class _Lit:
    """Holds the blended stream, as `SceneConstraint` does, from the step in which its light is read."""

    until = 0.0

    def __init__(self, stream: int, light_at: float) -> None:
        self.stream, self._light_at, self.holds_all = stream, light_at, False

    def start(self, state: Tensor, noise: Tensor, sampler: Sampler) -> None:
        """Change nothing."""

    def replace_prediction(self, prediction: Tensor, model_input: Tensor, now: Moment) -> None:
        self.holds_all = now.time <= self._light_at

    def after_step(self, state: Tensor, now: Moment) -> None:
        """Change nothing."""


class _Zeros:
    """A `Denoiser` that predicts zeros and computes nothing."""

    halves_apart = False

    def forward(self, latents: Tensor, timestep: Tensor, conditioning: Any, size: Size) -> Tensor:
        return torch.zeros_like(latents)

    def run(self, work: Callable[[], T]) -> T:
        return work()


class _Recorded(Observer):
    """Records the forwards."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def forward(self, now: Forward, rows: int) -> None:
        self.calls.append(Call(now, rows))
