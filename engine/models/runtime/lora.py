"""LoRAs of the artist's own: read with kohya's or diffusers' names, and added to the weights of one loaded model.

Unlike the foreground deltas they are in force for every stream, so adding them once costs nothing at every step. The
files on disk are never touched, and a model with other LoRAs is another model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.lora_keys import read_changes
from layerfusion.engine.models.runtime.state_dict import read_state


def add_lora(file: Path, weight: float, components: Mapping[str, nn.Module]) -> None:
    """Add a LoRA to loaded networks: W + weight · (alpha / rank) · up @ down, computed in float32.

    Args:
        file: safetensors with kohya's names (either program's module names) or diffusers' and PEFT's.
        components: “unet”, “text_encoder” and “text_encoder_2”.

    Raises:
        BrokenModel: the file cannot be read, is no plain LoRA, or changes something these networks do not have.
    """
    for (component, name), parts in read_changes(file, read_state(file), components).items():
        target = components[component].get_submodule(name)
        old = target.weight
        assert isinstance(old, Tensor)
        delta = _weight_change(parts, old.shape)
        if delta is None:
            shapes = ", ".join(f"{part} {tuple(value.shape)}" for part, value in sorted(parts.items()))
            raise BrokenModel(
                f"{file} does not fit “{name}” of the {component}: it has {shapes}, the model {tuple(old.shape)}.",
                "Use a LoRA made for SDXL.",
            )
        # A new tensor: the old one may be a view of the file on disk.
        changed = (old.float() + weight * delta.to(old.device)).to(old.dtype)
        target.weight = nn.Parameter(changed, requires_grad=False)


def _weight_change(parts: Mapping[str, Tensor], shape: torch.Size) -> Tensor | None:
    """ΔW in float32 in the weight's shape, None if the parts do not make one."""
    if not {"up", "down"} <= set(parts):
        return None
    up, down = parts["up"].float(), parts["down"].float()
    rank = down.shape[0]
    if up.flatten(1).shape[1] != rank or (up.ndim > 2 and up.shape[2:].numel() != 1):
        return None
    delta = up.flatten(1) @ down.flatten(1)
    scale = float(parts["alpha"]) / rank if "alpha" in parts else 1.0
    return delta.reshape(shape) * scale if delta.numel() == shape.numel() and up.shape[0] == shape[0] else None
