"""The initial noise of the streams."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def initial_noise(seeds: Sequence[int], channels: int, height: int, width: int) -> Tensor:
    """Unit Gaussian noise, (len(seeds), channels, height, width), float32 on the CPU.

    Every stream has its own generator, so that changing one seed does not change the noise of the other streams.
    """
    return torch.cat(
        [
            torch.randn((1, channels, height, width), generator=torch.Generator("cpu").manual_seed(seed))
            for seed in seeds
        ]
    )
