"""Choice of the compute device, its free memory, and the precision in which a network can compute on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from layerfusion.engine.errors import InvalidRequest


def best_device() -> torch.device:
    """CUDA if it is available (ROCm builds of torch call AMD cards "cuda" too), else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def device_named(name: str) -> torch.device:
    """The device with torch's name for it: "cpu", "mps", "cuda" (the first card) or "cuda:1".

    Raises:
        InvalidRequest: this machine, or this build of torch, does not have it.
    """
    present = ["cpu"] + ["mps"] * torch.backends.mps.is_available()
    present += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in present:
        raise InvalidRequest(
            f"There is no device {name!r:.40}.", f"torch {torch.__version__} has: {', '.join(present)}."
        )
    return torch.device(wanted)


def free_bytes(device: torch.device) -> int | None:
    """The device memory that this process can still use, in bytes; None if the system does not report it.

    Memory that torch has reserved but not allocated counts as free, because torch uses it first.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return _free_main_memory(Path("/proc/meminfo"))


def release(device: torch.device) -> None:
    """Return memory that torch has reserved but not allocated to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


@contextmanager
def threads_of_torch(count: int | None) -> Iterator[None]:
    """Inside the block, torch computes with `count` threads on the processor; None changes nothing."""
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out. CUDA has a class for it; for MPS and CPU the message tells."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        message in str(error) for message in ("MPS backend out of memory", "can't allocate memory", "not enough memory")
    )


def vae_precision(config: Any, device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """Choose a dtype in which a VAE does not overflow.

    SDXL's own VAE exceeds float16's range inside its decoder, and its configuration says so (`force_upcast`). Such a
    VAE computes in bfloat16, which has float32's range, or in float32. VAEs that were fixed for float16 keep it.

    Args:
        config: the VAE's configuration.
        device: the device on which it computes.
        dtype: dtype of the other networks.
    """
    if dtype != torch.float16 or not config.get("force_upcast", True):
        return dtype
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


def transparent_precision(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """Choose a dtype for the transparent networks, whose values keep all eight bits of alpha and colour.

    bfloat16 is too coarse for them: on weights made by a formula, the mean error of LayerDiffuse's decoder is 0.034 in
    bfloat16 and 0.0065 in float16, which the published weights have.

    Args:
        device: the device on which they compute.
        dtype: dtype of the other networks.
    """
    if dtype != torch.bfloat16:
        return dtype
    return torch.float32 if device.type == "cpu" else torch.float16


def _free_main_memory(table: Path) -> int | None:
    """`MemAvailable` of Linux's /proc/meminfo in bytes; None on systems that do not have this file."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    available = values.get("MemAvailable", "").split()
    return int(available[0]) * 1024 if available else None
