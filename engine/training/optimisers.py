"""Muon for matrices, AdamW for the rest: on networks this small they reach a loss in half the steps AdamW needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from layerfusion.engine.training.precision import multiplies_bfloat16

_EDGES = ("embed", "conv_in", "conv_out", "time_emb", "add_emb", "quant_conv")
"""Parameters by these names face the outside of a network; AdamW suits them."""


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are orthogonalised before they are applied (K. Jordan, 2024).

    Convolution kernels count as matrices of (outputs, the rest).

    Args:
        parameters: of two or more dimensions.
        lr: step, in units of the matrix's spectral norm.
        momentum, weight_decay: as elsewhere.
    """

    def __init__(
        self, parameters: Iterable[Any], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum: Tensor = state["momentum"]
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(momentum, group["momentum"]).flatten(1)
                update = _orthogonal(ahead) * max(1.0, ahead.shape[0] / ahead.shape[1]) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update.view_as(parameter), alpha=-group["lr"])
        return None


def optimisers_for(
    module: nn.Module, *, lr: float, matrices: bool = True, share: Callable[[str], float] = lambda name: 1.0
) -> list[torch.optim.Optimizer]:
    """The optimisers of all trainable parameters; a group's `base_lr` is what schedules scale.

    Args:
        lr: AdamW's; Muon's is ten times that.
        matrices: False leaves everything to AdamW.
        share: a parameter's name -> the share of this rate that it gets.
    """
    muon: dict[float, list[nn.Parameter]] = {}
    adam: dict[float, list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            edge = not matrices or parameter.ndim < 2 or any(part in name for part in _EDGES)
            (adam if edge else muon).setdefault(share(name), []).append(parameter)
    made: list[torch.optim.Optimizer] = []
    if adam:
        groups = [{"params": found, "lr": lr * part} for part, found in adam.items()]
        made.append(torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0))
    if muon:
        made.append(Muon([{"params": found, "lr": 10 * lr * part} for part, found in muon.items()], lr=10 * lr))
    for optimiser in made:
        for group in optimiser.param_groups:
            group["base_lr"] = group["lr"]
    return made


def _orthogonal(gradient: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrix with equal singular values, by five Newton-Schulz steps, which bear bfloat16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = gradient / (gradient.norm() + 1e-7)
    if multiplies_bfloat16(x.device):
        x = x.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(gradient.dtype)
