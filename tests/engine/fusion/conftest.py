"""A job on the embedded model at half its size, watched from inside while it draws."""

from contextlib import closing
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor

from layerfusion.engine import pipeline as job
from layerfusion.engine.diffusion.denoise import BackdropConstraint, Step
from layerfusion.engine.events import Progress
from layerfusion.engine.fusion.attention import FusionProcessor
from layerfusion.engine.fusion.coupling import Coupling, Pass
from layerfusion.engine.fusion.masks import Masks
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated

ALIKE = 1e-5
"""Attention of some rows alone may differ from that of all in the last bits."""


@dataclass(frozen=True)
class Attended:
    """One attention module in a coupled forward.

    Attributes:
        block: the transformer block.
        kind: "attn1" is self-attention, "attn2" cross-attention.
        time: t / T.
        out: (rows, N, C), what it gave.
        plain: the same of the same input, had the streams not been coupled.
        masks: those it was coupled by; None where its block or its grid is not.
    """

    block: str
    kind: str
    time: float
    out: Tensor
    plain: Tensor
    masks: Masks | None

    @property
    def changed(self) -> set[int]:
        """The rows the coupling has changed."""
        difference = (self.out - self.plain).abs().amax(dim=(1, 2))
        return {row for row, value in enumerate(difference.tolist()) if value > ALIKE}


@dataclass
class Run:
    """A job, seen from inside.

    Attributes:
        steps: what `denoise` gave.
        forwards: the UNet's: t / T, which pass, how many rows.
        attended: every attention module of every coupled forward, in order.
        anchors: what the blended stream was held to.
        coupling: as it stood at the end.
        outside: one a step and anchor that held in it, (1, h, w): where.
    """

    steps: list[Step] = field(default_factory=list)
    forwards: list[tuple[float, Pass, int]] = field(default_factory=list)
    attended: list[Attended] = field(default_factory=list)
    anchors: tuple[BackdropConstraint, ...] = ()
    coupling: Coupling | None = None
    outside: list[list[Tensor]] = field(default_factory=list)

    @property
    def estimates(self) -> Tensor:
        """(steps, streams, 4, h, w)."""
        return torch.stack([step.estimate for step in self.steps])

    @property
    def times(self) -> list[float]:
        return [step.timestep / 1000 for step in self.steps]


@pytest.fixture(scope="session")
def small(bundle):
    """The embedded model, drawing 64 px: token grids of 8x8, 4x4 and 2x2."""
    return replace(bundle, spec=replace(bundle.spec, native_size=64))


@pytest.fixture
def run(monkeypatch, small):
    """Draw, and return the `Run`: until the last step, without previews and layers.

    Keywords are options of `FusionSettings`, and those of a request. Every map is believed, and grids down to 4x4 are
    coupled.
    """
    names = {option.name for option in FusionSettings.options()}
    original_denoise, original_call = job.denoise, FusionProcessor.__call__

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

        def denoise(*arguments, **keywords):
            coupling, seen.anchors = arguments[2], keywords["anchors"]
            seen.coupling = coupling
            for step in original_denoise(*arguments, **keywords):
                seen.steps.append(step)
                seen.outside.append(
                    [
                        anchor.mask
                        * coupling.outside(anchor.block, anchor.behind, anchor.in_doubt, anchor.margin, anchor.ground)
                        for anchor in seen.anchors
                        if coupling.time > anchor.until
                    ]
                )
                yield step

        def attend(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None):
            coupling, given = self._coupling, (attn, hidden_states, encoder_hidden_states, attention_mask, temb)
            if coupling.running is not Pass.COUPLED:
                return original_call(self, *given)
            coupling.running = Pass.JOINT
            plain = original_call(self, *given)
            coupling.running = Pass.COUPLED
            out = original_call(self, *given)
            side = round(hidden_states.shape[1] ** 0.5)
            coupled = coupling.couples(self._block, (side, side))
            masks = coupling.masks(self._block, (side, side)) if coupled else None
            kind = "attn1" if encoder_hidden_states is None else "attn2"
            seen.attended.append(Attended(self._block, kind, coupling.time, out.clone(), plain, masks))
            return out

        def entered(_unet, inputs):
            seen.forwards.append((seen.coupling.time, seen.coupling.running, len(inputs[0])))

        hook = bundle.unet.register_forward_pre_hook(entered)
        with monkeypatch.context() as patch:
            patch.setattr(job, "denoise", denoise)
            patch.setattr(job, "is_due", lambda *_: False)
            patch.setattr(FusionProcessor, "__call__", attend)
            try:
                with closing(LayerFusionPipeline(bundle.spec, bundle=bundle).generate(request)) as events:
                    for event in events:
                        if isinstance(event, Progress) and event.stage == "drawing" and event.step == event.total:
                            return seen
            finally:
                hook.remove()
        raise AssertionError("it never finished")

    return draw
