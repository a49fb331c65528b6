"""Callbacks that a job makes while it is drawn, for inspection, profiling and tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from layerfusion.engine.backbones.base import Backbone
from layerfusion.engine.diffusion.constraints import Constraints
from layerfusion.engine.diffusion.sampling import Sampler
from layerfusion.engine.fusion.coupling import Attended, Coupling, Forward
from layerfusion.engine.models.runtime.loading import ModelBundle


@dataclass(frozen=True)
class Step:
    """The result of one step.

    Attributes:
        index: the step's index, 0 … steps - 1.
        timestep: the training timestep that the step started from.
        estimate: (streams, C, h, w), the estimate of the clean latents z0 at this step.
        latents: (streams, C, h, w), the latents after the step.
    """

    index: int
    timestep: float
    estimate: Tensor
    latents: Tensor


class Observer:
    """Is called while all streams are drawn together, from the start to the last step, and when they have become
    pictures. It must not change anything.

    A subclass overrides the methods it needs; those of this class do nothing. Drafts of foregrounds with a box and
    refined tiles are not observed.
    """

    def begin(
        self,
        bundle: ModelBundle,
        backbone: Backbone[Any],
        sampler: Sampler,
        coupling: Coupling,
        constraints: Constraints,
    ) -> None:
        """The loop begins. `coupling` stays the same object; later calls may read its current state."""

    def forward(self, now: Forward, rows: int) -> None:
        """The network is about to run on a batch of `rows` rows."""

    def attended(self, attended: Attended) -> None:
        """An attention module has run; see `AttentionObserver`."""

    def step(self, step: Step) -> None:
        """A step is done."""

    def decoded(self, stream: int) -> None:
        """The picture of a stream is decoded. This comes in the thread that did it, which may be one of several."""

    @property
    def observes_attention(self) -> bool:
        """Whether `attended` is wanted; a job leaves out what only that one would see."""
        return type(self).attended is not Observer.attended
