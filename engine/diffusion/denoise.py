"""The denoising loop: all streams go from noise to picture together, coupled inside the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from layerfusion.engine.backbones.base import Conditioning, Denoiser
from layerfusion.engine.diffusion.constraints import PLACED_UNTIL, Constraints, Moment
from layerfusion.engine.diffusion.guidance import guide
from layerfusion.engine.diffusion.observer import Observer, Step
from layerfusion.engine.diffusion.sampling import Sampler, coupling_step
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
    plan = _Plan(sampler, coupling, guidance, constraints)

    z = constraints.start(sampler.start(noise), noise, sampler)
    for i, t in enumerate(sampler.timesteps):
        z_t = sampler.model_input(z, i)
        now = Moment(sampler, i, plan.time(i), noise, coupling.builder, coupling.streams.background)
        if plan.measures(i):
            network.measure_priors(z_t, t, now.time)
        if plan.is_idle(i):
            v = torch.zeros_like(z_t)  # the constraints replace all of it: every stream's path is known
        elif plan.is_guided(i):
            unconditional, conditional = network.predict_both(z_t, t, plan.running(i), now.time)
            v = guide(unconditional, conditional, scale=guidance.scale, rescale=guidance.rescale)
        else:
            v = network.predict(z_t, t, plan.running(i), now.time)
        v = constraints.replace_prediction(v, z_t, now)
        z_0 = sampler.clean_estimate(z_t, v, i)
        z = constraints.after_step(sampler.step(v, i, z), now)
        step = Step(i, now.time * sampler.train_timesteps, z_0, z)
        observer.step(step)
        yield step


class _Plan:
    """Which steps are coupled, guided, preceded by a prior pass, or need no network at all."""

    def __init__(self, sampler: Sampler, coupling: Coupling, guidance: Guidance, constraints: Constraints) -> None:
        settings = coupling.settings
        self._sampler, self._coupling, self._constraints = sampler, coupling, constraints
        blend_end = min(settings.blend_end, PLACED_UNTIL) if coupling.shapes else settings.blend_end
        self._coupled = self._steps(settings.blend_start, blend_end)
        self._guided = self._steps(settings.guidance_start, settings.guidance_end) if guidance.scale != 1 else range(0)

    def time(self, index: int) -> float:
        """t / T."""
        return float(self._sampler.times[index])

    def is_idle(self, index: int) -> bool:
        """Whether the network need not run: constraints replace every prediction, and no priors are needed."""
        held = self._constraints.hold_everything(self.time(index), self._coupling.streams.count)
        return held and not self._coupling.needs_priors

    def running(self, index: int) -> Pass:
        """The kind of forward that this step runs: coupled or not."""
        return Pass.COUPLED if index in self._coupled and not self.is_idle(index) else Pass.JOINT

    def is_guided(self, index: int) -> bool:
        return index in self._guided and not self.is_idle(index)

    def measures(self, index: int) -> bool:
        """Whether a prior pass runs before this step: before every coupled step, or only before the first."""
        often = self._coupling.settings.prior == "per_step" or index == self._coupled.start
        return self.running(index) is Pass.COUPLED and self._coupling.needs_priors and often

    def _steps(self, start: float, end: float) -> range:
        """The steps from the first with t <= start · T to the last before t <= end · T.

        A start of 0 gives no steps; an end of 0 includes the last step, even if its timestep is 0.
        """

        def step_at(part: float) -> int:
            reached = coupling_step(self._sampler.times, part)
            return reached if part > 0 else len(self._sampler.timesteps)

        return range(step_at(start), step_at(end))


class _Network:
    """The network's forwards in one job: which rows run, with which conditioning, coupled or not."""

    def __init__(self, backbone: Denoiser[Any], coupling: Coupling, prompts: Prompts, observer: Observer) -> None:
        self._backbone, self._coupling, self._observer = backbone, coupling, observer
        self._prompts = prompts
        self._both = prompts.negative + prompts.positive

    def measure_priors(self, z_t: Tensor, t: Tensor, time: float) -> None:
        """Run the prior pass: the foreground rows alone, conditional and uncoupled, to measure s and c."""
        alone = slice(0, self._coupling.streams.foregrounds)
        words = self._prompts.positive[alone]
        self._backbone.run(lambda: self._forward(z_t[alone], t, words, Pass.PRIOR, time))

    def predict(self, z_t: Tensor, t: Tensor, running: Pass, time: float) -> Tensor:
        """Every stream's conditional prediction, (streams, C, h, w)."""
        return self._backbone.run(lambda: self._forward(z_t, t, self._prompts.positive, running, time))

    def predict_both(self, z_t: Tensor, t: Tensor, running: Pass, time: float) -> tuple[Tensor, ...]:
        """Every stream's unconditional and conditional predictions, (streams, C, h, w) each."""

        def work() -> tuple[Tensor, ...]:
            if not self._backbone.halves_apart:
                return self._forward(torch.cat([z_t] * 2), t, self._both, running, time).chunk(2)
            conditional = self._forward(z_t, t, self._prompts.positive, running, time, Half.CONDITIONAL)
            return self._forward(z_t, t, self._prompts.negative, running, time, Half.UNCONDITIONAL), conditional

        return self._backbone.run(work)

    def _forward(
        self, rows: Tensor, t: Tensor, words: Conditioning, running: Pass, time: float, half: Half = Half.BOTH
    ) -> Tensor:
        with self._coupling.forward(running, time, half) as now:
            self._observer.forward(now, len(rows))
            return self._backbone.forward(rows, t, words, self._prompts.size)
