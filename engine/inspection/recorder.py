"""The observer that fills the records of `engine.inspection.records` while a job runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from layerfusion.engine.backbones.base import Backbone
from layerfusion.engine.diffusion.constraints import Constraints
from layerfusion.engine.diffusion.observer import Observer, Step
from layerfusion.engine.diffusion.previews import previews
from layerfusion.engine.diffusion.sampling import Sampler
from layerfusion.engine.fusion.coupling import Coupling, Pass
from layerfusion.engine.fusion.masks import resample
from layerfusion.engine.fusion.priors import minmax, structure_prior
from layerfusion.engine.inspection.records import MaskRecord, MaskStep, StreamRecord, figure_place, spread
from layerfusion.engine.models.runtime.loading import ModelBundle


class Recorder(Observer):
    """Fills the given records of one job.

    Args:
        masks: gets the priors and masks of every coupled step; None records none.
        estimates: gets every stream's estimate of the clean latents at every step, and some of them as pictures; None
            records none.
    """

    def __init__(self, masks: MaskRecord | None = None, estimates: StreamRecord | None = None) -> None:
        self._masks, self._estimates = masks, estimates

    def begin(
        self,
        bundle: ModelBundle,
        backbone: Backbone[Any],
        sampler: Sampler,
        coupling: Coupling,
        constraints: Constraints,
    ) -> None:
        self._bundle, self._coupling = bundle, coupling
        self._last_block = backbone.attention_modules[-1].rsplit(".", 1)[0]
        self._shown: list[int] = []
        if self._masks is not None:
            self._masks.train_timesteps = sampler.train_timesteps
        record = self._estimates
        if record is not None:
            timesteps, foregrounds = sampler.timesteps.tolist(), coupling.streams.foregrounds
            self._shown = spread(len(timesteps), record.columns, figure_place(timesteps, sampler.train_timesteps))
            record.train_timesteps = sampler.train_timesteps
            record.streams = (*(f"foreground {k + 1}" for k in range(foregrounds)), "background", "blended")

    def step(self, step: Step) -> None:
        """Record the step's estimates, and its maps if the streams were coupled in it."""
        if self._masks is not None:
            self._note_masks(self._masks, step.timestep)
        if self._estimates is not None:
            self._note_estimates(self._estimates, step)

    def _note_masks(self, record: MaskRecord, timestep: float) -> None:
        coupling, last = self._coupling, self._coupling.last
        structure, confidence = coupling.priors.structure, coupling.priors.content
        if last is None or last.running is not Pass.COUPLED or structure is None or confidence is None:
            return
        participation, grid = structure
        _, trust = coupling.builder.evidence(self._last_block, grid)
        masks = coupling.builder.masks(self._last_block, grid, last.time)
        content = resample(minmax(confidence[0]), confidence[1], grid)
        for index in range(coupling.streams.foregrounds):
            if index not in coupling.shapes:
                step = MaskStep(
                    timestep,
                    index,
                    structure=_picture(structure_prior(participation)[index], grid),
                    content=_picture(content[index], grid),
                    soft=_picture(masks.soft[index], grid),
                    hard=_picture(masks.hard[index], grid),
                    trust=float(trust[index]),
                )
                record.steps.append(step)

    def _note_estimates(self, record: StreamRecord, step: Step) -> None:
        record.timesteps.append(step.timestep)
        record.estimates.append(step.estimate.float().cpu().numpy().copy())
        if step.index in self._shown:
            streams = self._coupling.streams
            transparent = [row < streams.foregrounds for row in range(streams.count)]
            record.pictures[step.index] = previews(self._bundle, step.estimate, transparent=transparent)


def _picture(tokens: Tensor, grid: tuple[int, int]) -> np.ndarray:
    """Convert a map (N,) to float32 (rows, columns)."""
    return tokens.reshape(grid).float().cpu().numpy()
