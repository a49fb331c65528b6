"""Foreground deltas: weight changes of the UNet's attention that make it draw transparent foregrounds.

They exist for `to_q`, `to_k`, `to_v` and `to_out.0` of attn1 and attn2 only (the projections that LayerDiffuse's `attn`
variant changes). They act on the foreground rows of a batch only; the base weights are never edited.

The published forms of their keys are in `delta_keys`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.transparency.delta_keys import TARGET, parts_by_target


@dataclass(frozen=True)
class LowRank:
    """A delta in low-rank form: ΔW = up @ down.

    Attributes:
        down: (rank, inputs).
        up: (outputs, rank).
    """

    down: Tensor
    up: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """x @ ΔWᵀ, (…, inputs) -> (…, outputs); to be added to the base projection of `x`."""
        return (x @ self.down.T) @ self.up.T

    def offset(self) -> Tensor:
        """ΔW, (outputs, inputs)."""
        return self.up @ self.down

    def to(self, device: torch.device, dtype: torch.dtype) -> LowRank:
        """A copy on another device or in another dtype."""
        return LowRank(self.down.to(device, dtype), self.up.to(device, dtype))

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of ΔW: (outputs, inputs)."""
        return self.up.shape[0], self.down.shape[1]


@dataclass(frozen=True)
class Dense:
    """A delta in dense form: ΔW itself.

    Attributes:
        weight: (outputs, inputs).
    """

    weight: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """x @ ΔWᵀ, (…, inputs) -> (…, outputs); to be added to the base projection of `x`."""
        return x @ self.weight.T

    def offset(self) -> Tensor:
        """ΔW, (outputs, inputs)."""
        return self.weight

    def to(self, device: torch.device, dtype: torch.dtype) -> Dense:
        """A copy on another device or in another dtype."""
        return Dense(self.weight.to(device, dtype))

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of ΔW: (outputs, inputs)."""
        return self.weight.shape[0], self.weight.shape[1]


Delta = LowRank | Dense

Deltas = dict[str, dict[str, Delta]]
"""attention module name -> projection name ("to_q", "to_k", "to_v", "to_out.0") -> delta."""


def deltas_from_state(state: dict[str, Tensor], unet: torch.nn.Module, file: str) -> Deltas:
    """Build deltas from a file's tensors in any of the published forms, and check them against the UNet.

    Args:
        state: the file's tensors.
        unet: the base model's UNet.
        file: the file's name, for error messages.

    Raises:
        BrokenModel: a key names no attention projection of this UNet, `up` or `down` is missing, or a shape does not
            fit.
    """
    sizes = {
        name.removesuffix(".weight"): tuple(value.shape)
        for name, value in unet.named_parameters()
        if TARGET.fullmatch(name.removesuffix(".weight"))
    }
    halves = parts_by_target(state, sizes, file)
    deltas: Deltas = {}
    for target, parts in halves.items():
        delta = _delta(target, {half: state[key] for half, key in parts.items()}, file)
        if delta.shape != sizes[target]:
            raise BrokenModel(
                f"{file}: “{target}” has shape {delta.shape}, but the model needs {sizes[target]}.",
                "Use the deltas that were made for this model.",
            )
        match = TARGET.fullmatch(target)
        assert match is not None
        deltas.setdefault(match["module"], {})[match["projection"]] = delta
    return deltas


def _delta(target: str, parts: dict[str, Tensor], file: str) -> Delta:
    if set(parts) == {"dense"} and parts["dense"].ndim == 2:
        return Dense(parts["dense"])
    if {"up", "down"} <= set(parts) <= {"up", "down", "alpha"}:
        up, down = parts["up"], parts["down"]
        if up.ndim == down.ndim == 2 and up.shape[1] == down.shape[0]:
            scale = float(parts["alpha"]) / down.shape[0] if "alpha" in parts else 1.0
            return LowRank(down=down, up=up if scale == 1.0 else up * scale)
    shapes = ", ".join(f"{half} {tuple(value.shape)}" for half, value in parts.items())
    raise BrokenModel(f"{file} has an incomplete or damaged delta for “{target}” ({shapes}).", "Fetch the file again.")
