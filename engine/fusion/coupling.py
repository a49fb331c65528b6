"""What the attention modules tell each other during one job: the priors as they stand, and the masks made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from layerfusion.engine.fusion.masks import (
    Grid,
    Masks,
    background_tokens,
    evidence,
    ground_tokens,
    hard_mask,
    otsu_threshold,
    resample,
    soft_mask,
    stretch,
)
from layerfusion.engine.fusion.priors import contrast, minmax, normalised, structure_prior
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.options.fusion import FusionSettings

Maps = tuple[Tensor, Grid]
"""(K, N) maps and their token grid."""


class Pass(Enum):
    """Which forward is running."""

    PRIOR = "prior"  # the foreground rows alone, conditional, uncoupled: only to read their attention
    JOINT = "joint"  # all rows, both guidance halves
    COUPLED = "coupled"  # the same, with masks applied


class Half(Enum):
    """Which guidance halves the running forward holds."""

    BOTH = "both"
    CONDITIONAL = "conditional"  # alone; the masks it makes are written down
    UNCONDITIONAL = "unconditional"  # alone, after the other one, by whose masks it is coupled


@dataclass(frozen=True)
class KnownShape:
    """A foreground whose place is known before it is drawn.

    Attributes:
        alpha: (1, N) on the latent grid, 0-1.
        held_until: it follows the artist's pixels while t > held_until · T. 0 is a kept layer, which never changes;
            a relit one is let go at its strength, and from there on takes from the blended stream as any other.
    """

    alpha: Tensor
    held_until: float = 0.0


@dataclass
class Coupling:
    """State of the coupling between streams; written and read by the attention processors of one job.

    Attributes:
        streams: the rows of the batch.
        settings: how the streams are coupled.
        latent_grid: the latents' (height, width).
        end_of_text: (K,) int64, the token whose attention is the content confidence.
        shapes: foreground index -> where it is, for those that the artist has or that have a box.
        share_unconditional: whether background and blended stream may share attention in the unconditional half too:
            only if that half tells them the same.
        running: which forward is running.
        half: which guidance halves it holds.
        time: t / T of the step that is running.
        structure: (K, N) participation ratios on `structure_grid`, as last measured.
        content: content confidence, as last measured.
        block_content: transformer block -> the same, of the last forward that gave the priors.
    """

    streams: Streams
    settings: FusionSettings
    latent_grid: Grid
    end_of_text: Tensor
    shapes: dict[int, KnownShape] = field(default_factory=dict)
    share_unconditional: bool = True

    running: Pass = Pass.JOINT
    half: Half = Half.BOTH
    time: float = 1.0
    structure: Tensor | None = None
    structure_grid: Grid = (1, 1)
    content: Maps | None = None
    block_content: dict[str, Maps] = field(default_factory=dict)
    _measured: list[Tensor] = field(default_factory=list)
    _measured_grid: Grid = (1, 1)
    _measured_content: dict[str, Maps] = field(default_factory=dict)
    _live_content: dict[str, Maps] = field(default_factory=dict)
    _backgrounds: dict[Grid, Tensor] = field(default_factory=dict)
    _noted: set[str] = field(default_factory=set)
    _made: dict[tuple[str, bool, Grid], Masks] = field(default_factory=dict)
    _before: dict[str, Any] | None = None

    def begin(self, running: Pass, time: float = 1.0, half: Half = Half.BOTH) -> None:
        """Call before every forward; `time` is t / T. The unconditional half alone comes after the conditional one."""
        self.running, self.time, self.half = running, time, half
        self._noted.clear()
        if half is not Half.UNCONDITIONAL:
            self._measured.clear()
            self._measured_content.clear()
            self._backgrounds.clear()
            self._made.clear()

    def halves(self, rows: int, unconditional: bool) -> list[int]:
        """The first rows of those guidance halves in a batch that take part: all, or the conditional one only."""
        if self.half is Half.UNCONDITIONAL:
            return [0] if unconditional else []
        starts = list(range(0, rows, self.streams.count))
        return starts if unconditional else starts[-1:]

    def enter(self) -> None:
        """A forward starts. If the last one was cut short, for want of memory, what it wrote down is forgotten."""
        if self._before is not None:
            for name, value in self._before.items():
                setattr(self, name, value)
        self._before = {
            name: value.copy() if isinstance(value, (dict, list, set)) else value
            for name, value in vars(self).items()
            if name != "_before"
        }

    def leave(self) -> None:
        """A forward is done."""
        self._before = None

    def note_structure(self, participation: Tensor, grid: Grid) -> None:
        """One of the structure layers has measured (K, N) participation ratios; the layers' mean is the prior."""
        if self.half is Half.UNCONDITIONAL:
            return
        if self._measured and self._measured[0].shape != participation.shape:
            self._measured.clear()  # only the finest layers, which come last, count
        self._measured.append(participation)
        self._measured_grid = grid

    def note_content(self, block: str, content: Tensor, grid: Grid) -> None:
        """A cross-attention has measured (K, N) content confidence."""
        self._noted.add(block)
        if self.half is Half.UNCONDITIONAL:
            return
        self._measured_content[block] = (content, grid)
        if self.settings.research.content_source == "live":
            if self.running is not Pass.PRIOR and block in self._live_content:
                content = self._smoothed(self._live_content[block][0], content)
            self._live_content[block] = self.content = (content, grid)

    def end(self) -> None:
        """Call after every forward that gives the priors: what was measured becomes them."""
        if self._measured:
            now = torch.stack(self._measured).mean(dim=0)
            self.structure = now if self.structure is None else self._smoothed(self.structure, now)
            self.structure_grid = self._measured_grid
        for block, (now, grid) in self._measured_content.items():
            last = self.block_content.get(block)
            self.block_content[block] = (now if last is None else self._smoothed(last[0], now), grid)
        if self._measured_content and self.settings.research.content_source == "prior":
            self.content = next(reversed(self.block_content.values()))

    def _smoothed(self, last: Tensor, now: Tensor) -> Tensor:
        keep = self.settings.research.mask_smoothing
        return now if keep == 0 else torch.lerp(now, last, keep)

    def needs_priors(self) -> bool:
        """Whether any foreground's masks come from its attention; a known one's come from its alpha."""
        return len(self.shapes) < self.streams.foregrounds

    def couples(self, block: str, grid: Grid) -> bool:
        """Whether streams are coupled in a transformer block of this token grid in the running forward."""
        settings = self.settings
        ready = not self.needs_priors() or (self.structure is not None and self.content is not None)
        asked = [part.strip() for part in settings.research.blend_blocks.split(",") if part.strip()]
        chosen = not asked or any(part in block for part in asked)
        return self.running is Pass.COUPLED and min(grid) >= settings.research.smallest_grid and ready and chosen

    def masks(self, block: str, grid: Grid) -> Masks:
        """The masks of all foregrounds on a token grid, as the running forward applies them.

        Args:
            block: the transformer block that asks; its own content confidence is used where the priors have it.
        """
        moment = (block, block in self._noted, grid)
        if self.half is Half.UNCONDITIONAL:
            return self._made[moment]
        made = self.current_masks(block, grid)
        if self.half is Half.CONDITIONAL:
            self._made[moment] = made
        return made

    def current_masks(self, block: str, grid: Grid) -> Masks:
        """The same, made of the priors as they stand now, whatever was applied."""
        settings = self.settings
        shown, trust = self.evidence(block, grid)
        otsu = otsu_threshold(shown) if "otsu" in (settings.research.hard_mode, settings.research.soft_mode) else 0.5
        threshold = otsu if settings.research.hard_mode == "otsu" else settings.research.hard_threshold
        centre = otsu if settings.research.soft_mode == "otsu" else 0.5
        soft = self._soft(shown, trust, settings.decision_boundary, centre)
        hard = hard_mask(shown, trust, threshold)
        own = settings.foreground_boundary
        inner = soft.clone() if own is None else self._soft(shown, trust, own, centre)
        for index, shape in self.shapes.items():
            if self.time > shape.held_until or shape.held_until == 0:
                soft[index], hard[index] = shown[index], 0.0
            soft[index] *= self._uncovered(index, shown, trust, grid)
        return Masks(soft, hard, inner, self._background(block, grid))

    def _uncovered(self, index: int, shown: Tensor, trust: Tensor, grid: Grid) -> Tensor | float:
        """Where a known foreground is not hidden by drawn ones, whose evidence is hollow: its holes are filled."""
        above = [i for i in range(index + 1, self.streams.foregrounds) if i not in self.shapes]
        if not above or bool((trust[above] <= 0.5).any()):
            return 1.0
        return background_tokens(shown[above], grid)

    def _soft(self, shown: Tensor, trust: Tensor, boundary: float, centre: Tensor | float) -> Tensor:
        soft, when = soft_mask(shown, boundary, trust, centre), self.settings.research.normalise
        spread = when == "always" or (when == "several" and self.streams.foregrounds > 1)
        return stretch(soft, boundary, centre) if spread else soft

    def evidence(self, block: str, grid: Grid) -> tuple[Tensor, Tensor]:
        """u (K, N) and its trust κ (K, 1); for foregrounds of known shape the true alpha, and 1."""
        settings = self.settings
        count, device = self.streams.foregrounds, self.end_of_text.device
        shown = torch.zeros((count, grid[0] * grid[1]), device=device)
        trust = torch.ones((count, 1), device=device)
        if self.needs_priors():
            assert self.structure is not None
            content, raw = self._content(block, grid)
            structure = resample(
                structure_prior(self.structure), self.structure_grid, grid, settings.research.resampling
            )
            shown = evidence(structure, content, settings.research.mask_parts, settings.research.content_weight)
            trust = self._trust(raw)
        for index, shape in self.shapes.items():
            shown[index] = resample(shape.alpha, self.latent_grid, grid, settings.research.resampling)[0]
            trust[index] = 1.0
        return shown, trust

    def _trust(self, content: Tensor) -> Tensor:
        """κ of the maps that are used: the lower of the two."""
        assert self.structure is not None
        parts, gate = self.settings.research.mask_parts, self.settings.research.contrast_gate
        by_structure, by_content = contrast(self.structure, gate), contrast(content, gate)
        if parts == "product":
            return torch.minimum(by_structure, by_content)
        return by_structure if parts == "structure" else by_content

    def _content(self, block: str, grid: Grid) -> tuple[Tensor, Tensor]:
        """(K, N) content confidence on a grid, normalised; and the block's raw map, on its own grid."""
        settings = self.settings

        def brought(maps: Maps) -> Tensor:
            return resample(
                normalised(maps[0], settings.research.content_norm), maps[1], grid, settings.research.resampling
            )

        if settings.research.content_source == "live":
            assert self.content is not None
            return brought(self.content), self.content[0]
        own = self.block_content[block]
        if settings.research.content_layers == "block":
            return brought(own), own[0]
        others = [
            (minmax(maps[0]), maps[1])
            for maps in self.block_content.values()
            if settings.research.content_layers == "all" or maps[1] == own[1]
        ]
        return torch.stack([brought(maps) for maps in others]).mean(dim=0), own[0]

    def outside(
        self, block: str, foregrounds: tuple[int, ...], in_doubt: float, margin: float, ground: float = 0.0
    ) -> Tensor:
        """(1, h, w), 0-1, on the latent grid: what surely shows none of some foregrounds, as the priors stand now.

        Args:
            block: the transformer block whose content confidence is asked.
            in_doubt: what holds everywhere while their masks cannot be trusted.
            margin: left free around them, as a part of the grid's longer side.
            ground: left free about their lower halves too, where shadows fall; 0 is none.
        """
        shape, chosen = (1, *self.latent_grid), list(foregrounds)
        if not chosen:
            return torch.ones(shape, device=self.end_of_text.device)
        if self.needs_priors() and (self.structure is None or self.content is None):
            return torch.full(shape, in_doubt, device=self.end_of_text.device)
        grid = self.structure_grid if self.needs_priors() else self.latent_grid
        shown, trust = self.evidence(block, grid)
        if bool((trust[chosen] <= 0.5).any()):
            return torch.full(shape, in_doubt, device=shown.device)
        tokens = background_tokens(shown[chosen], grid, margin)[None]
        if ground > 0:
            tokens = tokens * (1 - ground_tokens(shown[chosen], grid, ground))
        return resample(tokens, grid, self.latent_grid, "nearest").view(shape)

    def _background(self, block: str, grid: Grid) -> Tensor:
        """Shared tokens; once a grid and forward, for they need not be sharp. None where no map can be trusted."""
        if grid not in self._backgrounds:
            shown, trust = self.evidence(block, grid)
            tokens = background_tokens(shown, grid)
            self._backgrounds[grid] = tokens if bool((trust > 0.5).all()) else torch.zeros_like(tokens)
        return self._backgrounds[grid]
