"""Weights from safetensors files into networks: every tensor accounted for, no pickle ever opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.model_files import reading
from layerfusion.engine.models.catalog.safetensors_header import read_header

Module = TypeVar("Module", bound=nn.Module)
State = dict[str, Tensor]


def read_state(file: Path) -> State:
    """All tensors of a safetensors file, on the CPU and as the file has them; large files stay on the disk until used.

    Raises:
        BrokenModel: the file is missing, truncated, no safetensors file, or holds numbers that are not finite.
    """
    read_header(file)
    state = reading(file, lambda: load_file(str(file)))
    for key, tensor in state.items():
        # One pass at the memory's speed: a sum is finite only if all of it is. Eight-bit floats cannot be summed.
        numbers = tensor.float() if tensor.element_size() == 1 else tensor
        if tensor.is_floating_point() and not torch.isfinite(numbers.sum(dtype=torch.float32)):
            raise BrokenModel(f"{file} holds numbers that are not finite in “{key}”.", "Fetch the file again.")
    return state


def fill(module: Module, state: Mapping[str, Tensor], source: object, dtype: torch.dtype) -> Module:
    """Give a network, made on the meta device, its weights; nothing may be missing, left over or of another shape.

    Args:
        source: where the weights are from, for the message.

    Raises:
        BrokenModel: they do not fit.
    """
    check_fit({name: tuple(value.shape) for name, value in module.state_dict().items()}, state, source)
    module.load_state_dict({key: value.to(dtype) for key, value in state.items()}, strict=True, assign=True)
    return module.eval().requires_grad_(False)


def check_fit(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, Tensor], source: object) -> None:
    """Compare names and shapes.

    Raises:
        BrokenModel: they differ; the message names the first difference and counts them all.
    """
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or unknown:
        raise BrokenModel(
            f"{source} does not fit: {len(missing)} of {len(expected)} tensors are missing and {len(unknown)} unknown "
            f"(first: {next(iter(missing + unknown))}).",
            "It is for another kind of model, or incomplete: fetch it again, or use the right one.",
        )
    for name, shape in expected.items():
        if tuple(found[name].shape) != shape:
            raise BrokenModel(
                f"{source} does not fit: “{name}” has shape {tuple(found[name].shape)}, expected was {shape}.",
                "It is for another kind of model: use the right one.",
            )
