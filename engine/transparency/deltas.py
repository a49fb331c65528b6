"""Foreground deltas: the low-rank change that makes the base model draw transparent foregrounds.

They exist on `to_q`, `to_k`, `to_v` and `to_out.0` of attn1 and attn2 only (what LayerDiffuse's `attn` variant
touches), and are added on the foreground rows of a batch; the base weights are never edited.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import BrokenModel

_KEY = re.compile(
    r"(?P<module>.+\.transformer_blocks\.\d+\.attn[12])\.(?P<projection>to_q|to_k|to_v|to_out\.0)"
    r"\.lora_(?P<half>[AB])\.weight"
)


@dataclass(frozen=True)
class LowRank:
    """ΔW = up @ down.

    Attributes:
        down: (rank, inputs).
        up: (outputs, rank).
    """

    down: Tensor
    up: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs): what is added to the base projection of `x`."""
        return (x @ self.down.T) @ self.up.T


Deltas = dict[str, dict[str, LowRank]]
"""attention module name -> projection name ("to_q", "to_k", "to_v", "to_out.0") -> delta."""


def deltas_from_state(state: dict[str, Tensor], unet: torch.nn.Module, file: str) -> Deltas:
    """Sort a state dict of `<module>.<projection>.lora_{A,B}.weight` by module, checked against the UNet.

    Raises:
        BrokenModel: a key that is no attention projection, a missing half, or a shape that does not fit the UNet.
    """
    halves: dict[tuple[str, str], dict[str, Tensor]] = {}
    for key, tensor in state.items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise BrokenModel(
                f"{file} changes “{key}”, which is not an attention projection.",
                "Foreground deltas may touch to_q, to_k, to_v and to_out of attn1 and attn2 only.",
            )
        halves.setdefault((match["module"], match["projection"]), {})[match["half"]] = tensor
    deltas: Deltas = {}
    for (module, projection), pair in halves.items():
        name = f"{module}.{projection}"
        try:
            expected = tuple(unet.get_parameter(f"{name}.weight").shape)
        except AttributeError:
            raise BrokenModel(
                f"{file} is for another model: this one has no “{name}”.", "Use the deltas made for it."
            ) from None
        if set(pair) != {"A", "B"}:
            raise BrokenModel(f"{file} holds one half of “{name}” only.", "Fetch the file again.")
        found = (pair["B"].shape[0], pair["A"].shape[1])
        if found != expected or pair["A"].shape[0] != pair["B"].shape[1]:
            raise BrokenModel(
                f"{file}: “{name}” has shape {found}, the model needs {expected}.", "Use the deltas made for it."
            )
        deltas.setdefault(module, {})[projection] = LowRank(down=pair["A"], up=pair["B"])
    return deltas
