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
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


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
    flops, memory, attention = FlopCounterMode(display=False), _Memory(), _FusedAttention()
    with torch.inference_mode(), flops, memory, attention:
        result = work()
        del result
    return Cost(flops.get_total_flops() + attention.flops, memory.peak)


class _Memory(TorchDispatchMode):
    """Adds up the storages that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if id(storage) not in given and storage not in self._known:
                    self._known.add(storage)
                    self._alive += storage.nbytes()
                    weakref.finalize(storage, self._freed, storage.nbytes())
        self.peak = max(self.peak, self._alive)
        return result

    def _freed(self, size: int) -> None:
        self._alive -= size


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
