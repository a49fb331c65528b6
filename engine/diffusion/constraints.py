"""What holds a stream to a picture while it is drawn: constraints on the prediction, called by `denoise` at every step.

A constraint never overwrites latents: it replaces what the network predicts, and the solver walks to the known picture
by itself, multistep history included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from layerfusion.engine.diffusion.sampling import Sampler
from layerfusion.engine.fusion.mask_builder import MaskBuilder

PLACED_UNTIL = 0.15
"""A foreground whose place is the artist's is coupled until t <= 0.15 T at least (our choice): where the model would
not put it, in the middle of the sky, it is painted over once nothing tells the blended stream of it."""


@dataclass(frozen=True)
class Moment:
    """Where the loop stands.

    Attributes:
        sampler: which steps there are, and what of signal and noise each holds.
        index: of the step, from 0.
        time: t / T of it.
        noise: (streams, C, h, w), what every stream started from.
        builder: the masks as the priors stand now.
        background: the row of the background stream.
    """

    sampler: Sampler
    index: int
    time: float
    noise: Tensor
    builder: MaskBuilder
    background: int


class Constraint(Protocol):
    """One thing that is known. Its methods write into the tensor they are given.

    Attributes:
        stream: which row is held.
        until: it holds while t > until · T; 0 is to the end.
    """

    @property
    def stream(self) -> int: ...

    @property
    def until(self) -> float: ...

    @property
    def holds_all(self) -> bool:
        """Whether nothing of its stream is left to the network."""
        ...

    def start(self, state: Tensor, noise: Tensor, sampler: Sampler) -> None:
        """Put the start of the stream's path into the first state, (streams, C, h, w)."""
        ...

    def replace_prediction(self, prediction: Tensor, model_input: Tensor, now: Moment) -> None:
        """Replace what the network predicted, (streams, C, h, w), by what leads to the known picture."""
        ...

    def after_step(self, state: Tensor, now: Moment) -> None:
        """Bring the state after a stochastic step, (streams, C, h, w), back to the path its added noise has left."""
        ...


@dataclass(frozen=True)
class LatentConstraint:
    """Part of a stream whose whole path is known: the one from its noise to `clean`.

    Attributes:
        stream: which row.
        clean: z0, (C, h, w).
        mask: (1, h, w) or (1, 1, 1), 0-1, where it is known.
        until: it holds while t > until · T; 0 is to the end.
    """

    stream: int
    clean: Tensor
    mask: Tensor
    until: float = 0.0

    @property
    def holds_all(self) -> bool:
        return self.mask.shape == (1, 1, 1)

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
    """A stream that shows a known picture wherever nothing lies before it, as the masks stand at every step.

    Its latents need not lie on one path to that picture, so its start and its added noise are left alone.

    Attributes:
        stream: which row.
        clean: z0, (C, h, w); None is the background's, as it is being drawn.
        mask: (1, h, w) or (1, 1, 1), 0-1, where z0 is known at all.
        behind: the foregrounds that may lie before it.
        margin: left free around them, as a part of the picture's longer side.
        ground: the same about their lower halves, for their shadows.
        in_doubt: how far it is held (0-1) while their masks cannot be trusted.
        block: the transformer block whose content confidence tells where they are.
        until: it holds while t > until · T; 0 is to the end.
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
        """(1, h, w), 0-1: how far it is held now."""
        return self.mask * builder.outside(
            self.block, self.behind, in_doubt=self.in_doubt, margin=self.margin, ground=self.ground
        )

    def start(self, state: Tensor, noise: Tensor, sampler: Sampler) -> None:
        """Nothing: it begins from its noise."""

    def replace_prediction(self, prediction: Tensor, model_input: Tensor, now: Moment) -> None:
        clean = self.clean
        if clean is None:
            clean = now.sampler.clean_estimate(model_input, prediction, now.index)[now.background]
        implied = now.sampler.implied_prediction(model_input[self.stream], clean, now.index)
        prediction[self.stream] = torch.lerp(prediction[self.stream], implied, self.where(now.builder))

    def after_step(self, state: Tensor, now: Moment) -> None:
        """Nothing: whatever noise was added, the next prediction leads to the picture again."""


@dataclass(frozen=True)
class Constraints:
    """All constraints of one job, in the order in which they act: what is known for sure before what is shown behind.

    Attributes:
        latents: streams held to their own paths.
        backdrops: streams that show a picture behind everything else.
    """

    latents: tuple[LatentConstraint, ...] = ()
    backdrops: tuple[BackdropConstraint, ...] = ()

    @property
    def all(self) -> tuple[Constraint, ...]:
        return (*self.latents, *self.backdrops)

    def start(self, state: Tensor, noise: Tensor, sampler: Sampler) -> Tensor:
        """The first state, (streams, C, h, w), with every known stream at the start of its path."""
        for constraint in self.all:
            constraint.start(state, noise, sampler)
        return state

    def replace_prediction(self, prediction: Tensor, model_input: Tensor, now: Moment) -> Tensor:
        """The prediction, (streams, C, h, w), as those constraints want it that hold at this step."""
        for constraint in self._held(now.time):
            constraint.replace_prediction(prediction, model_input, now)
        return prediction

    def after_step(self, state: Tensor, now: Moment) -> Tensor:
        """The state, (streams, C, h, w), after a step. Only a stochastic solver's step leaves the known paths."""
        if now.sampler.stochastic:
            for constraint in self._held(now.time):
                constraint.after_step(state, now)
        return state

    def hold_everything(self, time: float, streams: int) -> bool:
        """Whether every stream is held everywhere at t = time · T, so that the network has nothing to say."""
        return len({one.stream for one in self._held(time) if one.holds_all}) == streams

    def _held(self, time: float) -> tuple[Constraint, ...]:
        return tuple(constraint for constraint in self.all if time > constraint.until)
