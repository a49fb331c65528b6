"""Reusing the output of a UNet's deep blocks for some steps (our choice, after DeepCache, Ma et al. 2312.00858).

The deep blocks are those below the finest token grid: the later down blocks, the mid block and the first up blocks.
Their output changes slowly from step to step. The blocks on the finest grid, from which the structure prior is
measured and in which the streams are mixed most precisely, run in every step, so that the masks stay those of the step.
With SDXL's shapes the deep blocks are seven tenths of a forward's operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from layerfusion.engine.fusion.coupling import Coupling, Half, Pass


@contextmanager
def cached_blocks(unet: UNet2DConditionModel, coupling: Coupling) -> Iterator[None]:
    """Inside the block, forwards of `unet` that are not `deep` take the last output of the deep blocks instead.

    A prior pass always runs them and leaves the cache as it is. Every other forward that is not `deep` needs an earlier
    one that had all its rows.
    """
    downs, ups = _deep(unet)
    cache = _Cache(coupling)
    patched = [*downs, *([] if unet.mid_block is None else [unet.mid_block]), *ups]
    own = [vars(block).get("forward") for block in patched]
    try:
        for block in downs:
            block.forward = partial(cache.down, block.forward, block)
        if unet.mid_block is not None:
            unet.mid_block.forward = partial(cache.middle, unet.mid_block.forward)
        for block in ups:
            block.forward = partial(cache.up, block.forward, block is ups[-1])
        yield
    finally:
        for block, forward in zip(patched, own, strict=True):
            vars(block).pop("forward", None)
            if forward is not None:
                block.forward = forward


def _deep(unet: UNet2DConditionModel) -> tuple[list[Any], list[Any]]:
    """The down blocks and up blocks below the finest token grid."""
    blocks: list[Any] = list(unet.down_blocks)
    finest = next(level for level, block in enumerate(blocks) if hasattr(block, "attentions"))
    below = len(blocks) - finest - 1
    return blocks[finest + 1 :], list(unet.up_blocks)[:below]


class _Cache:
    """The last output of the deep blocks: (whether conditional, stream) -> the tensor that has it, and its row."""

    def __init__(self, coupling: Coupling) -> None:
        self._coupling = coupling
        self._rows: dict[tuple[bool, int], tuple[Tensor, int]] = {}

    def down(self, run: Any, block: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        if self._coupling.now.deep:
            return run(hidden_states, *args, **kwargs)
        # The deep up blocks take these from the UNet's list, and do not read them.
        skipped = len(block.resnets) + len(block.downsamplers or ())
        return hidden_states, (hidden_states,) * skipped

    def middle(self, run: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return run(hidden_states, *args, **kwargs) if self._coupling.now.deep else hidden_states

    def up(self, run: Any, is_last: bool, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        now = self._coupling.now
        if not now.deep:
            return self._taken(len(hidden_states)) if is_last else hidden_states
        out = run(hidden_states, *args, **kwargs)
        if is_last and now.running is not Pass.PRIOR:
            if now.half is not Half.UNCONDITIONAL:
                self._rows.clear()  # rows of different steps do not belong together
            for row, name in enumerate(self._names(len(out))):
                self._rows[name] = out, row
        return out

    def _names(self, rows: int) -> list[tuple[bool, int]]:
        """(whether conditional, stream) of every row of the running forward."""
        now = self._coupling.now
        if now.half is not Half.BOTH:
            halves = [now.half is Half.CONDITIONAL]
        else:
            halves = [False, True] if rows == 2 * len(now.rows) else [True]
        return [(conditional, stream) for conditional in halves for stream in now.rows]

    def _taken(self, rows: int) -> Tensor:
        found = [self._rows[name] for name in self._names(rows)]
        first = found[0][0]
        if len(first) == rows and all(tensor is first and at == row for row, (tensor, at) in enumerate(found)):
            return first
        return torch.stack([tensor[at] for tensor, at in found])
