"""Classifier-free guidance, one stream at a time."""

from __future__ import annotations

from torch import Tensor


def guide(unconditional: Tensor, conditional: Tensor, scale: float, rescale: float) -> Tensor:
    """Ho & Salimans (2207.12598), then the standard deviation drawn back as in Lin et al. (2305.08891, §3.4).

    Args:
        unconditional, conditional: predictions, (streams, C, h, w).
        scale: 1 gives `conditional` exactly.
        rescale: 0 leaves the guided prediction as it is, 1 gives it the conditional one's standard deviation, per row.

    Returns:
        (streams, C, h, w).
    """
    if scale == 1.0:
        return conditional
    guided = unconditional + scale * (conditional - unconditional)
    if rescale == 0.0:
        return guided
    dims = (1, 2, 3)
    drawn_back = guided * (conditional.std(dims, keepdim=True) / guided.std(dims, keepdim=True))
    return rescale * drawn_back + (1 - rescale) * guided
