"""Classifier-free guidance, computed for each stream by itself."""

from __future__ import annotations

from torch import Tensor


def guide(unconditional: Tensor, conditional: Tensor, scale: float, rescale: float) -> Tensor:
    """Guide a prediction (Ho & Salimans, arXiv 2207.12598) and rescale it (Lin et al., arXiv 2305.08891, §3.4).

    Args:
        unconditional, conditional: predictions, (streams, C, h, w).
        scale: guidance scale; 1 gives `conditional` exactly.
        rescale: 0 leaves the guided prediction as it is; 1 gives each row the standard deviation of the conditional
            prediction.

    Returns:
        (streams, C, h, w).
    """
    if scale == 1.0:
        return conditional
    guided = unconditional + scale * (conditional - unconditional)
    if rescale == 0.0:
        return guided
    dims = (1, 2, 3)
    rescaled = guided * (conditional.std(dims, keepdim=True) / guided.std(dims, keepdim=True))
    return rescale * rescaled + (1 - rescale) * guided
