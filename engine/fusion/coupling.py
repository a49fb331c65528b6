"""The coupling of one job: which forward is running, what its attention modules measure, and the masks they share.

    with coupling.forward(Pass.PRIOR, time):      the foreground rows alone; what they measure becomes the priors
        …
    with coupling.forward(Pass.COUPLED, time):    all rows, with the masks of those priors applied
        …

The order cannot be got wrong without an AssertionError that says so: nothing is measured or masked outside a forward,
forwards do not nest, and the unconditional half alone comes right after the conditional one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from torch import Tensor

from layerfusion.engine.fusion.mask_builder import KnownShape, MaskBuilder
from layerfusion.engine.fusion.masks import Grid, Masks
from layerfusion.engine.fusion.prior_store import Priors, PriorStore
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.options.fusion import FusionSettings


class Pass(Enum):
    """Which rows a forward holds, and whether they are coupled."""

    PRIOR = "prior"  # the foreground rows alone, conditional, uncoupled: only to read their attention
    JOINT = "joint"  # all rows, uncoupled
    COUPLED = "coupled"  # all rows, with masks applied


class Half(Enum):
    """Which guidance halves a forward holds."""

    BOTH = "both"  # or the conditional one only, in a step without guidance
    CONDITIONAL = "conditional"  # alone; the masks it makes are remembered
    UNCONDITIONAL = "unconditional"  # alone, right after the other one, by whose masks it is coupled


@dataclass(frozen=True)
class Attended:
    """What one attention module gave, for an `AttentionObserver`.

    Attributes:
        block: the transformer block it stands in.
        is_self: whether it is a self-attention.
        grid: its tokens.
        out: (rows, N, C), before the residual is added.
        uncoupled: computes what it would have given had the streams not seen each other, (rows, N, C).
    """

    block: str
    is_self: bool
    grid: Grid
    out: Tensor
    uncoupled: Callable[[], Tensor]


class AttentionObserver(Protocol):
    """Looks on while attention is computed, and changes nothing."""

    def attended(self, attended: Attended) -> None:
        """An attention module has run. The coupling's `now`, `masks` and `background` are those it was coupled by."""
        ...


@dataclass(frozen=True)
class Forward:
    """One forward of the network.

    Attributes:
        running: which pass.
        time: t / T of its step.
        half: which guidance halves.
    """

    running: Pass
    time: float
    half: Half


class Coupling:
    """What the attention processors of one job share.

    Args:
        streams: the rows of the batch.
        settings: how the streams are coupled.
        latent_grid: the latents' (height, width).
        end_of_text: (K,) int64, the token whose attention is the content confidence.
        shapes: foreground index -> where it is, for those that the artist has or that have a box.
        share_unconditional: whether background and blended stream may share attention in the unconditional half too:
            only if that half tells them the same.
        observer: looks on at every attention module; None is nobody.

    Attributes:
        builder: makes masks of the priors as they stand, whatever the running forward has applied.
        last: the last forward that ran to its end; None before the first.
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
    ) -> None:
        self.streams = streams
        self.settings = settings
        self.latent_grid = latent_grid
        self.end_of_text = end_of_text
        self.share_unconditional = share_unconditional
        self.observer = observer
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

    @property
    def priors(self) -> Priors:
        """As they stand."""
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

    @contextmanager
    def forward(self, running: Pass, time: float = 1.0, half: Half = Half.BOTH) -> Iterator[Forward]:
        """Within the block one forward of the network runs. If it is cut short, all it measured is forgotten.

        A prior pass gives the priors at its end; with `prior` = `lagged` every other forward does so too. Both halves
        of guidance drawn apart are one piece: if the second is cut short, the first must run again.

        Args:
            running: which rows it holds.
            time: t / T.
            half: which guidance halves it holds.
        """
        assert self._now is None, "A forward is running already; forwards of one job do not nest."
        second = half is Half.UNCONDITIONAL
        assert not second or self.last == Forward(running, time, Half.CONDITIONAL), (
            "The unconditional half takes the masks of the conditional one: run that first, in the same pass and step."
        )
        self._now, self.last = Forward(running, time, half), None
        self._noted.clear()
        if not second:
            self._before_halves = self.priors
            self._masks.clear()
            self._backgrounds.clear()
        gives_priors = running is Pass.PRIOR or self.settings.prior == "lagged"
        measuring = self._store.measuring(gives_priors=gives_priors, smooths=running is not Pass.PRIOR)
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
        """The first rows of those guidance halves in a batch that take part: all, or the conditional one only."""
        if self.now.half is Half.UNCONDITIONAL:
            return [0] if unconditional else []
        starts = list(range(0, rows, self.streams.count))
        return starts if unconditional else starts[-1:]

    def note_structure(self, participation: Tensor, grid: Grid) -> None:
        """A structure layer has measured (K, N) participation ratios. The unconditional half's do not count."""
        if self.now.half is not Half.UNCONDITIONAL:
            self._store.note_structure(participation, grid)

    def note_content(self, block: str, content: Tensor, grid: Grid) -> None:
        """A cross-attention has measured (K, N) content confidence. The unconditional half's does not count."""
        half = self.now.half
        self._noted.add(block)
        if half is not Half.UNCONDITIONAL:
            self._store.note_content(block, content, grid)

    def couples(self, block: str, grid: Grid) -> bool:
        """Whether streams are coupled in a transformer block of this token grid in the running forward."""
        research = self.settings.research
        asked = [part.strip() for part in research.blend_blocks.split(",") if part.strip()]
        chosen = not asked or any(part in block for part in asked)
        large = min(grid) >= research.smallest_grid
        return self.now.running is Pass.COUPLED and large and self.builder.is_ready and chosen

    def masks(self, block: str, grid: Grid) -> Masks:
        """The masks of all foregrounds on a token grid, as the running forward applies them.

        Args:
            block: the transformer block that asks; its own content confidence is used where the priors have it.
        """
        now, moment = self.now, (block, block in self._noted, grid)
        if now.half is Half.UNCONDITIONAL:
            assert moment in self._masks, f"The conditional half has not asked {block} for masks on a grid of {grid}."
            return self._masks[moment]
        made = self.builder.masks(block, grid, now.time)
        if now.half is Half.CONDITIONAL:
            self._masks[moment] = made
        return made

    def background(self, block: str, grid: Grid) -> Tensor:
        """(N,) of 0 and 1: the shared tokens. They need not be sharp, so they are made once a grid and forward."""
        assert self.now.half is not Half.UNCONDITIONAL or grid in self._backgrounds, (
            f"The conditional half has not asked for the background on a grid of {grid}."
        )
        if grid not in self._backgrounds:
            self._backgrounds[grid] = self.builder.background(block, grid)
        return self._backgrounds[grid]
