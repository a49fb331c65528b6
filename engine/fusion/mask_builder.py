"""Soft and hard masks of all foregrounds, from the current priors and from known shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from layerfusion.engine.fusion.masks import (
    SHARING_MARGIN,
    Grid,
    Masks,
    background_tokens,
    decision,
    evidence,
    ground_tokens,
    hard_mask,
    inner_tokens,
    otsu_threshold,
    resample,
    stretch,
    without_lone_border,
)
from layerfusion.engine.fusion.prior_store import Maps, Priors, PriorStore
from layerfusion.engine.fusion.priors import contrast, minmax, normalised, structure_prior
from layerfusion.engine.options.fusion import FusionSettings


@dataclass(frozen=True)
class KnownShape:
    """The shape of a foreground whose place is known before it is drawn: kept, relit or with a box.

    Attributes:
        alpha: (1, N) on the latent grid, 0-1.
        held_until: the foreground follows the given pixels while t > held_until · T, and takes from the blended stream
            afterwards. 0 is a kept layer, which never changes; for a relit layer it is the strength.
    """

    alpha: Tensor
    held_until: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MaskBuilder:
    """Makes masks on any token grid. It reads the priors and does not change them.

    Attributes:
        store: holds the priors.
        settings: how masks are made of the priors.
        foregrounds: K, the number of foregrounds.
        latent_grid: the latents' (height, width).
        shapes: foreground index -> its known shape, for foregrounds that are kept, relit or have a box.
        device: the torch device of the masks.
    """

    store: PriorStore
    settings: FusionSettings
    foregrounds: int
    latent_grid: Grid
    shapes: Mapping[int, KnownShape]
    device: torch.device
    _known: dict[tuple[str, Grid], tuple[Priors, Tensor, Tensor]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def needs_priors(self) -> bool:
        """Whether the masks of any foreground depend on its attention. Those of a known shape depend on its alpha."""
        return len(self.shapes) < self.foregrounds

    @property
    def is_ready(self) -> bool:
        """Whether the priors that the masks need have been measured."""
        priors = self.store.priors
        return not self.needs_priors or (priors.structure is not None and priors.content is not None)

    def masks(self, block: str, grid: Grid, time: float) -> Masks:
        """The masks of all foregrounds on a token grid.

        Args:
            block: the transformer block that needs them; its own content confidence is used if the priors have it.
            grid: (rows, columns) of tokens.
            time: t / T, 1 to 0; decides whether a relit foreground is still held to the given pixels.
        """
        settings, research = self.settings, self.settings.research
        shown, trust = self.evidence(block, grid)
        otsu = otsu_threshold(shown) if "otsu" in (research.hard_mode, research.soft_mode) else 0.5
        centre = otsu if research.soft_mode == "otsu" else 0.5
        soft = trust * shown
        if research.soft_mode != "scaled":
            soft = self._decided(shown, trust, settings.decision_boundary, centre)
        own = settings.foreground_boundary
        inner = soft.clone() if own is None else self._decided(shown, trust, own, centre)
        hard = self._hard(shown, trust, otsu)
        held = torch.zeros((self.foregrounds, 1), dtype=torch.bool, device=shown.device)
        for index, shape in self.shapes.items():
            if time > shape.held_until or shape.held_until == 0:
                soft[index], hard[index], held[index] = shown[index], 0.0, True
            soft[index] *= self._uncovered(index, shown, trust, grid)
        return Masks(soft, hard, inner, held)

    def background(self, block: str, grid: Grid) -> Tensor:
        """Tokens that are clearly outside every object, (N,) of 0 and 1; all 0 if a map cannot be trusted."""
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
        """Where clearly none of some foregrounds is: (1, h, w), 0-1, on the latent grid.

        Args:
            block: the transformer block whose content confidence is used.
            foregrounds: the indices of the foregrounds.
            in_doubt: the value everywhere, 0-1, while the masks of one of them cannot be trusted.
            margin: width of the zone of 0 around them, as a fraction of the grid's longer side.
            ground: width of a further zone of 0 about their lower halves, where shadows fall; the same unit. 0 is none.
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
        """u (K, N), 0-1, and its trust κ (K, 1), 0-1; for foregrounds of known shape, their alpha and a trust of 1.

        Masks, shared tokens and what holds the backdrop all ask for it, so it is made once of the same priors. The
        caller must not change it.
        """
        priors = self.store.priors
        known = self._known.get((block, grid))
        if known is None or known[0] is not priors:
            known = self._known[block, grid] = (priors, *self._evidence(block, grid))
        return known[1:]

    def _evidence(self, block: str, grid: Grid) -> tuple[Tensor, Tensor]:
        research = self.settings.research
        shown = torch.zeros((self.foregrounds, grid[0] * grid[1]), device=self.device)
        trust = torch.ones((self.foregrounds, 1), device=self.device)
        if self.needs_priors:
            participation, measured = self._structure()
            content, raw = self._content(block, grid)
            structure = structure_prior(participation, self._inner(measured))
            structure = resample(structure, measured, grid, research.resampling)
            shown = evidence(structure, content, research.mask_parts, research.content_weight, self._inner(grid))
            shown = without_lone_border(shown, grid, research.border_margin)
            trust = self._trust((participation, measured), raw)
        for index, shape in self.shapes.items():
            shown[index] = resample(shape.alpha, self.latent_grid, grid, research.resampling)[0]
            trust[index] = 1.0
        return shown, trust

    def _structure(self) -> Maps:
        structure = self.store.priors.structure
        assert structure is not None, "No forward has set the priors yet; run a prior pass before making masks."
        return structure

    def _content(self, block: str, grid: Grid) -> tuple[Tensor, Maps]:
        """Content confidence (K, N) on `grid`, normalised; and the block's raw map."""
        research, priors = self.settings.research, self.store.priors

        def brought(maps: Maps) -> Tensor:
            shown = normalised(maps[0], research.content_norm, self._inner(maps[1]))
            return resample(shown, maps[1], grid, research.resampling)

        if research.content_source == "live":
            assert priors.content is not None, "No cross-attention has measured content confidence yet."
            return brought(priors.content), priors.content
        own = priors.block_content[block]
        if research.content_layers == "block":
            return brought(own), own
        others = [
            (minmax(maps[0], self._inner(maps[1])), maps[1])
            for maps in priors.block_content.values()
            if research.content_layers == "all" or maps[1] == own[1]
        ]
        return torch.stack([brought(maps) for maps in others]).mean(dim=0), own

    def _trust(self, structure: Maps, content: Maps) -> Tensor:
        """κ (K, 1), 0-1, of the maps that are used; the lower value if both are."""
        parts, gate = self.settings.research.mask_parts, self.settings.research.contrast_gate
        by_structure, by_content = (contrast(maps, gate, self._inner(grid)) for maps, grid in (structure, content))
        if parts == "product":
            return torch.minimum(by_structure, by_content)
        return by_structure if parts == "structure" else by_content

    def _inner(self, grid: Grid) -> Tensor | None:
        """The tokens of a grid that are not at the picture's border, (N,) of bool; None if all are."""
        return inner_tokens(grid, self.settings.research.border_margin, self.device)

    @property
    def _stretches(self) -> bool:
        when = self.settings.research.normalise
        return when == "always" or (when == "several" and self.foregrounds > 1)

    def _decided(self, shown: Tensor, trust: Tensor, boundary: float, centre: Tensor | float) -> Tensor:
        mask = decision(shown, boundary, trust, centre)
        return stretch(mask, boundary, centre) if self._stretches else mask

    def _hard(self, shown: Tensor, trust: Tensor, otsu: Tensor | float) -> Tensor:
        research, boundary = self.settings.research, self.settings.decision_boundary
        if research.hard_mode != "sigmoid":
            threshold = otsu if research.hard_mode == "otsu" else research.hard_threshold
            return hard_mask(shown, math.inf, trust, threshold)
        hard = hard_mask(shown, boundary, trust, research.hard_threshold)
        return stretch(hard, boundary, research.hard_threshold) if self._stretches else hard

    def _uncovered(self, index: int, shown: Tensor, trust: Tensor, grid: Grid) -> Tensor | float:
        """Where a known foreground is not hidden by drawn ones above it: (N,) of 0 and 1, or 1.0 for everywhere.

        The evidence of a drawn foreground is often hollow, so its holes are filled first.
        """
        above = [i for i in range(index + 1, self.foregrounds) if i not in self.shapes]
        if not above or bool((trust[above] <= 0.5).any()):
            return 1.0
        return background_tokens(shown[above], grid)
