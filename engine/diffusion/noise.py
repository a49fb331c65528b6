"""The noise every stream starts from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def initial_noise(seeds: Sequence[int], channels: int, height: int, width: int) -> Tensor:
    """Unit Gaussian noise, (len(seeds), channels, height, width), float32 on the CPU.

    Every stream has its own generator, so changing one seed leaves the others' noise bit-equal.
    """
    return torch.cat(
        [
            torch.randn((1, channels, height, width), generator=torch.Generator("cpu").manual_seed(seed))
            for seed in seeds
        ]
    )
