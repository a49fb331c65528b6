"""A job of the embedded model at half its size, with an observer that records what happens inside."""

from contextlib import closing
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor

from layerfusion.engine.diffusion.observer import Observer, Step
from layerfusion.engine.events import Progress
from layerfusion.engine.fusion.coupling import Pass
from layerfusion.engine.fusion.masks import Masks
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated

ALIKE = 1e-5
"""Tolerance: attention of some rows alone may differ from that of all rows in the last bits."""


@dataclass(frozen=True)
class Seen:
    """One attention module in a coupled forward.

    Attributes:
        block: the transformer block.
        kind: "attn1" is self-attention, "attn2" cross-attention.
        time: t / T.
        out: (rows, N, C), its output.
        plain: (rows, N, C), its output for the same input without coupling.
        masks: the masks it used; None if its block or its grid is not coupled.
        background: the shared tokens; None in the same case.
    """

    block: str
    kind: str
    time: float
    out: Tensor
    plain: Tensor
    masks: Masks | None
    background: Tensor | None

    @property
    def changed(self) -> set[int]:
        """The rows that the coupling has changed."""
        difference = (self.out - self.plain).abs().amax(dim=(1, 2))
        return {row for row, value in enumerate(difference.tolist()) if value > ALIKE}


@dataclass
class Run(Observer):
    """What an observer recorded of a job.

    Attributes:
        steps: the steps that `denoise` yielded.
        forwards: (t / T, kind of pass, number of rows) of every forward of the network.
        attended: every attention module of every coupled forward, in order.
        outside: for every step, where each active backdrop constraint held the stream, (1, h, w).
    """

    steps: list[Step] = field(default_factory=list)
    forwards: list[tuple[float, Pass, int]] = field(default_factory=list)
    attentions: list[Seen] = field(default_factory=list)
    outside: list[list[Tensor]] = field(default_factory=list)

    def begin(self, bundle, backbone, sampler, coupling, constraints):
        self.coupling, self.constraints = coupling, constraints

    def forward(self, now, rows):
        self.forwards.append((now.time, now.running, rows))

    def attended(self, attended):
        coupling, block, grid = self.coupling, attended.block, attended.grid
        if coupling.now.running is Pass.COUPLED:
            coupled = coupling.couples(block, grid)
            self.attentions.append(
                Seen(
                    block=block,
                    kind="attn1" if attended.is_self else "attn2",
                    time=coupling.now.time,
                    out=attended.out.clone(),
                    plain=attended.uncoupled(),
                    masks=coupling.masks(block, grid) if coupled else None,
                    background=coupling.background(block, grid) if coupled else None,
                )
            )

    def step(self, step):
        self.steps.append(step)
        self.outside.append(
            [
                constraint.where(self.coupling.builder)
                for constraint in self.constraints.backdrops
                if self.coupling.last.time > constraint.until
            ]
        )

    @property
    def estimates(self) -> Tensor:
        """The estimates of z0, (steps, streams, 4, h, w)."""
        return torch.stack([step.estimate for step in self.steps])

    @property
    def times(self) -> list[float]:
        return [step.timestep / 1000 for step in self.steps]


@pytest.fixture(scope="session")
def small(bundle):
    """The embedded model at 64 px: it has token grids of 8x8, 4x4 and 2x2."""
    return replace(bundle, spec=replace(bundle.spec, native_size=64))


@pytest.fixture(scope="session")
def run(small):
    """A function that draws up to the last step, without previews and layers, and returns the `Run`.

    Its keywords are options of `FusionSettings` and fields of a request. Every map is trusted, and grids down to 4x4
    are coupled. What was asked before with plain values is not drawn again.
    """
    names = {option.name for option in FusionSettings.options()}
    drawn: dict[object, Run] = {}

    def once(bundle=small, **values) -> Run:
        if bundle is not small or not all(isinstance(value, (str, int, float)) for value in values.values()):
            return draw(bundle, **values)
        key = frozenset(values.items())
        if key not in drawn:
            drawn[key] = draw(**values)
        return drawn[key]

    def draw(bundle=small, **values) -> Run:
        options = {"contrast_gate": 0.0, "content_source": "prior", "smallest_grid": 4}
        options |= {name: values.pop(name) for name in list(values) if name in names}
        side = bundle.spec.native_size
        asked = {
            "size": Size(side, side),
            "background": Generated(prompt="a beach at sunset"),
            "foregrounds": (Generated(prompt="a red apple"),),
            "seed": 3,
            "steps": 1,
        }
        request = GenerationRequest(**{**asked, **values}, fusion=FusionSettings.from_values(options))
        seen = Run()
        with closing(LayerFusionPipeline(bundle.spec, bundle=bundle).generate(request, seen)) as events:
            for event in events:
                if isinstance(event, Progress) and event.stage == "drawing" and event.step == event.total:
                    return seen
        raise AssertionError("it never finished")

    return once
