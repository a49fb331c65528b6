"""The noise levels at which a sampler's steps begin, as k-diffusion and ComfyUI place them.

A level is σ = b / a of latents a z0 + b ε. Between training timesteps log σ is interpolated, as in k-diffusion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from diffusers import EulerDiscreteScheduler
from numpy.typing import NDArray

Levels = NDArray[np.float64]

RHO = 7.0
"""Exponent of Karras' spacing (Karras et al. 2022, table 1)."""

_BETA = 0.6
"""Both parameters of the beta distribution (Lee et al. 2024, as in ComfyUI)."""


class NoiseLevels(Protocol):
    """The noise levels that a network was trained on, and the number by which it is told each."""

    @property
    def limits(self) -> tuple[float, float]:
        """The highest and the lowest σ."""
        ...

    def timestep(self, sigma: Levels) -> Levels:
        """What the network is told of levels σ."""
        ...

    def sigma(self, timestep: Levels) -> Levels:
        """The levels of such numbers."""
        ...

    def time(self, sigma: Levels) -> Levels:
        """t / T of levels σ, 1 to 0, on the schedule of the training timesteps."""
        ...


class TrainingTimesteps:
    """The levels of a network that is told its training timestep, 0 … T - 1.

    Args:
        config: a diffusers scheduler configuration, of which the betas are used.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        scheduler: Any = EulerDiscreteScheduler.from_config(dict(config))
        kept = scheduler.alphas_cumprod
        self._sigmas = (((1 - kept) / kept) ** 0.5).numpy().astype(np.float64)

    @property
    def count(self) -> int:
        """T, the number of training timesteps."""
        return len(self._sigmas)

    @property
    def limits(self) -> tuple[float, float]:
        return float(self._sigmas[-1]), float(self._sigmas[0])

    def timestep(self, sigma: Levels) -> Levels:
        return np.interp(np.log(sigma), np.log(self._sigmas), np.arange(self.count, dtype=np.float64))

    def sigma(self, timestep: Levels) -> Levels:
        whole = np.arange(self.count, dtype=np.float64)
        exact = self._sigmas[np.clip(timestep, 0, self.count - 1).astype(int)]
        between = np.exp(np.interp(timestep, whole, np.log(self._sigmas)))
        return np.where(timestep == np.floor(timestep), exact, between)

    def time(self, sigma: Levels) -> Levels:
        return self.timestep(sigma) / self.count


class ContinuousLevels:
    """The levels of a network that is told ln(σ) / 4, as EDM does (Karras et al. 2022), with data of unit variance.

    Args:
        sigma_max, sigma_min: the highest and the lowest level.
        base: the schedule on which `time` measures levels.
    """

    def __init__(self, sigma_max: float, sigma_min: float, base: TrainingTimesteps) -> None:
        self._limits, self._base = (sigma_max, sigma_min), base

    @property
    def limits(self) -> tuple[float, float]:
        return self._limits

    def timestep(self, sigma: Levels) -> Levels:
        return np.log(sigma) / 4

    def sigma(self, timestep: Levels) -> Levels:
        return np.exp(4 * timestep)

    def time(self, sigma: Levels) -> Levels:
        return self._base.time(sigma)


def sigmas(levels: NoiseLevels, spacing: str, steps: int) -> Levels:
    """The levels at which `steps` steps begin, descending, (steps,); after the last one no noise is left.

    Args:
        levels: the network's levels.
        spacing: "normal" (equal distances of timesteps, both ends included), "trailing" (equal distances, the first
            timestep included, rounded as diffusers does), or a key of `SPACINGS`.
        steps: number of steps, at least 1.
    """
    high, low = levels.limits
    first, last = levels.timestep(np.array([high, low]))
    if spacing == "karras":
        ramp = np.linspace(0, 1, steps)
        return (high ** (1 / RHO) + ramp * (low ** (1 / RHO) - high ** (1 / RHO))) ** RHO
    if spacing == "exponential":
        return np.exp(np.linspace(np.log(high), np.log(low), steps))
    if spacing == "sgm_uniform":
        return levels.sigma(np.linspace(first, last, steps + 1)[:-1])
    if spacing == "trailing" and isinstance(levels, TrainingTimesteps):
        return levels.sigma(np.round(np.arange(levels.count, 0, -levels.count / steps))[:steps] - 1)
    if spacing == "beta":
        places = _beta_quantiles(1 - np.linspace(0, 1, steps, endpoint=False))
        return levels.sigma(places * (first - last) + last)  # ComfyUI rounds to whole timesteps
    return levels.sigma(np.linspace(first, last, steps))


def _beta_quantiles(shares: Levels) -> Levels:
    """The inverse of the beta distribution function at shares 0-1, to five decimals.

    With x = sin²θ its density is proportional to (sin θ cos θ)^(2 · 0.6 - 1), which is finite and sums well.
    """
    edges = np.linspace(0, np.pi / 2, 20_001)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.concatenate([[0.0], np.cumsum((np.sin(middles) * np.cos(middles)) ** (2 * _BETA - 1))])
    return np.sin(np.interp(shares, below / below[-1], edges)) ** 2
