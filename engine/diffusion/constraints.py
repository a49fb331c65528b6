"""Constraints that hold a stream to a known picture while it is denoised. `denoise` calls them at every step.

A constraint does not overwrite the latents of a running job. It replaces the network's prediction by the one that leads
to the known picture; the solver then reaches that picture with its ordinary steps, and the history of a multistep
solver stays valid. (Only after a step that added noise does it correct the latents themselves.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from layerfusion.engine.diffusion.sampling import Sampler
from layerfusion.engine.fusion.mask_builder import MaskBuilder

PLACED_UNTIL = 0.15
"""A foreground whose place the artist has chosen is coupled at least until t <= 0.15 T (our choice). If coupling ended
earlier, the blended stream would paint over an object in a place unlikely to the model, such as the middle of the sky.
"""


@dataclass(frozen=True)
class Moment:
    """The current step of the loop, as constraints see it.

    Attributes:
        sampler: the steps, and the signal and noise levels of each.
        index: the step's index, from 0.
        time: t / T of the step, 1 to 0.
        noise: (streams, C, h, w), the noise that every stream started from.
        builder: makes masks of the current priors.
        background: the index of the background's row.
    """

    sampler: Sampler
    index: int
    time: float
    noise: Tensor
    builder: MaskBuilder
    background: int


class Constraint(Protocol):
    """One constraint on one stream. Its methods write into the tensor they are given.

    Attributes:
        stream: the row that is held.
        until: the constraint is active while t > until · T; 0 keeps it active to the end.
    """

    @property
    def stream(self) -> int: ...

    @property
    def until(self) -> float: ...

    @property
    def holds_all(self) -> bool:
        """Whether it replaces the whole prediction of its stream, so that the network's own is not used."""
        ...

    def start(self, state: Tensor, noise: Tensor, sampler: Sampler) -> None:
        """Write the start of the stream's known path into the first state, (streams, C, h, w)."""
        ...

    def replace_prediction(self, prediction: Tensor, model_input: Tensor, now: Moment) -> None:
        """Replace the network's prediction, (streams, C, h, w), by the one that leads to the known picture."""
        ...

    def after_step(self, state: Tensor, now: Moment) -> None:
        """Bring the state after a stochastic step, (streams, C, h, w), back to the path that its added noise left."""
        ...


@dataclass(frozen=True)
class LatentConstraint:
    """Holds part of a stream to a path that is known at all times: the path from the stream's noise to `clean`.

    Attributes:
        stream: the row that is held.
        clean: z0, (C, h, w).
        mask: (1, h, w) or (1, 1, 1), 0-1: where z0 is known.
        until: the constraint is active while t > until · T; 0 keeps it active to the end.
    """

    stream: int
    clean: Tensor
    mask: Tensor
    until: float = 0.0

    @property
    def holds_all(self) -> bool:
        return bool((self.mask == 1).all())

    def start(self, state: Tensor, noise: Tensor, sampler: Sampler) -> None:
        self._mix(state, sampler.state(self.clean, noise[self.stream], 0))

    def replace_prediction(self, prediction: Tensor, model_input: Tensor, now: Moment) -> None:
        self._mix(prediction, now.sampler.exact_prediction(self.clean, now.noise[self.stream], now.index))

    def after_step(self, state: Tensor, now: Moment) -> None:
        self._mix(state, now.sampler.state(self.clean, now.noise[self.stream], now.index + 1))

    def _mix(self, rows: Tensor, known: Tensor) -> None:
        rows[self.stream] = torch.lerp(rows[self.stream], known, self.mask)


@dataclass(frozen=True)
class BackdropConstraint:
    """Makes a stream show a known picture wherever no foreground covers it, by the masks of the current step.

    The stream's latents need not lie on one path to that picture, so its start and its added noise are left unchanged.

    Attributes:
        stream: the row that is held.
        clean: z0, (C, h, w); None takes the current estimate of the background stream.
        mask: (1, h, w) or (1, 1, 1), 0-1: where z0 is known at all.
        behind: the foregrounds that may cover the picture.
        margin: width of the zone around those foregrounds that is left free, as a fraction of the picture's longer
            side.
        ground: width of a further free zone about their lower halves, for their shadows; the same unit.
        in_doubt: how strongly the stream is held, 0-1, while the foregrounds' masks cannot be trusted.
        block: the transformer block whose content confidence locates the foregrounds.
        until: the constraint is active while t > until · T; 0 keeps it active to the end.
    """

    stream: int
    clean: Tensor | None
    mask: Tensor
    behind: tuple[int, ...]
    margin: float
    ground: float
    in_doubt: float
    block: str
    until: float

    holds_all = False

    def where(self, builder: MaskBuilder) -> Tensor:
        """How strongly each latent is held at this step: (1, h, w), 0-1."""
        return self.mask * builder.outside(
            self.block, self.behind, in_doubt=self.in_doubt, margin=self.margin, ground=self.ground
        )

    def start(self, state: Tensor, noise: Tensor, sampler: Sampler) -> None:
        """Change nothing: the stream starts from its noise."""

    def replace_prediction(self, prediction: Tensor, model_input: Tensor, now: Moment) -> None:
        clean = self.clean
        if clean is None:
            clean = now.sampler.clean_estimate(model_input, prediction, now.index)[now.background]
        implied = now.sampler.implied_prediction(model_input[self.stream], clean, now.index)
        prediction[self.stream] = torch.lerp(prediction[self.stream], implied, self.where(now.builder))

    def after_step(self, state: Tensor, now: Moment) -> None:
        """Change nothing: the next prediction leads to the picture from any latents."""


@dataclass(frozen=True)
class Constraints:
    """All constraints of one job, in the order in which they act: first `latents`, then `backdrops`, then `scenes`.

    Attributes:
        latents: hold streams to their own known paths.
        backdrops: make streams show a picture behind the foregrounds.
        scenes: make the blended stream show known foregrounds in the model's light.
    """

    latents: tuple[LatentConstraint, ...] = ()
    backdrops: tuple[BackdropConstraint, ...] = ()
    scenes: tuple[Constraint, ...] = ()

    @property
    def all(self) -> tuple[Constraint, ...]:
        return (*self.latents, *self.backdrops, *self.scenes)

    def start(self, state: Tensor, noise: Tensor, sampler: Sampler) -> Tensor:
        """Write the start of every known path into the first state, (streams, C, h, w), and return it."""
        for constraint in self.all:
            constraint.start(state, noise, sampler)
        return state

    def replace_prediction(self, prediction: Tensor, model_input: Tensor, now: Moment) -> Tensor:
        """Apply the constraints that are active at this step to the prediction, (streams, C, h, w), and return it."""
        for constraint in self._held(now.time):
            constraint.replace_prediction(prediction, model_input, now)
        return prediction

    def after_step(self, state: Tensor, now: Moment) -> Tensor:
        """Correct the state, (streams, C, h, w), after a step and return it.

        Only the steps of a stochastic solver leave the known paths.
        """
        if now.sampler.stochastic:
            for constraint in self._held(now.time):
                constraint.after_step(state, now)
        return state

    def held_streams(self, time: float) -> set[int]:
        """The streams whose whole prediction is replaced at t = time · T, so that the network's is not used."""
        return {one.stream for one in self._held(time) if one.holds_all}

    def _held(self, time: float) -> tuple[Constraint, ...]:
        """Those that are active; with `until` = 0 also at t = 0, where the last step of some samplers begins."""
        return tuple(constraint for constraint in self.all if constraint.until == 0 or time > constraint.until)
