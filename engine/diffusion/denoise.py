"""The denoising loop: all streams go from noise to picture together, coupled inside the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from layerfusion.engine.backbones.base import Conditioning, Denoiser
from layerfusion.engine.diffusion.constraints import Constraints, Moment
from layerfusion.engine.diffusion.guidance import guide
from layerfusion.engine.diffusion.observer import Observer, Step
from layerfusion.engine.diffusion.sampling import Sampler
from layerfusion.engine.diffusion.step_plan import StepPlan, StepWork
from layerfusion.engine.fusion.coupling import Coupling, Half, Pass
from layerfusion.engine.image.geometry import Size


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance; see `engine.diffusion.guidance.guide`.

    Attributes:
        scale: guidance scale, at least 1; 1 is no guidance.
        rescale: 0 (off) to 1.
    """

    scale: float = 1.0
    rescale: float = 0.0


@dataclass(frozen=True)
class Prompts:
    """The conditioning of all streams.

    Attributes:
        negative, positive: encoded prompts, one row per stream in the order of `Streams`.
        size: the picture's size in pixels.
    """

    negative: Any
    positive: Any
    size: Size

    def rows(self, rows: list[int]) -> Prompts:
        """The conditioning of some streams."""
        return Prompts(self.negative[rows], self.positive[rows], self.size)


def denoise(
    backbone: Denoiser[Any],
    sampler: Sampler,
    coupling: Coupling,
    prompts: Prompts,
    noise: Tensor,
    guidance: Guidance,
    constraints: Constraints | None = None,
    observer: Observer | None = None,
) -> Iterator[Step]:
    """Denoise all streams, yielding after every step. The backbone must be `attached` to `coupling`.

    Args:
        noise: ε, (streams, C, h, w), unit variance.
        constraints: what is known before anything is drawn; None constrains nothing.
        observer: is called at every forward and step; None calls nothing.
    """
    constraints, observer = constraints or Constraints(), observer or Observer()
    network = _Network(backbone, coupling, prompts, observer)
    plan = StepPlan(sampler, coupling, guidance.scale != 1, constraints)

    z = constraints.start(sampler.start(noise), noise, sampler)
    for i, t in enumerate(sampler.timesteps):
        z_t = sampler.model_input(z, i)
        now = Moment(sampler, i, plan.time(i), noise, coupling.builder, coupling.streams.background)
        work = plan.work(i)
        if work.measures:
            network.measure_priors(z_t, t, now.time)
        v = network.predict(z_t, t, now.time, work, guidance)
        v = constraints.replace_prediction(v, z_t, now)
        z_0 = sampler.clean_estimate(z_t, v, i)
        z = constraints.after_step(sampler.step(v, i, z), now)
        step = Step(i, now.time * sampler.train_timesteps, z_0, z)
        observer.step(step)
        yield step


class _Network:
    """The network's forwards in one job: which rows run, with which conditioning, coupled or not."""

    def __init__(self, backbone: Denoiser[Any], coupling: Coupling, prompts: Prompts, observer: Observer) -> None:
        self._backbone, self._coupling, self._observer = backbone, coupling, observer
        self._prompts = prompts
        self._words: dict[tuple[Half, tuple[int, ...]], Conditioning] = {}
        self._difference = torch.empty(0)

    def measure_priors(self, z_t: Tensor, t: Tensor, time: float) -> None:
        """Run the prior pass: the foreground rows alone, conditional and uncoupled, to measure s and c."""
        alone = tuple(range(self._coupling.streams.foregrounds))
        self._backbone.run(lambda: self._forward(z_t, t, time, Pass.PRIOR, Half.CONDITIONAL, alone))

    def predict(self, z_t: Tensor, t: Tensor, time: float, work: StepWork, guidance: Guidance) -> Tensor:
        """Every stream's prediction, (streams, C, h, w); 0 for the streams that do not run, which are held."""
        whole = torch.zeros_like(z_t)
        if not work.rows:
            return whole
        unconditional, conditional = self._backbone.run(lambda: self._halves(z_t, t, time, work))
        rows = list(work.rows)
        if unconditional is not None:
            self._difference = torch.zeros_like(z_t)
            self._difference[rows] = unconditional - conditional
        elif work.guided:
            unconditional = conditional + self._difference[rows]
        if unconditional is not None:
            conditional = guide(unconditional, conditional, scale=guidance.scale, rescale=guidance.rescale)
        whole[rows] = conditional
        return whole

    def _halves(self, z_t: Tensor, t: Tensor, time: float, work: StepWork) -> tuple[Tensor | None, Tensor]:
        """The unconditional prediction, None if that half does not run, and the conditional one: (rows, C, h, w)."""

        def run(half: Half) -> Tensor:
            return self._forward(z_t, t, time, work.running, half, work.rows, work.deep)

        if work.unconditional and not self._backbone.halves_apart:
            unconditional, conditional = run(Half.BOTH).chunk(2)
            return unconditional, conditional
        conditional = run(Half.CONDITIONAL)
        return run(Half.UNCONDITIONAL) if work.unconditional else None, conditional

    def _forward(
        self,
        z_t: Tensor,
        t: Tensor,
        time: float,
        running: Pass,
        half: Half,
        rows: tuple[int, ...],
        deep: bool = True,
    ) -> Tensor:
        latents = z_t if len(rows) == len(z_t) else z_t[list(rows)]
        if half is Half.BOTH:
            latents = torch.cat([latents] * 2)
        with self._coupling.forward(running, time, half, rows, deep) as now:
            self._observer.forward(now, len(latents))
            return self._backbone.forward(latents, t, self._conditioning(half, rows), self._prompts.size)

    def _conditioning(self, half: Half, rows: tuple[int, ...]) -> Conditioning:
        """The conditioning of a forward: the same object each time, by which its keys and values are remembered."""
        if (half, rows) not in self._words:
            chosen = self._prompts.rows(list(rows))
            words = {Half.CONDITIONAL: chosen.positive, Half.UNCONDITIONAL: chosen.negative}
            self._words[half, rows] = chosen.negative + chosen.positive if half is Half.BOTH else words[half]
        return self._words[half, rows]
