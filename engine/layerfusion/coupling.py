"""What the attention modules tell each other during one job: the priors as they stand, and the masks made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from engine.layerfusion.masks import (
    Grid,
    Masks,
    background_tokens,
    evidence,
    hard_mask,
    resample,
    soft_mask,
    stretch,
)
from engine.layerfusion.priors import contrast, minmax, structure_prior
from engine.layerfusion.streams import Streams
from engine.request import FusionSettings


class Pass(Enum):
    """Which forward is running."""

    PRIOR = "prior"  # the foreground rows alone, conditional, uncoupled: only to read their attention
    JOINT = "joint"  # all rows, both guidance halves
    COUPLED = "coupled"  # the same, with masks applied


@dataclass
class Coupling:
    """State of the coupling between streams; written and read by the attention processors of one job.

    Attributes:
        streams: the rows of the batch.
        settings: the switches.
        latent_grid: the latents' (height, width).
        end_of_text: (K,) int64, the token whose attention is the content confidence.
        alphas: foreground index -> (1, N) true alpha on the latent grid, for kept foregrounds.
        share_unconditional: whether background and blended stream may share attention in the unconditional half too:
            only if that half tells them the same.
        running: which forward is running.
        structure: (K, N) participation ratios on `structure_grid`, as last measured.
        content: (K, N) content confidence on `content_grid`, as last measured.
        block_content: transformer block -> the same, as the prior pass measured it.
    """

    streams: Streams
    settings: FusionSettings
    latent_grid: Grid
    end_of_text: Tensor
    alphas: dict[int, Tensor] = field(default_factory=dict)
    share_unconditional: bool = True

    running: Pass = Pass.JOINT
    structure: Tensor | None = None
    structure_grid: Grid = (1, 1)
    content: Tensor | None = None
    content_grid: Grid = (1, 1)
    block_content: dict[str, tuple[Tensor, Grid]] = field(default_factory=dict)
    _measured: list[Tensor] = field(default_factory=list)
    _measured_grid: Grid = (1, 1)
    _backgrounds: dict[Grid, Tensor] = field(default_factory=dict)
    _before: dict[str, Any] | None = None

    def begin(self, running: Pass) -> None:
        """Call before every forward."""
        self.running = running
        self._measured.clear()
        self._backgrounds.clear()

    def enter(self) -> None:
        """A forward starts. If the last one was cut short, for want of memory, what it wrote down is forgotten."""
        if self._before is not None:
            for name, value in self._before.items():
                setattr(self, name, value)
        self._before = {
            name: value.copy() if isinstance(value, (dict, list)) else value
            for name, value in vars(self).items()
            if name != "_before"
        }

    def leave(self) -> None:
        """A forward is done."""
        self._before = None

    def note_structure(self, participation: Tensor, grid: Grid) -> None:
        """One of the structure layers has measured (K, N) participation ratios; the layers' mean is the prior."""
        if self._measured and self._measured[0].shape != participation.shape:
            self._measured.clear()  # only the finest layers, which come last, count
        self._measured.append(participation)
        self._measured_grid = grid

    def end(self) -> None:
        """Call after every forward: what was measured becomes the structure prior."""
        if self._measured:
            self.structure = torch.stack(self._measured).mean(dim=0)
            self.structure_grid = self._measured_grid

    def note_content(self, block: str, content: Tensor, grid: Grid) -> None:
        """A cross-attention has measured (K, N) content confidence."""
        if self.running is Pass.PRIOR:
            self.block_content[block] = (content, grid)
        if self.running is Pass.PRIOR or self.settings.content_source == "live":
            self.content, self.content_grid = content, grid

    def needs_priors(self) -> bool:
        """Whether any foreground's masks come from its attention; a kept one's come from its alpha."""
        return len(self.alphas) < self.streams.foregrounds

    def couples(self, grid: Grid) -> bool:
        """Whether streams of this token grid are coupled in the running forward."""
        ready = not self.needs_priors() or (self.structure is not None and self.content is not None)
        return self.running is Pass.COUPLED and min(grid) >= self.settings.smallest_grid and ready

    def masks(self, block: str, grid: Grid) -> Masks:
        """The masks of all foregrounds on a token grid, as the priors stand now.

        Args:
            block: the transformer block that asks; its own content confidence is used where the prior pass gives it.
        """
        shown, trust = self.evidence(block, grid)
        boundary = self.settings.decision_boundary
        soft, hard = soft_mask(shown, boundary, trust), hard_mask(shown, trust)
        if self.streams.foregrounds > 1:
            soft = stretch(soft, boundary)
        for index in self.alphas:
            soft[index], hard[index] = shown[index], 0.0
        return Masks(soft, hard, self._background(block, grid))

    def evidence(self, block: str, grid: Grid) -> tuple[Tensor, Tensor]:
        """u (K, N) and its trust κ (K, 1); for kept foregrounds the true alpha, and 1."""
        count, device = self.streams.foregrounds, self.end_of_text.device
        shown = torch.zeros((count, grid[0] * grid[1]), device=device)
        trust = torch.ones((count, 1), device=device)
        if self.needs_priors():
            assert self.structure is not None
            content, content_grid = self._content(block)
            structure = resample(structure_prior(self.structure), self.structure_grid, grid)
            shown = evidence(structure, resample(minmax(content), content_grid, grid))
            gate = self.settings.contrast_gate
            trust = torch.minimum(contrast(self.structure, gate), contrast(content, gate))
        for index, alpha in self.alphas.items():
            shown[index], trust[index] = resample(alpha, self.latent_grid, grid)[0], 1.0
        return shown, trust

    def _content(self, block: str) -> tuple[Tensor, Grid]:
        if self.settings.content_source == "prior":
            return self.block_content[block]
        assert self.content is not None
        return self.content, self.content_grid

    def _background(self, block: str, grid: Grid) -> Tensor:
        """Shared tokens; once a grid and forward, for they need not be sharp. None where no map can be trusted."""
        if grid not in self._backgrounds:
            shown, trust = self.evidence(block, grid)
            tokens = background_tokens(shown, grid)
            self._backgrounds[grid] = tokens if bool((trust > 0.5).all()) else torch.zeros_like(tokens)
        return self._backgrounds[grid]
