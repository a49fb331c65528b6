"""Soft and hard masks of all foregrounds, from the priors as they stand and from shapes that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from layerfusion.engine.fusion.masks import (
    SHARING_MARGIN,
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
from layerfusion.engine.fusion.prior_store import Maps, PriorStore
from layerfusion.engine.fusion.priors import contrast, minmax, normalised, structure_prior
from layerfusion.engine.options.fusion import FusionSettings


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


@dataclass(frozen=True, kw_only=True)
class MaskBuilder:
    """Makes masks on any token grid. It reads the priors and changes nothing.

    Attributes:
        store: where the priors are.
        settings: how masks are made of them.
        foregrounds: K.
        latent_grid: the latents' (height, width).
        shapes: foreground index -> where it is, for those that the artist has or that have a box.
        device: where the masks are.
    """

    store: PriorStore
    settings: FusionSettings
    foregrounds: int
    latent_grid: Grid
    shapes: Mapping[int, KnownShape]
    device: torch.device

    @property
    def needs_priors(self) -> bool:
        """Whether any foreground's masks come from its attention; a known one's come from its alpha."""
        return len(self.shapes) < self.foregrounds

    @property
    def is_ready(self) -> bool:
        """Whether everything that is needed has been measured."""
        priors = self.store.priors
        return not self.needs_priors or (priors.structure is not None and priors.content is not None)

    def masks(self, block: str, grid: Grid, time: float) -> Masks:
        """The masks of all foregrounds on a token grid.

        Args:
            block: the transformer block that asks; its own content confidence is used where the priors have it.
            time: t / T; a relit foreground takes from the blended stream once it is let go.
        """
        settings, research = self.settings, self.settings.research
        shown, trust = self.evidence(block, grid)
        otsu = otsu_threshold(shown) if "otsu" in (research.hard_mode, research.soft_mode) else 0.5
        threshold = otsu if research.hard_mode == "otsu" else research.hard_threshold
        centre = otsu if research.soft_mode == "otsu" else 0.5
        soft = self._soft(shown, trust, settings.decision_boundary, centre)
        hard = hard_mask(shown, trust, threshold)
        own = settings.foreground_boundary
        inner = soft.clone() if own is None else self._soft(shown, trust, own, centre)
        for index, shape in self.shapes.items():
            if time > shape.held_until or shape.held_until == 0:
                soft[index], hard[index] = shown[index], 0.0
            soft[index] *= self._uncovered(index, shown, trust, grid)
        return Masks(soft, hard, inner)

    def background(self, block: str, grid: Grid) -> Tensor:
        """(N,) of 0 and 1: tokens surely outside every object. None where no map can be trusted."""
        shown, trust = self.evidence(block, grid)
        tokens = background_tokens(shown, grid)
        return tokens if bool((trust > 0.5).all()) else torch.zeros_like(tokens)

    def outside(
        self,
        block: str,
        foregrounds: Sequence[int],
        *,
        in_doubt: float,
        margin: float = SHARING_MARGIN,
        ground: float = 0.0,
    ) -> Tensor:
        """(1, h, w), 0-1, on the latent grid: what surely shows none of some foregrounds.

        Args:
            block: the transformer block whose content confidence is asked.
            in_doubt: what holds everywhere while their masks cannot be trusted.
            margin: left free around them, as a part of the grid's longer side.
            ground: left free about their lower halves too, where shadows fall; 0 is none.
        """
        shape, chosen = (1, *self.latent_grid), list(foregrounds)
        if not chosen:
            return torch.ones(shape, device=self.device)
        if not self.is_ready:
            return torch.full(shape, in_doubt, device=self.device)
        grid = self._structure()[1] if self.needs_priors else self.latent_grid
        shown, trust = self.evidence(block, grid)
        if bool((trust[chosen] <= 0.5).any()):
            return torch.full(shape, in_doubt, device=shown.device)
        tokens = background_tokens(shown[chosen], grid, margin)[None]
        if ground > 0:
            tokens = tokens * (1 - ground_tokens(shown[chosen], grid, ground))
        return resample(tokens, grid, self.latent_grid, "nearest").view(shape)

    def evidence(self, block: str, grid: Grid) -> tuple[Tensor, Tensor]:
        """u (K, N), 0-1, and its trust κ (K, 1), 0-1; for foregrounds of known shape the true alpha, and 1."""
        research = self.settings.research
        shown = torch.zeros((self.foregrounds, grid[0] * grid[1]), device=self.device)
        trust = torch.ones((self.foregrounds, 1), device=self.device)
        if self.needs_priors:
            participation, measured = self._structure()
            content, raw = self._content(block, grid)
            structure = resample(structure_prior(participation), measured, grid, research.resampling)
            shown = evidence(structure, content, research.mask_parts, research.content_weight)
            trust = self._trust(participation, raw)
        for index, shape in self.shapes.items():
            shown[index] = resample(shape.alpha, self.latent_grid, grid, research.resampling)[0]
            trust[index] = 1.0
        return shown, trust

    def _structure(self) -> Maps:
        structure = self.store.priors.structure
        assert structure is not None, "No forward has given the priors yet; run a prior pass before masks are asked."
        return structure

    def _content(self, block: str, grid: Grid) -> tuple[Tensor, Tensor]:
        """(K, N) content confidence on a grid, normalised; and the block's raw map, on its own grid."""
        research, priors = self.settings.research, self.store.priors

        def brought(maps: Maps) -> Tensor:
            return resample(normalised(maps[0], research.content_norm), maps[1], grid, research.resampling)

        if research.content_source == "live":
            assert priors.content is not None, "No cross-attention has measured content confidence yet."
            return brought(priors.content), priors.content[0]
        own = priors.block_content[block]
        if research.content_layers == "block":
            return brought(own), own[0]
        others = [
            (minmax(maps[0]), maps[1])
            for maps in priors.block_content.values()
            if research.content_layers == "all" or maps[1] == own[1]
        ]
        return torch.stack([brought(maps) for maps in others]).mean(dim=0), own[0]

    def _trust(self, participation: Tensor, content: Tensor) -> Tensor:
        """κ of the maps that are used: the lower of the two."""
        parts, gate = self.settings.research.mask_parts, self.settings.research.contrast_gate
        by_structure, by_content = contrast(participation, gate), contrast(content, gate)
        if parts == "product":
            return torch.minimum(by_structure, by_content)
        return by_structure if parts == "structure" else by_content

    def _soft(self, shown: Tensor, trust: Tensor, boundary: float, centre: Tensor | float) -> Tensor:
        soft, when = soft_mask(shown, boundary, trust, centre), self.settings.research.normalise
        spread = when == "always" or (when == "several" and self.foregrounds > 1)
        return stretch(soft, boundary, centre) if spread else soft

    def _uncovered(self, index: int, shown: Tensor, trust: Tensor, grid: Grid) -> Tensor | float:
        """Where a known foreground is not hidden by drawn ones, whose evidence is hollow: its holes are filled."""
        above = [i for i in range(index + 1, self.foregrounds) if i not in self.shapes]
        if not above or bool((trust[above] <= 0.5).any()):
            return 1.0
        return background_tokens(shown[above], grid)
