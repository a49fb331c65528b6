"""What a computation would cost, counted without doing it: on PyTorch's meta device tensors have shapes and no numbers.

Floating-point operations are those of matrix products, convolutions and attention, a multiplication and an addition
each; memory is what lives at once in new tensors. Attention is counted as the fused kernels of GPUs do it: its map is
never held.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


@dataclass(frozen=True)
class Cost:
    """Of one computation.

    Attributes:
        flops: floating-point operations.
        peak_bytes: of all tensors it made that were alive at once; what it was given is not counted.
    """

    flops: int
    peak_bytes: int


def measure(work: Callable[[], object]) -> Cost:
    """Run `work`, which must compute on the meta device only, and say what it would cost."""
    operations, attention = _Operations(), _FusedAttention()
    with torch.inference_mode(), operations, attention:
        result = work()
        del result
    return Cost(operations.flops + attention.flops, operations.peak)


class _Operations(TorchDispatchMode):
    """Counts operations, and the storages that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0
        self.peak = 0
        self._alive = 0
        self._known: dict[int, tuple[weakref.ref[torch.UntypedStorage], int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        count = flop_registry.get(func._overloadpacket)
        if count is None:
            with self:  # an operation made of others is counted in its parts
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **kwargs)
        if count is not None:
            self.flops += count(*args, **kwargs, out_val=result)
        given = {id(tensor.untyped_storage()) for tensor in _tensors((*args, *kwargs.values()))}
        for tensor in _tensors(result if isinstance(result, (tuple, list)) else (result,)):
            storage = tensor.untyped_storage()
            if id(storage) not in given and id(storage) not in self._known:
                self._born(storage)
        return result

    def _born(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        self._known[key] = (weakref.ref(storage, lambda _: self._gone(key)), size)
        self._alive += size
        self.peak = max(self.peak, self._alive)

    def _gone(self, key: int) -> None:
        self._alive -= self._known.pop(key)[1]


class _FusedAttention(TorchFunctionMode):
    """Attention as one operation, with its result as the only new tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        query, key, value = args[:3]
        batch_and_heads = query.shape[:-2].numel()
        self.flops += 2 * batch_and_heads * query.shape[-2] * key.shape[-2] * (query.shape[-1] + value.shape[-1])
        return query.new_empty((*query.shape[:-1], value.shape[-1]))


def _tensors(values: Any) -> list[Tensor]:
    """Those among an operation's arguments or results, lists of them included."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += [one for one in value if isinstance(one, Tensor)]
    return found
