"""What the loop needs from a network. Everything that draws speaks to a `Backbone` and cannot tell which one it is.

A new network gets a file beside `sdxl.py` and a line in `choice.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor

from layerfusion.engine.fusion.coupling import Coupling
from layerfusion.engine.fusion.masks import Grid
from layerfusion.engine.image.geometry import Size

T = TypeVar("T")


@dataclass(frozen=True)
class LatentLayout:
    """The shape of a picture's latents.

    Attributes:
        channels: C.
        factor: pixels per latent, a side.
    """

    channels: int
    factor: int

    def grid(self, size: Size) -> Grid:
        """(rows, columns) of the latents of a picture whose sides are multiples of `factor`."""
        return size.height // self.factor, size.width // self.factor


@dataclass(frozen=True)
class NoiseSchedule:
    """The schedule a network was trained on. Latents are x = a z0 + b ε with a² + b² = 1 (variance preserving).

    Attributes:
        config: as diffusers writes it, with `num_train_timesteps`, the betas, and `prediction_type`, which is
            "epsilon" or "v_prediction".
        samplers: the names of `SAMPLERS` that suit the network.
    """

    config: Mapping[str, Any]
    samplers: tuple[str, ...]


class Conditioning(Protocol):
    """What a network is told, one row a prompt. What else it holds is the network's own affair."""

    @property
    def end_of_text(self) -> Tensor:
        """(rows,) int64, the index of each prompt's first end-of-text token."""
        ...

    def __getitem__(self, rows: slice | list[int]) -> Self:
        """Some of the rows."""
        ...

    def __add__(self, below: Self) -> Self:
        """These rows, and the other's below them."""
        ...


C = TypeVar("C", bound=Conditioning)
Read = TypeVar("Read", bound=Conditioning, contravariant=True)


class Denoiser(Protocol[Read]):
    """A network that predicts the noise in latents: all that `denoise` calls."""

    @property
    def halves_apart(self) -> bool:
        """Whether memory is so short that the two guidance halves are to be two forwards. It may change in a job."""
        ...

    def forward(self, latents: Tensor, timestep: Tensor, conditioning: Read, size: Size) -> Tensor:
        """What the network predicts of noisy latents.

        Args:
            latents: (rows, C, h, w).
            timestep: () of training time, 0 … T - 1, the same for all rows.
            conditioning: one row each.
            size: of the picture they are the latents of, in pixels.

        Returns:
            (rows, C, h, w) in the type of `latents`.
        """
        ...

    def run(self, work: Callable[[], T]) -> T:
        """Do `work`, which calls `forward`, with the network on its device; more thriftily again if memory is short.

        Args:
            work: without lasting effects before it is done.
        """
        ...


class Backbone(Denoiser[C], Protocol[C]):
    """A network with the text encoders it listens to.

    Attributes:
        layout: the shape of its latents.
        schedule: the noise it was trained on.
        attention_modules: the names of its attention modules, in the order they run; a name ends in `attn1` for
            self-attention and in `attn2` for attention to the prompt.
        device: where it computes.
    """

    @property
    def layout(self) -> LatentLayout: ...

    @property
    def schedule(self) -> NoiseSchedule: ...

    @property
    def attention_modules(self) -> tuple[str, ...]: ...

    @property
    def device(self) -> torch.device: ...

    def encode(self, prompts: Sequence[str], *, negative: bool = False) -> C:
        """Encode prompts; what is longer than the network reads is cut, and `truncated` tells which that is.

        Args:
            negative: these are prompts to draw against.
        """
        ...

    def truncated(self, prompts: Sequence[str]) -> tuple[str, ...]:
        """Those prompts of which the network reads only the beginning."""
        ...

    def blank(self, rows: int) -> C:
        """Conditioning that says nothing, all zeros: for work of which only the shapes count."""
        ...

    def attached(self, coupling: Coupling) -> AbstractContextManager[None]:
        """Within the block the streams of a batch are coupled in every attention module, as `coupling` says."""
        ...
