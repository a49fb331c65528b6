"""The interface of a diffusion network. All code that draws uses a `Backbone` and does not depend on its architecture.

To add a network, write a file beside `sdxl.py` and choose it in `choice.py`.
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
from layerfusion.engine.prompt_syntax import ParsedPrompt

T = TypeVar("T")


@dataclass(frozen=True)
class LatentLayout:
    """The shape of a picture's latents.

    Attributes:
        channels: C, the number of latent channels.
        factor: pixels per latent along each side.
    """

    channels: int
    factor: int

    def grid(self, size: Size) -> Grid:
        """(rows, columns) of the latents of a picture whose sides are multiples of `factor`."""
        return size.height // self.factor, size.width // self.factor


@dataclass(frozen=True)
class NoiseSchedule:
    """The schedule that a network was trained on. Latents are x = a z0 + b ε, a² + b² = 1 (variance preserving).

    Attributes:
        config: a diffusers scheduler configuration with `num_train_timesteps`, the betas, and `prediction_type`, which
            is "epsilon" or "v_prediction".
        samplers: the keys of `SAMPLERS` that suit the network.
    """

    config: Mapping[str, Any]
    samplers: tuple[str, ...]


class Conditioning(Protocol):
    """Encoded prompts, one row per prompt. Their other content depends on the network."""

    @property
    def end_of_text(self) -> Tensor:
        """The index of each prompt's first end-of-text token, (rows,) int64; (rows, chunks) for prompts in chunks."""
        ...

    def __getitem__(self, rows: slice | list[int]) -> Self:
        """A conditioning with some of the rows."""
        ...

    def __add__(self, below: Self) -> Self:
        """A conditioning with these rows, followed by those of `below`."""
        ...


C = TypeVar("C", bound=Conditioning)
Read = TypeVar("Read", bound=Conditioning, contravariant=True)


class Denoiser(Protocol[Read]):
    """A network that predicts ε or v from noisy latents: the part of a `Backbone` that `denoise` uses."""

    @property
    def halves_apart(self) -> bool:
        """Whether the two guidance halves must run as two forwards to save memory. It may change during a job."""
        ...

    def forward(self, latents: Tensor, timestep: Tensor, conditioning: Read, size: Size) -> Tensor:
        """Predict ε or v of noisy latents, as the schedule's `prediction_type` says.

        Args:
            latents: (rows, C, h, w).
            timestep: shape (), the training timestep, 0 … T - 1; the same for all rows.
            conditioning: one row per row of `latents`.
            size: size in pixels of the picture that the latents describe.

        Returns:
            (rows, C, h, w), with the dtype of `latents`.
        """
        ...

    def run(self, work: Callable[[], T]) -> T:
        """Call `work`, which calls `forward`, while the network is on its device.

        If memory runs out, `work` is called again with a memory policy that uses less.

        Args:
            work: a function without lasting effects unless it returns.

        Returns:
            what `work` returns.
        """
        ...


class Backbone(Denoiser[C], Protocol[C]):
    """A network with its text encoders.

    Attributes:
        layout: the shape of its latents.
        schedule: the noise schedule it was trained on.
        attention_modules: the names of its attention modules in the order of execution; a name ends in `attn1` for
            self-attention and in `attn2` for cross-attention to the prompt.
        device: the torch device it computes on.
    """

    @property
    def layout(self) -> LatentLayout: ...

    @property
    def schedule(self) -> NoiseSchedule: ...

    @property
    def attention_modules(self) -> tuple[str, ...]: ...

    @property
    def device(self) -> torch.device: ...

    def encode(self, prompts: Sequence[str | ParsedPrompt], *, negative: bool = False) -> C:
        """Encode prompts. A prompt that is longer than the network reads is cut; `truncated` lists those prompts.

        Args:
            negative: whether these are negative prompts.
        """
        ...

    def truncated(self, prompts: Sequence[str | ParsedPrompt]) -> tuple[str, ...]:
        """The prompts of which the network reads only the beginning."""
        ...

    def blank(self, rows: int) -> C:
        """Conditioning of zeros, for runs in which only the shapes matter, such as counting FLOPs."""
        ...

    def attached(self, coupling: Coupling) -> AbstractContextManager[None]:
        """A context manager; inside its block every attention module couples the streams as `coupling` says."""
        ...
