"""Running a network whose weights stay in main memory: each of its parts is on the device for its own forward only.

The parts are the residual blocks, transformers and samplers of a UNet's down, mid and up blocks. What is outside them
is small and stays on the device. The weights are copied to the device in every forward and never back, because nothing
changes them. diffusers' group offloading does the same with hooks that stay in the network for good.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_LISTS = ("resnets", "attentions", "downsamplers", "upsamplers")


def parts_of(network: nn.Module) -> list[nn.Module]:
    """The parts of a UNet that are moved one by one; none for a network of another kind."""
    blocks = chain(
        getattr(network, "down_blocks", ()),
        filter(None, [getattr(network, "mid_block", None)]),
        getattr(network, "up_blocks", ()),
    )
    return [part for block in blocks for name in _LISTS for part in getattr(block, name, None) or ()]


def size_of(module: nn.Module) -> int:
    """The bytes of a module's weights."""
    return sum(tensor.nbytes for tensor in _tensors(module))


def largest_resident(network: nn.Module) -> int:
    """The most bytes of a network's weights that are on the device at a time: those outside its parts, and one part."""
    sizes = [size_of(part) for part in parts_of(network)]
    return size_of(network) - sum(sizes) + max(sizes, default=0)


class StreamedNetwork:
    """A network that streams until `end`.

    Args:
        network: the network, in main memory.
        device: where it computes.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._device = device
        self._moved: dict[nn.Module, list[_Place]] = {}
        self._hooks: list[Any] = []
        parts = parts_of(network)
        within = {module for part in parts for module in part.modules()}
        self._moved[network] = [place for place in _places(network) if place.module not in within]
        self._put(network)
        for part in parts:
            self._hooks.append(part.register_forward_pre_hook(self._load))
            self._hooks.append(part.register_forward_hook(self._unload, always_call=True))

    def end(self) -> None:
        """Bring everything back to main memory, and take the hooks off."""
        for hook in self._hooks:
            hook.remove()
        for module in list(self._moved):
            self._unload(module)

    def _load(self, part: nn.Module, *_: object) -> None:
        self._moved[part] = list(_places(part))
        self._put(part)

    def _unload(self, part: nn.Module, *_: object) -> None:
        for place in self._moved.pop(part, []):
            place.tensors[place.name] = place.tensor

    def _put(self, part: nn.Module) -> None:
        for place in self._moved[part]:
            copy = place.tensor.to(self._device, non_blocking=True)
            is_weight = isinstance(place.tensor, nn.Parameter)
            place.tensors[place.name] = nn.Parameter(copy, requires_grad=False) if is_weight else copy


class _Place(NamedTuple):
    """Where a module keeps one of its tensors."""

    module: nn.Module
    tensors: dict[str, Any]
    name: str
    tensor: Tensor


def _places(network: nn.Module) -> Iterator[_Place]:
    for module in network.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    yield _Place(module, tensors, name, tensor)


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    return chain(module.parameters(), module.buffers())
