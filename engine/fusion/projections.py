"""The projections of an attention module: the base weights for all rows, with the deltas on the foreground rows.

There are two ways, equal up to rounding. The low-rank products are added to the base projection of the foreground rows;
that needs little memory and a tenth more operations on these rows. Or the foreground rows are multiplied by weights of
their own, W + ΔW, which are made once and cost no more operations than W. The base weights are never edited.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from layerfusion.engine.transparency.deltas import Delta

_TEXTS = 3
"""How many texts are remembered: of both guidance halves, of the conditional half, of the prior pass."""


class Projections:
    """Computes the projections of one attention module.

    Args:
        deltas: projection name -> delta of the foreground rows.
        own_weights: whether the foreground rows may have weights of their own, as far as memory is concerned. It is
            asked at every call, because memory may run out during a job; then those weights are dropped.
    """

    def __init__(self, deltas: dict[str, Delta], own_weights: Callable[[], bool]) -> None:
        self._deltas, self._own_weights = deltas, own_weights
        self._weights: dict[str, Tensor] = {}

    def __call__(self, linear: nn.Module, name: str, x: Tensor, rows: int, foregrounds: int) -> Tensor:
        """Project x (halves * rows, N, inputs) to (halves * rows, N, outputs).

        Args:
            linear: the base projection.
            name: the projection's name, as in `PROJECTIONS`.
            x: the rows of one or two guidance halves.
            rows: rows of each half.
            foregrounds: how many of them, the first, are foregrounds.
        """
        if name not in self._deltas or not foregrounds:
            return linear(x)
        halves = x.unflatten(0, (-1, rows))
        if type(linear) is nn.Linear and self._own_weights():
            if foregrounds == rows:
                return F.linear(x, self._weight(linear, name), linear.bias)
            out = x.new_empty((*halves.shape[:-1], linear.out_features))
            out[:, :foregrounds] = F.linear(halves[:, :foregrounds], self._weight(linear, name), linear.bias)
            out[:, foregrounds:] = linear(halves[:, foregrounds:])
            return out.flatten(0, 1)
        self._weights.clear()
        y = linear(x)
        y.unflatten(0, (-1, rows))[:, :foregrounds] += self._deltas[name](halves[:, :foregrounds])
        return y

    def _weight(self, linear: nn.Linear, name: str) -> Tensor:
        if name not in self._weights:
            self._weights[name] = linear.weight + self._deltas[name].offset().to(linear.weight)
        return self._weights[name]


class TextMemory:
    """The keys and values of the texts that a cross-attention has seen last: they are the same in every step."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Tensor, tuple[Tensor, Tensor]]] = {}

    def get(self, text: Tensor, compute: Callable[[Tensor], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """The keys and values of `text`, a tensor that nobody changes; `compute` makes them the first time."""
        if id(text) not in self._known:
            if len(self._known) == _TEXTS:
                del self._known[next(iter(self._known))]
            self._known[id(text)] = text, compute(text)  # the text is kept, so that its id stays its own
        return self._known[id(text)][1]
