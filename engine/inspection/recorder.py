"""Writing a running job down for `engine.inspection.records`, as far as somebody asked."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from layerfusion.engine.diffusion.denoise import Step
from layerfusion.engine.diffusion.previews import preview
from layerfusion.engine.diffusion.sampling import Sampler
from layerfusion.engine.fusion.attach import attention_modules
from layerfusion.engine.fusion.coupling import Coupling, Pass
from layerfusion.engine.fusion.masks import resample
from layerfusion.engine.fusion.priors import minmax, structure_prior
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.inspection.records import MaskRecord, MaskStep, StreamRecord, figure_place, spread
from layerfusion.engine.models.runtime.loading import ModelBundle


class Recorder:
    """Fills the records of one job. Without any it does nothing.

    Args:
        bundle: the model that draws.
        streams: the rows of the batch.
        sampler: which steps there will be.
        masks, estimates: what to fill; None is not asked for.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        streams: Streams,
        sampler: Sampler,
        masks: MaskRecord | None,
        estimates: StreamRecord | None,
    ) -> None:
        self._bundle, self._streams = bundle, streams
        self._masks, self._estimates = masks, estimates
        self._shown: list[int] = []
        if masks is not None:
            masks.train_timesteps = sampler.train_timesteps
        if estimates is not None:
            timesteps = sampler.timesteps.tolist()
            self._shown = spread(len(timesteps), estimates.columns, figure_place(timesteps, sampler.train_timesteps))
            estimates.train_timesteps = sampler.train_timesteps
            estimates.streams = (*(f"foreground {k + 1}" for k in range(streams.foregrounds)), "background", "blended")

    def note(self, coupling: Coupling, step: Step) -> None:
        """A step is done: write down its estimates, and its maps if the streams were coupled in it."""
        if self._masks is not None:
            self._note_masks(self._masks, coupling, step.timestep)
        if self._estimates is not None:
            self._note_estimates(self._estimates, step)

    def _note_masks(self, record: MaskRecord, coupling: Coupling, timestep: float) -> None:
        if coupling.running is not Pass.COUPLED or coupling.structure is None or coupling.content is None:
            return
        grid = coupling.structure_grid
        block = attention_modules(self._bundle.unet)[-1].rsplit(".", 1)[0]
        _, trust = coupling.evidence(block, grid)
        masks = coupling.current_masks(block, grid)
        content = resample(minmax(coupling.content[0]), coupling.content[1], grid)
        for index in range(self._streams.foregrounds):
            if index not in coupling.shapes:
                step = MaskStep(
                    timestep,
                    index,
                    structure=_picture(structure_prior(coupling.structure)[index], grid),
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
            record.pictures[step.index] = [
                preview(self._bundle, step.estimate[row : row + 1], transparent=row < self._streams.foregrounds)
                for row in range(self._streams.count)
            ]


def _picture(tokens: Tensor, grid: tuple[int, int]) -> np.ndarray:
    """(N,) -> float32 (rows, columns)."""
    return tokens.reshape(grid).float().cpu().numpy()
