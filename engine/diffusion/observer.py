"""A place to look on from while a job is drawn, for inspection, profiling and tests."""

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
    """One step is done.

    Attributes:
        index: 0 … steps - 1.
        timestep: the training timestep it started from.
        estimate: (streams, C, h, w), the clean latents as the model sees them now.
        latents: (streams, C, h, w), after the last step the result.
    """

    index: int
    timestep: float
    estimate: Tensor
    latents: Tensor


class Observer:
    """Looks on at the drawing of all streams together, from its start to its last step, and changes nothing.

    A subclass overrides what it wants to see; here nothing is done. Drafts and refined tiles are not observed.
    """

    def begin(
        self,
        bundle: ModelBundle,
        backbone: Backbone[Any],
        sampler: Sampler,
        coupling: Coupling,
        constraints: Constraints,
    ) -> None:
        """The loop begins; `coupling` is the one it works with, and may be asked at every later call."""

    def forward(self, now: Forward, rows: int) -> None:
        """The network is about to run on so many rows."""

    def attended(self, attended: Attended) -> None:
        """An attention module has run; see `AttentionObserver`."""

    def step(self, step: Step) -> None:
        """A step is done."""
