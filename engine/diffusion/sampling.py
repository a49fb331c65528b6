"""Solvers by the names artists know, and what of signal and noise each step's latents hold."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, UniPCMultistepScheduler
from torch import Tensor

from engine.errors import InvalidRequest
from engine.models.loading import ModelBundle

_SOLVERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "euler": (EulerDiscreteScheduler, {}),
    "ddim": (DDIMScheduler, {"clip_sample": False}),
    "dpmpp_2m": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "unipc": (UniPCMultistepScheduler, {}),
}


class Sampler:
    """One diffusers scheduler stepping all streams at once, with its signal and noise levels in the open.

    The solvers are elementwise, so stacked streams advance as if each had a scheduler of its own. A model's latents at
    step i are x = a z0 + b ε with a² + b² = 1, whatever scaling the scheduler itself keeps them in.

    Attributes:
        timesteps: (steps,) the training timesteps, descending.
        train_timesteps: T.
    """

    def __init__(self, bundle: ModelBundle, name: str, steps: int) -> None:
        if name not in _SOLVERS or name not in bundle.spec.samplers:
            raise InvalidRequest(f"The sampler is “{name}”.", f"Choose one of: {', '.join(bundle.spec.samplers)}.")
        solver, options = _SOLVERS[name]
        self._scheduler = solver.from_config({**bundle.scheduler_config, **options})
        self._scheduler.set_timesteps(steps)
        self.timesteps: Tensor = self._scheduler.timesteps
        self.train_timesteps: int = self._scheduler.config.num_train_timesteps
        self._v_prediction = self._scheduler.config.prediction_type == "v_prediction"

    def levels(self, step: int) -> tuple[float, float]:
        """(a, b): how much signal and how much noise the latents hold before `step`; a² + b² = 1.

        DDIM rounds timesteps where T is no multiple of the steps; its latents are off by as much, 0.3 % at 12 steps.
        """
        if isinstance(self._scheduler, DDIMScheduler):
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
        """What the UNet sees of a state: a z0 + b ε."""
        return self._scheduler.scale_model_input(state, self.timesteps[step])

    def clean_estimate(self, model_input: Tensor, prediction: Tensor, step: int) -> Tensor:
        """z0 as a prediction implies it."""
        a, b = self.levels(step)
        if self._v_prediction:
            return a * model_input - b * prediction
        return (model_input - b * prediction) / a

    def exact_prediction(self, clean: Tensor, noise: Tensor, step: int) -> Tensor:
        """What a model that knew `clean` and `noise` would predict: ε, or v = a ε - b z0."""
        a, b = self.levels(step)
        return a * noise - b * clean if self._v_prediction else noise

    def implied_prediction(self, model_input: Tensor, clean: Tensor, step: int) -> Tensor:
        """What a model that knew only `clean` would predict of latents that need not lie on one path to it."""
        a, b = self.levels(step)
        return (a * model_input - clean) / b if self._v_prediction else (model_input - a * clean) / b

    def step(self, prediction: Tensor, step: int, state: Tensor) -> Tensor:
        """Advance all streams by one step."""
        return self._scheduler.step(prediction, self.timesteps[step], state, return_dict=False)[0]

    def _input_scale(self, step: int) -> float:
        if isinstance(self._scheduler, EulerDiscreteScheduler):
            return float(self._scheduler.sigmas[step].pow(2).add(1).rsqrt())
        return 1.0


def coupling_step(timesteps: Tensor, train_timesteps: int, fraction: float) -> int:
    """The first step whose timestep is at most `fraction` of T; the number of steps if there is none."""
    below = torch.nonzero(timesteps <= fraction * train_timesteps)
    return int(below[0]) if len(below) else len(timesteps)
