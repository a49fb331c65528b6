"""Reading safetensors files into networks. Every tensor must fit exactly, and pickles are never opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.model_files import reading
from layerfusion.engine.models.catalog.quantisation import is_beside, scales
from layerfusion.engine.models.catalog.safetensors_header import read_header

Module = TypeVar("Module", bound=nn.Module)
State = dict[str, Tensor]


def read_state(file: Path) -> State:
    """Read all tensors of a safetensors file on the CPU, in the file's dtypes.

    Raises:
        BrokenModel: the file is missing, truncated, no safetensors file, or contains values that are not finite.
    """
    read_header(file)
    state = reading(file, lambda: load_file(str(file)))
    for key, tensor in state.items():
        # A sum is finite only if all values are; this reads the tensor once. torch cannot sum eight-bit floats.
        values = tensor.float() if tensor.element_size() == 1 else tensor
        if tensor.is_floating_point() and not torch.isfinite(values.sum(dtype=torch.float32)):
            raise BrokenModel(f"{file} contains values that are not finite in “{key}”.", "Fetch the file again.")
    return state


def unscaled(state: Mapping[str, Tensor], dtype: torch.dtype) -> State:
    """Weights in eight bits times their scales, and all other tensors as they are, without scales and markers.

    Args:
        state: tensors, see `catalog.quantisation`.
        dtype: dtype of the weights that have a scale, afterwards. The product is computed in float32.
    """
    factors = scales(state)
    plain = {}
    for name, value in state.items():
        if name in factors:
            factor = state[factors[name]].float()
            shape = () if factor.numel() == 1 else (-1, *[1] * (value.ndim - 1))
            plain[name] = (value.float() * factor.reshape(shape)).to(dtype)
        elif not is_beside(name):
            plain[name] = value
    return plain


def fill(module: Module, state: Mapping[str, Tensor], source: object, dtype: torch.dtype) -> Module:
    """Assign weights to a network that was built on the meta device.

    Args:
        module: the network.
        state: its weights; none may be missing, unknown or of another shape.
        source: the file of the weights, for error messages.
        dtype: dtype of the network's weights afterwards.

    Returns:
        The network, in eval mode and without gradients.

    Raises:
        BrokenModel: the weights do not fit.
    """
    check_fit({name: tuple(value.shape) for name, value in module.state_dict().items()}, state, source)
    module.load_state_dict({key: value.to(dtype) for key, value in state.items()}, strict=True, assign=True)
    return module.eval().requires_grad_(False)


def check_fit(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, Tensor], source: object) -> None:
    """Compare the names and shapes of tensors with the expected ones.

    Args:
        expected: tensor name -> shape.
        found: the tensors.
        source: the file of the tensors, for error messages.

    Raises:
        BrokenModel: they differ; the message gives the number of missing and unknown tensors and the first of them, or
            the first wrong shape.
    """
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or unknown:
        raise BrokenModel(
            f"{source} does not fit: {len(missing)} of {len(expected)} tensors are missing and {len(unknown)} are "
            f"unknown (first: {next(iter(missing + unknown))}).",
            "The file is incomplete or for another kind of model: fetch it again, or use another file.",
        )
    for name, shape in expected.items():
        if tuple(found[name].shape) != shape:
            raise BrokenModel(
                f"{source} does not fit: “{name}” has shape {tuple(found[name].shape)}; the expected shape is {shape}.",
                "The file is for another kind of model: use another file.",
            )
