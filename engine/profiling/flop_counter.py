"""Counting the operations and memory of a computation on PyTorch's meta device, where tensors have shapes but no data.

Floating-point operations are those of matrix products, convolutions and attention; a multiplication and an addition
count as two. Memory is the size of all new tensors that exist at the same time. Attention is counted as a fused GPU
kernel computes it, without storing the attention map.
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
    """The cost of one computation.

    Attributes:
        flops: number of floating-point operations.
        peak_bytes: largest size in bytes of the tensors that it created and that existed at the same time; its inputs
            are not counted.
    """

    flops: int
    peak_bytes: int


Known = dict[Hashable, tuple[int, type, "list[_TensorSpec]"]]
"""Operations that were counted before: the specs of the arguments -> operations, kind and specs of the result."""


def measure(work: Callable[[], object], known: Known | None = None) -> Cost:
    """Run `work`, which must compute on the meta device only, and count its cost.

    Args:
        work: the computation.
        known: operations that were counted before, which makes counting faster; new ones are added.
    """
    operations, attention = _Operations({} if known is None else known), _FusedAttention()
    with torch.no_grad(), operations, attention:  # inference mode leaves more composite operations to be taken apart
        result = work()
        del result
    return Cost(operations.flops + attention.flops, operations.peak)


class _TensorSpec(NamedTuple):
    """Shape, stride and dtype of a tensor."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @staticmethod
    def of(tensor: Tensor) -> _TensorSpec:
        return _TensorSpec(tuple(tensor.shape), tensor.stride(), tensor.dtype)

    def empty(self) -> Tensor:
        return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")


class _Operations(TorchDispatchMode):
    """Counts operations and the storages that exist.

    The meta device is slow, and networks repeat the same blocks. So the result of an operation is cached by the specs
    of its arguments, and made again from the cache.
    """

    def __init__(self, known: Known) -> None:
        super().__init__()
        self.flops = 0
        self.peak = 0
        self._alive = 0
        self._cache = known
        self._whole: set[Any] = set()  # operations that are no composites
        self._known: dict[int, tuple[weakref.ref[torch.UntypedStorage], int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        count = flop_registry.get(func._overloadpacket)
        if count is None and func not in self._whole:
            with self:  # a composite operation is counted by its parts
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
            self._whole.add(func)
        key = (func, _described(args), _described(kwargs.items()))
        if key in self._cache:
            flops, kind, specs = self._cache[key]
            new = [spec.empty() for spec in specs]
            result = new[0] if kind is Tensor else kind(new)
        else:
            result = func(*args, **kwargs)
            flops = 0 if count is None else count(*args, **kwargs, out_val=result)
            results = _tensors((result,))
            given = {id(tensor.untyped_storage()) for tensor in _tensors((*args, *kwargs.values()))}
            new = [tensor for tensor in results if id(tensor.untyped_storage()) not in given | self._known.keys()]
            if new and len({id(tensor.untyped_storage()) for tensor in new}) == len(results):  # nothing is a view
                self._cache[key] = flops, type(result), [_TensorSpec.of(tensor) for tensor in new]
        self.flops += flops
        for tensor in new:
            self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return  # two results are views of one storage
        self._known[key] = (weakref.ref(storage, lambda _: self._remove(key)), size)
        self._alive += size
        self.peak = max(self.peak, self._alive)

    def _remove(self, key: int) -> None:
        self._alive -= self._known.pop(key)[1]


class _FusedAttention(TorchFunctionMode):
    """Counts attention as one operation whose only new tensor is its result."""

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
    """A cache key of arguments: tensors by their spec, other values by type and value (1, 1.0 and True differ)."""
    if isinstance(value, Tensor):
        return _TensorSpec.of(value), value.device
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(_described(one) for one in value)
    return type(value), value


def _tensors(values: Any) -> list[Tensor]:
    """The tensors among an operation's arguments or results, also inside lists and tuples."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += [one for one in value if isinstance(one, Tensor)]
    return found
