"""What a computation would cost, counted without doing it: on PyTorch's meta device tensors have shapes and no numbers.

Floating-point operations are those of matrix products, convolutions and attention, a multiplication and an addition
each; memory is what lives at once in new tensors. Attention is counted as the fused kernels of GPUs do it: its map is
never held.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class _Look(NamedTuple):
    """A tensor without its numbers."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @staticmethod
    def of(tensor: Tensor) -> _Look:
        return _Look(tuple(tensor.shape), tensor.stride(), tensor.dtype)

    def empty(self) -> Tensor:
        return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")


class _Operations(TorchDispatchMode):
    """Counts operations, and the storages that are alive.

    The meta device is slow, and networks are made of the same blocks over and over: what an operation made of such
    arguments before is made again without asking it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0
        self.peak = 0
        self._alive = 0
        self._made: dict[Hashable, tuple[int, type, list[_Look]]] = {}
        self._known: dict[int, tuple[weakref.ref[torch.UntypedStorage], int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        count = flop_registry.get(func._overloadpacket)
        if count is None:
            with self:  # an operation made of others is counted in its parts
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        key = (func, _described(args), _described(kwargs.items()))
        if key in self._made:
            flops, kind, looks = self._made[key]
            new = [look.empty() for look in looks]
            result = new[0] if kind is Tensor else kind(new)
        else:
            result = func(*args, **kwargs)
            flops = 0 if count is None else count(*args, **kwargs, out_val=result)
            results = _tensors((result,))
            given = {id(tensor.untyped_storage()) for tensor in _tensors((*args, *kwargs.values()))}
            new = [tensor for tensor in results if id(tensor.untyped_storage()) not in given | self._known.keys()]
            if new and len({id(tensor.untyped_storage()) for tensor in new}) == len(results):  # nothing is a view
                self._made[key] = flops, type(result), [_Look.of(tensor) for tensor in new]
        self.flops += flops
        for tensor in new:
            self._born(tensor.untyped_storage())
        return result

    def _born(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return  # two results are views of one storage
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


def _described(value: Any) -> Hashable:
    """Arguments as far as an operation on the meta device can tell them apart: 1, 1.0 and True are three."""
    if isinstance(value, Tensor):
        return _Look.of(value), value.device
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(_described(one) for one in value)
    return type(value), value


def _tensors(values: Any) -> list[Tensor]:
    """Those among an operation's arguments or results, lists of them included."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += [one for one in value if isinstance(one, Tensor)]
    return found
