"""The raw maps measured in the foregrounds' attention. Masks are made of them; they are kept from step to step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from layerfusion.engine.fusion.masks import Grid
from layerfusion.engine.options.fusion import FusionSettings

Maps = tuple[Tensor, Grid]
"""Maps (K, N), and their token grid (rows, columns)."""


@dataclass(frozen=True)
class Priors:
    """The priors at one moment.

    Attributes:
        structure: participation ratios, 1 … N, of the last forward that set the priors; None before the first.
        content: content confidence, 0-1. With `content_source` = `live` it is that of the cross-attention that ran
            last; with `prior`, that of the last block of the forward that set the priors. None before the first.
        block_content: transformer block -> its content confidence in the last forward that set the priors.
        live_content: transformer block -> its latest content confidence, from any forward.
        of_blended: whether the content confidence is the blended stream's; otherwise it is the foregrounds'.
    """

    structure: Maps | None = None
    content: Maps | None = None
    block_content: Mapping[str, Maps] = field(default_factory=dict)
    live_content: Mapping[str, Maps] = field(default_factory=dict)
    of_blended: bool = False


@dataclass
class _Measurement:
    """The measurements of the running forward.

    Attributes:
        smooths: whether live content is averaged with its last values, as between steps of the joint forward.
    """

    smooths: bool
    structure: list[Tensor] = field(default_factory=list)
    structure_grid: Grid = (1, 1)
    content: dict[str, Maps] = field(default_factory=dict)


class PriorStore:
    """Stores the priors, and takes new ones from a forward that is completed.

    Args:
        settings: how maps are smoothed, and which of them become the priors.

    Attributes:
        priors: the current priors.
    """

    def __init__(self, settings: FusionSettings) -> None:
        self._settings = settings
        self._measurement: _Measurement | None = None
        self.priors = Priors()

    @contextmanager
    def measuring(self, *, gives_priors: bool, smooths: bool, of_blended: bool = False) -> Iterator[None]:
        """A context manager; inside its block a forward measures. If the block raises, its measurements are discarded.

        Args:
            gives_priors: whether the measurements become the priors at the end of the block.
            smooths: whether live content is averaged with its last values.
            of_blended: whether the content confidence is measured in the blended stream. Prior passes have no such
                stream, so that this content always becomes the prior.
        """
        assert self._measurement is None, "A forward is measuring already; let it end first."
        before, self._measurement = self.priors, _Measurement(smooths)
        try:
            yield
            if gives_priors:
                self.priors = self._with_structure(self._measurement)
            if gives_priors or of_blended:
                self.priors = replace(self._with_content(self._measurement), of_blended=of_blended or before.of_blended)
        except BaseException:
            self.priors = before
            raise
        finally:
            self._measurement = None

    def note_structure(self, participation: Tensor, grid: Grid) -> None:
        """Store the (K, N) participation ratios of one structure layer. The mean over the layers becomes the prior.

        If the layers have different token grids, only those of the last layer's grid, the finest, count.
        """
        now = self._running()
        if now.structure and now.structure[0].shape != participation.shape:
            now.structure.clear()
        now.structure.append(participation)
        now.structure_grid = grid

    def note_content(self, block: str, content: Tensor, grid: Grid) -> None:
        """Store the (K, N) content confidence of a block's cross-attention."""
        now = self._running()
        now.content[block] = (content, grid)
        if self._settings.research.content_source == "live":
            live = self.priors.live_content
            if now.smooths and block in live:
                content = self._smoothed(live[block][0], content)
            self.priors = replace(self.priors, content=(content, grid), live_content={**live, block: (content, grid)})

    def _running(self) -> _Measurement:
        assert self._measurement is not None, "No forward is measuring; note maps only within `measuring`."
        return self._measurement

    def _with_structure(self, now: _Measurement) -> Priors:
        """The priors with the structure of the measurements `now`."""
        priors = self.priors
        if now.structure:
            mean = torch.stack(now.structure).mean(dim=0)
            last = priors.structure
            structure = mean if last is None else self._smoothed(last[0], mean)
            priors = replace(priors, structure=(structure, now.structure_grid))
        return priors

    def _with_content(self, now: _Measurement) -> Priors:
        """The priors with the content confidence of the measurements `now`."""
        priors = self.priors
        blocks = dict(priors.block_content)
        for block, (content, grid) in now.content.items():
            blocks[block] = (self._smoothed(blocks[block][0], content) if block in blocks else content, grid)
        priors = replace(priors, block_content=blocks)
        if now.content and self._settings.research.content_source == "prior":
            priors = replace(priors, content=next(reversed(blocks.values())))
        return priors

    def _smoothed(self, last: Tensor, now: Tensor) -> Tensor:
        keep = self._settings.research.mask_smoothing
        return now if keep == 0 else torch.lerp(now, last, keep)
