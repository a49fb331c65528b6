"""The devices there are, what is free on them, and what they may compute in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def best_device() -> torch.device:
    """CUDA (which is also how ROCm builds of torch call an AMD card), Apple's Metal, else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def free_bytes(device: torch.device) -> int | None:
    """What this process could still use of a device's memory; None where the system does not tell.

    What torch holds in reserve counts as free: it is used before anything new is asked for.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return _free_main_memory(Path("/proc/meminfo"))


def release(device: torch.device) -> None:
    """Give back what torch holds in reserve on a device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: CUDA has a class for it, Metal and the processor a sentence."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("MPS backend out of memory", "can't allocate memory", "not enough memory")
    )


def vae_precision(config: Any, device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """What a VAE computes in so that it does not overflow.

    SDXL's own VAE leaves float16's range inside its decoder, and says so in its configuration (`force_upcast`);
    bfloat16 has the range of float32. VAEs mended for float16 do not say so and keep it.

    Args:
        config: the VAE's.
        dtype: of the other networks.
    """
    if dtype != torch.float16 or not config.get("force_upcast", True):
        return dtype
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


def _free_main_memory(table: Path) -> int | None:
    """Linux tells in a table of kibibytes; other systems are not asked."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    available = values.get("MemAvailable", "").split()
    return int(available[0]) * 1024 if available else None
