"""The state that the attention modules of one job share: the running forward, the priors measured, and the masks.

    with coupling.forward(Pass.PRIOR, time):      the foreground rows alone; what they measure becomes the priors
        …
    with coupling.forward(Pass.COUPLED, time):    all rows, with the masks of those priors applied
        …

A wrong order of calls raises an AssertionError: nothing can be measured or masked outside a forward, forwards do not
nest, and a forward of the unconditional half alone must directly follow that of the conditional half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import torch
from torch import Tensor

from layerfusion.engine.fusion.mask_builder import KnownShape, MaskBuilder
from layerfusion.engine.fusion.masks import Grid, Masks
from layerfusion.engine.fusion.prior_store import Priors, PriorStore
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.options.fusion import FusionSettings


class Pass(Enum):
    """Which rows a forward holds, and whether they are coupled."""

    PRIOR = "prior"  # the foreground rows alone, conditional, uncoupled: only to measure their attention
    JOINT = "joint"  # all rows, uncoupled
    COUPLED = "coupled"  # all rows, with masks applied


class Half(Enum):
    """Which guidance halves a forward holds."""

    BOTH = "both"  # all halves of the step in one batch; without guidance that is the conditional half only
    CONDITIONAL = "conditional"  # this half alone; its masks are stored for the other half
    UNCONDITIONAL = "unconditional"  # this half alone, directly after the conditional half, with its masks


@dataclass(frozen=True)
class Attended:
    """The output of one attention module, for an `AttentionObserver`.

    Attributes:
        block: the transformer block that contains the module.
        is_self: whether the module is a self-attention.
        grid: (rows, columns) of its tokens.
        out: (rows, N, C), before the residual is added.
        uncoupled: computes the output that the module would have given without coupling, (rows, N, C).
    """

    block: str
    is_self: bool
    grid: Grid
    out: Tensor
    uncoupled: Callable[[], Tensor]


class AttentionObserver(Protocol):
    """Is called when attention has been computed. It must not change anything."""

    def attended(self, attended: Attended) -> None:
        """An attention module has run. The coupling's `now`, `masks` and `background` are still those it used."""
        ...


@dataclass(frozen=True)
class Forward:
    """One forward of the network.

    Attributes:
        running: the kind of pass.
        time: t / T of its step, 1 to 0.
        half: the guidance halves it holds.
        rows: the streams of each guidance half, ascending.
        deep: whether the deep blocks run; otherwise their last output is taken, see `fusion.block_cache`.
    """

    running: Pass
    time: float
    half: Half
    rows: tuple[int, ...]
    deep: bool = True


class Coupling:
    """The state that the attention processors of one job share.

    Args:
        streams: the rows of the batch.
        settings: how the streams are coupled.
        latent_grid: the latents' (height, width).
        end_of_text: (K,) int64, the index of each prompt's token whose attention is the content confidence.
        shapes: foreground index -> its known shape, for foregrounds that are kept, relit or have a box.
        share_unconditional: whether background and blended stream may share attention in the unconditional half, too.
            They may only if their negative prompts are equal.
        observer: is called after every attention module; None calls nothing.
        blended_end: (1,) int64, the same index of the blended prompt; needed for `content_from` = "blended".

    Attributes:
        builder: makes masks of the current priors, independently of the masks that the running forward uses.
        last: the last forward that was completed; None before the first.
    """

    def __init__(
        self,
        streams: Streams,
        settings: FusionSettings,
        latent_grid: Grid,
        end_of_text: Tensor,
        shapes: Mapping[int, KnownShape] | None = None,
        share_unconditional: bool = True,
        observer: AttentionObserver | None = None,
        blended_end: Tensor | None = None,
    ) -> None:
        self.streams = streams
        self.settings = settings
        self.latent_grid = latent_grid
        self.end_of_text = end_of_text
        self.share_unconditional = share_unconditional
        self.observer = observer
        self.blended_end = blended_end
        self._store = PriorStore(settings)
        self.builder = MaskBuilder(
            store=self._store,
            settings=settings,
            foregrounds=streams.foregrounds,
            latent_grid=latent_grid,
            shapes=dict(shapes or {}),
            device=end_of_text.device,
        )
        self.last: Forward | None = None
        self._now: Forward | None = None
        self._before_halves = Priors()
        self._noted: set[str] = set()
        self._masks: dict[tuple[str, bool, Grid], Masks] = {}
        self._backgrounds: dict[Grid, Tensor] = {}
        self._shared: dict[Grid, Tensor] = {}

    @property
    def priors(self) -> Priors:
        """The current priors."""
        return self._store.priors

    @property
    def shapes(self) -> Mapping[int, KnownShape]:
        return self.builder.shapes

    @property
    def needs_priors(self) -> bool:
        """Whether any foreground's masks come from its attention."""
        return self.builder.needs_priors

    @property
    def now(self) -> Forward:
        """The running forward."""
        assert self._now is not None, "No forward is running; run the network within `with coupling.forward(…)`."
        return self._now

    @property
    def content_of_blended(self) -> bool:
        """Whether the running forward measures content confidence in the blended stream. A prior pass has none."""
        return self.settings.research.content_from == "blended" and self.now.running is not Pass.PRIOR

    @property
    def gives_priors(self) -> bool:
        """Whether the running forward sets the priors. What others measure is not used, so that they need not."""
        return self.now.running is Pass.PRIOR or self.settings.prior == "lagged"

    @property
    def measures_content(self) -> bool:
        """Whether the running forward measures content confidence: for the priors, or for its own masks.

        If the blended stream's is wanted, a prior pass measures the foregrounds' only for the first coupled forward.
        """
        research = self.settings.research
        if not (self.gives_priors or self.content_of_blended or research.content_source == "live"):
            return False
        return research.content_from == "foreground" or self.content_of_blended or not self.priors.of_blended

    @contextmanager
    def forward(
        self,
        running: Pass,
        time: float = 1.0,
        half: Half = Half.BOTH,
        rows: tuple[int, ...] | None = None,
        deep: bool = True,
    ) -> Iterator[Forward]:
        """A context manager; inside its block one forward of the network runs.

        A completed prior pass sets the priors; with `prior` = `lagged` every other completed forward sets them, too. If
        the forward raises, everything it measured is discarded. Two guidance halves that run as separate forwards
        belong together: if the second raises, the measurements of the first are discarded, and it must run again.

        Args:
            running: the kind of pass.
            time: t / T, 1 to 0.
            half: the guidance halves it holds.
            rows: the streams of each guidance half, ascending; None takes all, and the foregrounds in a prior pass.
            deep: whether the deep blocks run.
        """
        if rows is None:
            rows = tuple(range(self.streams.foregrounds if running is Pass.PRIOR else self.streams.count))
        assert self._now is None, "A forward is running already; forwards of one job do not nest."
        second = half is Half.UNCONDITIONAL
        now = Forward(running, time, half, rows, deep)
        assert not second or self.last == replace(now, half=Half.CONDITIONAL), (
            "The unconditional half takes the masks of the conditional one: run that first, in the same pass and step."
        )
        self._now, self.last = now, None
        self._noted.clear()
        if not second:
            self._before_halves = self.priors
            self._masks.clear()
            self._backgrounds.clear()
            self._shared.clear()
        measuring = self._store.measuring(
            gives_priors=self.gives_priors,
            smooths=running is not Pass.PRIOR,
            of_blended=self.content_of_blended,
        )
        try:
            with nullcontext() if second else measuring:
                yield self._now
            self.last = self._now
        except BaseException:
            self._store.priors = self._before_halves
            raise
        finally:
            self._now = None

    def halves(self, rows: int, unconditional: bool) -> list[int]:
        """The indices of the first row of the guidance halves that take part in an exchange.

        Args:
            rows: number of rows of the batch.
            unconditional: whether the unconditional half takes part, too.
        """
        if self.now.half is Half.UNCONDITIONAL:
            return [0] if unconditional else []
        starts = list(range(0, rows, len(self.now.rows)))
        return starts if unconditional else starts[-1:]

    def note_structure(self, participation: Tensor, grid: Grid) -> None:
        """Store the participation ratios of a structure layer, (foregrounds that run, N).

        Those of the unconditional half are ignored.
        """
        if self.now.half is not Half.UNCONDITIONAL and len(participation):
            self._store.note_structure(self._for_all(participation), grid)

    def note_content(self, block: str, content: Tensor, grid: Grid) -> None:
        """Store the content confidence of a cross-attention, (foregrounds that run, N), or (K, N) of the blended one.

        That of the unconditional half is ignored.
        """
        half = self.now.half
        self._noted.add(block)
        if half is not Half.UNCONDITIONAL and len(content):
            self._store.note_content(block, self._for_all(content), grid)

    def _for_all(self, maps: Tensor) -> Tensor:
        """(K, N) of (foregrounds that run, N). The others are known, and their maps are not used; they get 1."""
        running = [row for row in self.now.rows if row < self.streams.foregrounds]
        if len(maps) == self.streams.foregrounds:
            return maps
        whole = torch.ones((self.streams.foregrounds, maps.shape[1]), device=maps.device)
        whole[running] = maps
        return whole

    def couples(self, block: str, grid: Grid) -> bool:
        """Whether the running forward couples the streams in a transformer block with this token grid."""
        research = self.settings.research
        asked = [part.strip() for part in research.blend_blocks.split(",") if part.strip()]
        chosen = not asked or any(part in block for part in asked)
        large = min(grid) >= research.smallest_grid
        return self.now.running is Pass.COUPLED and large and self.builder.is_ready and chosen

    def masks(self, block: str, grid: Grid) -> Masks:
        """The masks of all foregrounds on a token grid, as the running forward applies them.

        Args:
            block: the transformer block that needs them; its own content confidence is used if the priors have it.
            grid: (rows, columns) of tokens.
        """
        live = self.settings.research.content_source == "live"
        now, key = self.now, (block, live and block in self._noted, grid)
        assert now.half is not Half.UNCONDITIONAL or key in self._masks, (
            f"The conditional half has made no masks for {block} on a grid of {grid}."
        )
        if key not in self._masks:
            self._masks[key] = self.builder.masks(block, grid, now.time)
        return self._masks[key]

    def background(self, block: str, grid: Grid) -> Tensor:
        """The shared tokens, (N,) of 0 and 1. They need not be exact, so each forward computes them once per grid."""
        assert self.now.half is not Half.UNCONDITIONAL or grid in self._backgrounds, (
            f"The conditional half has computed no background on a grid of {grid}."
        )
        if grid not in self._backgrounds:
            self._backgrounds[grid] = self.builder.background(block, grid)
        return self._backgrounds[grid]

    def shared_tokens(self, block: str, grid: Grid) -> Tensor:
        """The indices of the tokens that background and blended stream share, int64, ascending."""
        if grid not in self._shared:
            if self.settings.research.sharing == "all":
                self._shared[grid] = torch.arange(grid[0] * grid[1], device=self.end_of_text.device)
            else:
                self._shared[grid] = self.background(block, grid).nonzero()[:, 0]
        return self._shared[grid]
