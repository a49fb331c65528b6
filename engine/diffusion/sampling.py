"""Solvers by the names that artists know, with the signal and noise levels of every step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    TCDScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from layerfusion.engine.backbones.base import NoiseSchedule
from layerfusion.engine.diffusion.spacing import ContinuousLevels, Levels, NoiseLevels, TrainingTimesteps, sigmas
from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.models.catalog.samplers import SAMPLERS, check_sampler, solver_and_spacing
from layerfusion.engine.models.catalog.schedules import EDM
from layerfusion.engine.notices import Notice, sentence


@dataclass(frozen=True)
class _Solver:
    """A diffusers scheduler, and whether it adds noise at every step."""

    scheduler: Any
    options: dict[str, Any] = field(default_factory=dict)
    stochastic: bool = False


_SDE = {"algorithm_type": "sde-dpmsolver++"}
_SOLVERS: dict[str, _Solver] = {
    "euler": _Solver(EulerDiscreteScheduler),
    "euler_a": _Solver(EulerAncestralDiscreteScheduler, stochastic=True),
    "heun": _Solver(HeunDiscreteScheduler),
    "dpmpp_2m": _Solver(DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "dpmpp_2m_sde": _Solver(DPMSolverMultistepScheduler, _SDE, stochastic=True),
    "dpmpp_3m_sde": _Solver(DPMSolverMultistepScheduler, {**_SDE, "solver_order": 3}, stochastic=True),
    "dpmpp_sde": _Solver(DPMSolverSinglestepScheduler, {**_SDE, "lower_order_final": True}, stochastic=True),
    "unipc": _Solver(UniPCMultistepScheduler),
    "deis": _Solver(DEISMultistepScheduler),
    "ddim": _Solver(DDIMScheduler, {"clip_sample": False}),
    "lcm": _Solver(LCMScheduler, stochastic=True),
    "tcd": _Solver(TCDScheduler, stochastic=True),
}
_BY_TIMESTEP = ("ddim", "lcm", "tcd")
"""Solvers whose steps are training timesteps, not noise levels."""

MAX_DISTILLED_STEPS = 50
"""The number of steps that LCM and TCD models were distilled from."""


def distilled(schedule: NoiseSchedule, sampler: str) -> NoiseSchedule:
    """The schedule with which a model draws under a few-step adapter: adapters are distilled to end at t = 0.

    Args:
        schedule: the model's own.
        sampler: a name that suits the adapter, besides those that suit the model.
    """
    config = {**schedule.config, "timestep_spacing": "trailing"}
    return replace(schedule, config=config, samplers=(*schedule.samplers, sampler))


class Sampler:
    """A diffusers scheduler that steps all streams at once and gives the signal and noise levels of every step.

    The solvers are elementwise, so that stacked streams advance as if each had its own scheduler. The network's input
    at step i is x = a z0 + b ε with a² + b² = 1, whatever scaling the scheduler uses for its own state.

    Args:
        schedule: the network's training schedule, and the samplers that suit it.
        name: a name of the sampler, see `sampler_key`.
        steps: number of steps. Heun and DPM++ SDE run the network twice in each but the last, as other programs do.
        seeds: one seed per stream, for the noise that stochastic solvers add at every step. Streams with the same seed
            get the same noise: the blended stream gets that of the background.

    Attributes:
        timesteps: (forwards,) what the network is told at every forward; descending.
        train_timesteps: T, the number of training timesteps.
        times: (forwards,) t / T of every forward, 1 to 0, descending.
        stochastic: whether noise is added at every step.
        notices: notices about the choice of the sampler.

    Raises:
        InvalidRequest: the model does not have the sampler, or the sampler cannot take so many steps.
    """

    def __init__(self, schedule: NoiseSchedule, name: str, steps: int, seeds: Sequence[int] = ()) -> None:
        key = check_sampler(name, schedule.samplers)
        solver_name, spacing = solver_and_spacing(key)
        if solver_name in ("lcm", "tcd") and steps > MAX_DISTILLED_STEPS:
            raise InvalidRequest(
                f"{SAMPLERS[key]} cannot take {steps} steps.", f"Use 4 to 8, at most {MAX_DISTILLED_STEPS}."
            )
        config, solver = dict(schedule.config), _SOLVERS[solver_name]
        continuous = config.get("schedule") == EDM
        if continuous and solver_name in _BY_TIMESTEP:
            raise InvalidRequest(
                f"{SAMPLERS[key]} needs training timesteps, and this model has none.", "Use another sampler."
            )
        self.notices: tuple[Notice, ...] = ()
        if config.get("rescale_betas_zero_snr") and spacing is not None:
            spacing = None
            told = sentence("equal_distances", sampler=SAMPLERS[key])
            self.notices = (Notice(code="sampler_replaced", sentences=(told,)),)
        known = {name: value for name, value in config.items() if name not in ("schedule", "sigma_max", "sigma_min")}
        self._scheduler = solver.scheduler.from_config({**known, **solver.options})
        self._scheduler.set_timesteps(steps)
        self.stochastic = solver.stochastic
        self._v_prediction = self._scheduler.config.prediction_type == "v_prediction"
        self._generators = [torch.Generator("cpu").manual_seed(_step_seed(seed)) for seed in seeds]
        base = TrainingTimesteps(known)
        self.train_timesteps: int = base.count
        levels = ContinuousLevels(config["sigma_max"], config["sigma_min"], base) if continuous else base
        if solver_name in _BY_TIMESTEP:
            self.times = self._scheduler.timesteps.double() / base.count
        else:
            trailing = config.get("timestep_spacing") == "trailing"
            self._place(sigmas(levels, spacing or ("trailing" if trailing else "normal"), steps), levels)
        self.timesteps: Tensor = self._scheduler.timesteps

    def _place(self, starts: Levels, levels: NoiseLevels) -> None:
        """Let the scheduler's steps begin at given noise levels."""
        scheduler = self._scheduler
        if isinstance(scheduler, HeunDiscreteScheduler):
            starts = np.concatenate([starts[:1], np.repeat(starts[1:], 2)])
        elif isinstance(scheduler, DPMSolverSinglestepScheduler):
            # Each second forward lies half-way between two levels, on a logarithmic scale (r = 1/2 in k-diffusion).
            between = np.sqrt(starts[:-1] * starts[1:])
            starts = np.insert(starts, np.arange(1, len(starts)), between)
            scheduler.order_list = scheduler.get_order_list(len(starts))
        scheduler.num_inference_steps = len(starts)
        last = levels.limits[1] if isinstance(scheduler, DEISMultistepScheduler) else 0.0
        scheduler.sigmas = torch.from_numpy(np.append(starts, last).astype(np.float32))
        scheduler.timesteps = torch.from_numpy(levels.timestep(starts).astype(np.float32))
        scheduler.set_begin_index(0)
        self.times = torch.from_numpy(levels.time(starts))

    def levels(self, step: int) -> tuple[float, float]:
        """(a, b): the levels of signal and noise in the latents before `step`; a² + b² = 1, and (1, 0) at the end.

        DDIM rounds its timesteps if T is not a multiple of the steps, so that its latents deviate from these levels by
        as much: 0.3 % at 12 steps.
        """
        if step == len(self.timesteps):
            return 1.0, 0.0
        if isinstance(self._scheduler, DDIMScheduler | LCMScheduler | TCDScheduler):
            kept = float(self._scheduler.alphas_cumprod[int(self.timesteps[step])])
            return kept**0.5, (1 - kept) ** 0.5
        sigma = float(self._scheduler.sigmas[step])
        return (1 + sigma**2) ** -0.5, sigma * (1 + sigma**2) ** -0.5

    def start(self, noise: Tensor) -> Tensor:
        """The state of all streams before the first step, in the scheduler's own scaling."""
        return noise * self._scheduler.init_noise_sigma

    def state(self, clean: Tensor, noise: Tensor, step: int) -> Tensor:
        """The state of latents that are `clean` with `noise` on top, before `step`, in the scheduler's own scaling."""
        a, b = self.levels(step)
        return (a * clean + b * noise) / self._input_scale(step)

    def model_input(self, state: Tensor, step: int) -> Tensor:
        """The network's input for a state: a z0 + b ε."""
        return self._scheduler.scale_model_input(state, self.timesteps[step])

    def clean_estimate(self, model_input: Tensor, prediction: Tensor, step: int) -> Tensor:
        """The estimate of z0 that a prediction implies."""
        a, b = self.levels(step)
        if self._v_prediction:
            return a * model_input - b * prediction
        return (model_input - b * prediction) / a

    def exact_prediction(self, clean: Tensor, noise: Tensor, step: int) -> Tensor:
        """The exact prediction for known `clean` and `noise`: ε, or v = a ε - b z0."""
        a, b = self.levels(step)
        return a * noise - b * clean if self._v_prediction else noise

    def implied_prediction(self, model_input: Tensor, clean: Tensor, step: int) -> Tensor:
        """The prediction that leads from any latents to `clean`, as ε or v."""
        a, b = self.levels(step)
        return (a * model_input - clean) / b if self._v_prediction else (model_input - a * clean) / b

    def step(self, prediction: Tensor, step: int, state: Tensor) -> Tensor:
        """Advance all streams by one step, from `state` to the state that is returned.

        A stochastic solver needs one seed per stream.
        """
        if step == len(self.timesteps) - 1 and isinstance(self._scheduler, DEISMultistepScheduler | TCDScheduler):
            return self.clean_estimate(state, prediction, step)  # these stop at the lowest level, not at no noise
        if isinstance(self._scheduler, HeunDiscreteScheduler):
            # On a model that begins at pure noise, float32 would lose the third digit in the difference of two slopes.
            wide = (each.cpu().double() for each in (prediction, state))
            return self._scheduler.step(next(wide), self.timesteps[step], next(wide), return_dict=False)[0].to(state)
        options: dict[str, Any] = {}
        if self.stochastic:
            assert len(self._generators) == len(state), "A stochastic solver needs one seed per stream."
            options["generator"] = self._generators
        return self._scheduler.step(prediction, self.timesteps[step], state, return_dict=False, **options)[0]

    def _input_scale(self, step: int) -> float:
        if isinstance(
            self._scheduler, EulerDiscreteScheduler | EulerAncestralDiscreteScheduler | HeunDiscreteScheduler
        ):
            return float(self._scheduler.sigmas[step].pow(2).add(1).rsqrt())
        return 1.0


def _step_seed(seed: int) -> int:
    """The seed of the noise that is added at the steps. It differs from the seed of the initial noise."""
    return int.from_bytes(hashlib.sha256(f"layerfusion:steps:{seed}".encode()).digest()[:6], "big")


def coupling_step(times: Tensor, share: float) -> int:
    """The first forward with t / T of at most `share`; the number of forwards if there is none."""
    below = torch.nonzero(times <= share)
    return int(below[0]) if len(below) else len(times)
