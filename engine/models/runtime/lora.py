"""Adding an artist's LoRAs to the weights of a loaded model.

Unlike the foreground deltas, a LoRA acts on all streams; adding it to the weights once makes every step cheaper. Files
on disk are not changed. To change its LoRAs, a model is loaded again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.lora_keys import group_by_module
from layerfusion.engine.models.runtime.state_dict import read_state


def add_lora(file: Path, weight: float, components: Mapping[str, nn.Module]) -> None:
    """Add a LoRA to loaded networks: W + weight · (alpha / rank) · up @ down, computed in float32.

    Args:
        file: safetensors file with kohya's, diffusers' or PEFT's keys.
        weight: factor of the weight change.
        components: the networks “unet”, “text_encoder” and “text_encoder_2”.

    Raises:
        BrokenModel: the file cannot be read, is no plain LoRA, or does not fit these networks.
    """
    for (component, name), parts in group_by_module(file, read_state(file), components).items():
        target = components[component].get_submodule(name)
        old = target.weight
        assert isinstance(old, Tensor)
        delta = _weight_change(parts, old.shape)
        if delta is None:
            shapes = ", ".join(f"{part} {tuple(value.shape)}" for part, value in sorted(parts.items()))
            raise BrokenModel(
                f"{file} does not fit “{name}” of the {component}: it has {shapes}, but the model's weight has shape "
                f"{tuple(old.shape)}.",
                "Use a LoRA made for SDXL.",
            )
        # A new tensor is made because the old one may be a memory-mapped view of the file.
        changed = (old.float() + weight * delta.to(old.device)).to(old.dtype)
        target.weight = nn.Parameter(changed, requires_grad=False)


def _weight_change(parts: Mapping[str, Tensor], shape: torch.Size) -> Tensor | None:
    """ΔW in float32, in the weight's shape; None if a part is missing or the shapes do not fit."""
    if not {"up", "down"} <= set(parts):
        return None
    up, down = parts["up"].float(), parts["down"].float()
    rank = down.shape[0]
    if up.flatten(1).shape[1] != rank or (up.ndim > 2 and up.shape[2:].numel() != 1):
        return None
    delta = up.flatten(1) @ down.flatten(1)
    scale = float(parts["alpha"]) / rank if "alpha" in parts else 1.0
    return delta.reshape(shape) * scale if delta.numel() == shape.numel() and up.shape[0] == shape[0] else None
