"""The names of the samplers, as A1111 and ComfyUI users know them. `engine.diffusion.sampling` maps them to solvers.

A sampler is a solver with a spacing of its noise levels: "dpmpp_2m_karras" is "dpmpp_2m" with Karras' spacing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from layerfusion.engine.errors import InvalidRequest

SOLVERS = {
    "euler": "Euler",
    "euler_a": "Euler a",
    "heun": "Heun",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "dpmpp_sde": "DPM++ SDE",
    "unipc": "UniPC",
    "deis": "DEIS",
    "ddim": "DDIM",
    "lcm": "LCM",
    "tcd": "TCD",
}
"""Solvers: the name in requests -> the name shown to artists."""

SPACINGS = {
    "karras": "Karras",
    "exponential": "Exponential",
    "sgm_uniform": "SGM Uniform",
    "beta": "Beta",
}
"""Spacings of the noise levels, likewise. A sampler without one has equal distances of training timesteps."""

FIXED_SPACING = ("ddim", "lcm", "tcd")
"""Solvers whose spacing is part of them."""

TWO_FORWARDS = ("heun", "dpmpp_sde")
"""Solvers that run the network twice in every step but the last, as in A1111 and ComfyUI."""

SAMPLERS = {
    **SOLVERS,
    **{
        f"{solver}_{spacing}": f"{title} {word}"
        for solver, title in SOLVERS.items()
        if solver not in FIXED_SPACING
        for spacing, word in SPACINGS.items()
    },
}
"""Samplers: the name in requests -> the name shown to artists."""

_ALIASES = {
    "euler_ancestral": "euler_a",
    "uni_pc": "unipc",
    "dpmpp_2m_sde_gpu": "dpmpp_2m_sde",
    "dpmpp_3m_sde_gpu": "dpmpp_3m_sde",
    "dpmpp_sde_gpu": "dpmpp_sde",
    "k_euler": "euler",
    "k_euler_a": "euler_a",
    "k_heun": "heun",
}
"""Other programs' names of solvers."""


def solver_and_spacing(key: str) -> tuple[str, str | None]:
    """Split a sampler's name in requests: ("dpmpp_2m", "karras"); the spacing is None for the plain one."""
    spacing = next((spacing for spacing in SPACINGS if key.endswith(f"_{spacing}")), None)
    return (key, None) if spacing is None else (key.removesuffix(f"_{spacing}"), spacing)


def sampler_key(name: str) -> str | None:
    """A sampler's name in requests, given that name, the one shown to artists or another program's; None if there is
    no such sampler.

    "DPM++ 2M Karras", "dpmpp_2m karras", "uni_pc sgm_uniform" and "Euler a (normal)" are understood.
    """
    plain = " ".join(name.casefold().split())
    titles = {title.casefold(): key for key, title in SAMPLERS.items()}
    if plain in titles:
        return titles[plain]
    words = re.sub(r"[\s/,()-]+", "_", plain.replace("dpm++", "dpmpp")).strip("_")
    words = words.removesuffix("_normal").removesuffix("_automatic")
    solver, spacing = solver_and_spacing(words)
    key = _ALIASES.get(solver, solver) + (f"_{spacing}" if spacing else "")
    return key if key in SAMPLERS else None


def check_sampler(name: str, samplers: Sequence[str]) -> str:
    """Return a sampler's name in requests, given any of its names, if it suits the model.

    Args:
        name: a name of the sampler.
        samplers: the suitable samplers, by their names in requests. A solver suits with every spacing.

    Raises:
        InvalidRequest: there is no such sampler, or it does not suit the model.
    """
    key = sampler_key(name)
    if key is None or not (key in samplers or solver_and_spacing(key)[0] in samplers):
        raise InvalidRequest(f"The sampler is “{name}”.", f"Choose one of: {', '.join(samplers)}.")
    return key


def forwards(key: str, steps: int) -> int:
    """How often a sampler runs the network in a number of steps, each time once or, with guidance, for both halves."""
    return 2 * steps - 1 if solver_and_spacing(key)[0] in TWO_FORWARDS else steps
