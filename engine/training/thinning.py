"""A VAE with fewer channels in its outer levels, which cost most: a cheaper one for the same latents.

Half the time of decoding a picture goes into convolutions at its full size. A VAE of fewer channels there is made from
a trained one by leaving out every other channel, and learns beside its task to write what the trained one writes, so
that whatever was trained on these latents goes on with them.

Our choice.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from layerfusion.engine.errors import InvalidRequest


def thinned(vae: AutoencoderKL, widths: list[int]) -> AutoencoderKL:
    """A VAE of narrower levels that begins with some of another's channels.

    Args:
        vae: float32; left as it is.
        widths: of as many levels, none wider.

    Raises:
        InvalidRequest: there are more or fewer levels, or a wider one.
    """
    before = list(vae.config["block_out_channels"])
    if len(widths) != len(before) or any(new > old for new, old in zip(widths, before, strict=True)):
        raise InvalidRequest(
            f"Levels of {widths} channels are not those of {before}, narrower.", "Give as many, and none wider."
        )
    config: dict[str, Any] = {key: value for key, value in vae.config.items() if not key.startswith("_")}
    made = AutoencoderKL(**{**config, "block_out_channels": widths})
    old = vae.state_dict()
    made.load_state_dict({name: _thinned(old[name], value) for name, value in made.state_dict().items() if name in old})
    return made


def _thinned(old: Tensor, new: Tensor) -> Tensor:
    """Evenly chosen outputs and inputs, the inputs scaled so that sums stay as large."""
    kept = old[torch.arange(new.shape[0]) * old.shape[0] // new.shape[0]]
    if new.ndim == 1:
        return kept.clone()
    return kept[:, torch.arange(new.shape[1]) * old.shape[1] // new.shape[1]] * (old.shape[1] / new.shape[1])
