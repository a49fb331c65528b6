"""Solvers by the names that artists know, with the signal and noise levels of every step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from layerfusion.engine.backbones.base import NoiseSchedule
from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.events import Notice
from layerfusion.engine.models.catalog.spec import SAMPLERS, check_sampler


@dataclass(frozen=True)
class _Solver:
    """A diffusers scheduler, and whether it adds noise at every step."""

    scheduler: Any
    options: dict[str, Any] = field(default_factory=dict)
    stochastic: bool = False


_SDE = {"algorithm_type": "sde-dpmsolver++"}
_KARRAS = {"use_karras_sigmas": True}
_SOLVERS: dict[str, _Solver] = {
    "euler": _Solver(EulerDiscreteScheduler),
    "euler_a": _Solver(EulerAncestralDiscreteScheduler, stochastic=True),
    "dpmpp_2m": _Solver(DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "dpmpp_2m_karras": _Solver(DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++", **_KARRAS}),
    "dpmpp_2m_sde_karras": _Solver(DPMSolverMultistepScheduler, {**_SDE, **_KARRAS}, stochastic=True),
    "dpmpp_sde_karras": _Solver(DPMSolverSinglestepScheduler, {**_SDE, **_KARRAS}, stochastic=True),
    "unipc": _Solver(UniPCMultistepScheduler),
    "ddim": _Solver(DDIMScheduler, {"clip_sample": False}),
    "lcm": _Solver(LCMScheduler, stochastic=True),
}

_ZERO_SNR_STAND_INS = {
    "dpmpp_2m_karras": _SOLVERS["dpmpp_2m"],
    "dpmpp_2m_sde_karras": _Solver(DPMSolverMultistepScheduler, _SDE, stochastic=True),
    # The single-step scheduler does not know the rescaled schedule at all.
    "dpmpp_sde_karras": _Solver(DPMSolverMultistepScheduler, _SDE, stochastic=True),
}
"""Solvers that replace those with Karras' spacing on a model with zero terminal SNR. Such a model begins at pure noise,
where Karras' spacing would put most steps into almost pure noise; the same solvers run with trailing spacing instead.
"""

MAX_LCM_STEPS = 50
"""The number of steps that LCM models were distilled from."""


class Sampler:
    """A diffusers scheduler that steps all streams at once and gives the signal and noise levels of every step.

    The solvers are elementwise, so that stacked streams advance as if each had its own scheduler. The network's input
    at step i is x = a z0 + b ε with a² + b² = 1, whatever scaling the scheduler uses for its own state.

    Args:
        schedule: the network's training schedule, and the samplers that suit it.
        name: a key of `SAMPLERS`, or the display name of one; upper and lower case may differ.
        steps: number of steps.
        seeds: one seed per stream, for the noise that stochastic solvers add at every step. Streams with the same seed
            get the same noise: the blended stream gets that of the background.

    Attributes:
        timesteps: (steps,) the training timesteps, descending.
        train_timesteps: T, the number of training timesteps.
        stochastic: whether noise is added at every step.
        notices: notices about the choice of the sampler.

    Raises:
        InvalidRequest: the model does not have the sampler, or the sampler cannot take so many steps.
    """

    def __init__(self, schedule: NoiseSchedule, name: str, steps: int, seeds: Sequence[int] = ()) -> None:
        key = check_sampler(name, schedule.samplers)
        if key == "lcm" and steps > MAX_LCM_STEPS:
            raise InvalidRequest(f"LCM cannot take {steps} steps.", f"Use 4 to 8, at most {MAX_LCM_STEPS}.")
        config = dict(schedule.config)
        solver = _SOLVERS[key]
        self.notices: tuple[Notice, ...] = ()
        if config.get("rescale_betas_zero_snr") and key in _ZERO_SNR_STAND_INS:
            solver = _ZERO_SNR_STAND_INS[key]
            config["timestep_spacing"] = "trailing"
            text = f"{SAMPLERS[key]} runs without Karras' spacing, because this model begins at pure noise."
            self.notices = (Notice(code="sampler_replaced", text=text),)
        self._scheduler = solver.scheduler.from_config({**config, **solver.options})
        self._scheduler.set_timesteps(steps)
        self.timesteps: Tensor = self._scheduler.timesteps
        self.train_timesteps: int = self._scheduler.config.num_train_timesteps
        self.stochastic = solver.stochastic
        self._v_prediction = self._scheduler.config.prediction_type == "v_prediction"
        self._generators = [torch.Generator("cpu").manual_seed(_step_seed(seed)) for seed in seeds]

    def levels(self, step: int) -> tuple[float, float]:
        """(a, b): the levels of signal and noise in the latents before `step`; a² + b² = 1, and (1, 0) at the end.

        DDIM rounds its timesteps if T is not a multiple of the steps, so that its latents deviate from these levels by
        as much: 0.3 % at 12 steps.
        """
        if step == len(self.timesteps):
            return 1.0, 0.0
        if isinstance(self._scheduler, DDIMScheduler | LCMScheduler):
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
        options: dict[str, Any] = {}
        if self.stochastic:
            assert len(self._generators) == len(state), "A stochastic solver needs one seed per stream."
            options["generator"] = self._generators
        return self._scheduler.step(prediction, self.timesteps[step], state, return_dict=False, **options)[0]

    def _input_scale(self, step: int) -> float:
        if isinstance(self._scheduler, EulerDiscreteScheduler | EulerAncestralDiscreteScheduler):
            return float(self._scheduler.sigmas[step].pow(2).add(1).rsqrt())
        return 1.0


def _step_seed(seed: int) -> int:
    """The seed of the noise that is added at the steps. It differs from the seed of the initial noise."""
    return int.from_bytes(hashlib.sha256(f"layerfusion:steps:{seed}".encode()).digest()[:6], "big")


def coupling_step(timesteps: Tensor, train_timesteps: int, fraction: float) -> int:
    """The first step whose timestep is at most `fraction` of T; the number of steps if there is none."""
    below = torch.nonzero(timesteps <= fraction * train_timesteps)
    return int(below[0]) if len(below) else len(timesteps)
