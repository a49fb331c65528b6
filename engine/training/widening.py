"""A UNet made from a narrower one, so that training goes on instead of beginning anew.

Every channel of a wider level is a copy of the narrow level's channel at the same relative place, and what reads the
copies shares its weight among them, unequally, so that they can part (Net2WiderNet, Chen et al., arXiv 1511.05641).
Groups of norms and heads of attention keep their place. A level that is twice as wide computes exactly what it did; at
other ratios the norms' statistics shift a little, because not every channel has as many copies.

Where a latent holds several of the narrow UNet's, as the stage `deepen` makes them, the first convolution reads their
mean and the last writes the same to each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor

from layerfusion.engine.errors import InvalidRequest

_SHAPES = ("block_out_channels", "in_channels", "out_channels", "sample_size", "time_embedding_dim")
"""What may differ between the two."""

_SMALL = 1e-4
"""How much a weight of the time embedding costs, beside the error it prevents."""


def widened(base: UNet2DConditionModel, config: dict[str, Any]) -> UNet2DConditionModel:
    """A UNet of other widths that computes nearly what `base` does.

    Args:
        base: float32; left as it is.
        config: what differs from the base's configuration: `block_out_channels`, of as many levels and none narrower,
            `in_channels` and `out_channels`, multiples of the base's, `time_embedding_dim` and `sample_size`.

    Raises:
        InvalidRequest: something else differs, or a level is narrower.
    """
    unlike = [key for key, value in config.items() if key not in _SHAPES and value != base.config.get(key)]
    if unlike:
        raise InvalidRequest(
            f"A UNet cannot be grown into one with another {', '.join(unlike)}.", f"Change no more than {_SHAPES}."
        )
    made = cast(UNet2DConditionModel, UNet2DConditionModel.from_config({**base.config, **config}))
    copies = _Copies(base, made)
    old, state = base.state_dict(), {}
    if old.keys() != made.state_dict().keys():
        raise InvalidRequest(
            f"Levels of {made.config['block_out_channels']} channels need other layers.",
            "Let neighbouring levels be equal where they were, and nowhere else.",
        )
    for name, module in made.named_modules():
        for key, value in module.named_parameters(prefix=name, recurse=False):
            reads, writes = copies.of(name)
            state[key] = _grown(old[key], value, reads, writes)
    state["time_embedding.linear_1.weight"] = copies.times(old["time_embedding.linear_1.weight"])
    for key, weight in state.items():
        if key.endswith(".to_q.weight"):  # copies count once in a dot product, which its head's width is the measure of
            narrow, wide = len(old[key]), len(weight)
            weight *= _Map.between(narrow, wide).share[:, None] * math.sqrt(wide / narrow)
    made.load_state_dict(state)
    return made


@dataclass(frozen=True)
class _Map:
    """Which of the old channels each new one is a copy of, and its share of what is read from that channel."""

    source: Tensor
    share: Tensor

    @staticmethod
    def between(old: int, new: int, *, equal: bool = False) -> _Map:
        if new < old:
            raise InvalidRequest(f"A level of {old} channels cannot become one of {new}.", "Give it at least as many.")
        source = torch.arange(new) * old // new
        lots = torch.ones(new) if equal else torch.rand(new, generator=torch.Generator().manual_seed(new)) + 0.5
        return _Map(source, lots / torch.zeros(old).index_add(0, source, lots)[source])

    def beside(self, other: _Map) -> _Map:
        """Of both one after the other, as skip connections are joined."""
        behind = other.source + int(self.source.max()) + 1
        return _Map(torch.cat([self.source, behind]), torch.cat([self.share, other.share]))


class _Copies:
    """The channels that every module of a grown UNet reads and writes.

    Args:
        base, made: the narrow UNet and the wide one.
    """

    def __init__(self, base: UNet2DConditionModel, made: UNet2DConditionModel) -> None:
        self._widths = base.config["block_out_channels"][0], made.config["block_out_channels"][0]
        self._flip, self._shift = base.config["flip_sin_to_cos"], base.config["freq_shift"]
        self._base, self._made = base, made
        pairs = zip(base.config["block_out_channels"], made.config["block_out_channels"], strict=True)
        self._levels = [_Map.between(old, new) for old, new in pairs]
        self._resnets = dict(self._walked())

    def _walked(self) -> Iterator[tuple[str, tuple[_Map, _Map]]]:
        """What every resnet reads and writes."""
        levels = self._levels
        for place, block in enumerate(self._made.down_blocks):
            before = levels[max(0, place - 1)]
            for index, _ in enumerate(cast(Any, block).resnets):
                yield f"down_blocks.{place}.resnets.{index}", (before if index == 0 else levels[place], levels[place])
        for index, _ in enumerate(cast(Any, self._made.mid_block).resnets):
            yield f"mid_block.resnets.{index}", (levels[-1], levels[-1])
        backwards = levels[::-1]
        for place, block in enumerate(self._made.up_blocks):
            here, count = backwards[place], len(cast(Any, block).resnets)
            for index in range(count):
                below = here if index else backwards[max(0, place - 1)]
                skipped = here if index < count - 1 else backwards[min(place + 1, len(levels) - 1)]
                yield f"up_blocks.{place}.resnets.{index}", (below.beside(skipped), here)

    def of(self, name: str) -> tuple[_Map | None, _Map | None]:
        """What a module reads and writes; None where `_grown` reads it off the shapes."""
        if name == "conv_in":
            return _Map.between(self._base.config["in_channels"], self._made.config["in_channels"], equal=True), None
        for stem, (reads, writes) in self._resnets.items():
            if name.startswith(f"{stem}."):
                part = name.removeprefix(f"{stem}.")
                if part in ("norm1", "conv1", "conv_shortcut"):
                    return reads, (reads if part == "norm1" else writes)
                return (None if part == "time_emb_proj" else writes), writes
        return None, None

    def times(self, weight: Tensor) -> Tensor:
        """The first layer of the time embedding, reading other frequencies: the nearest to what it was, over all
        timesteps. Slow frequencies are nearly alike; small weights are preferred, or they would exceed float16."""
        source = _Map.between(len(weight), self._made.time_embedding.linear_1.out_features).source
        if self._widths[0] == self._widths[1]:
            return weight[source]
        old, new = (
            get_timestep_embedding(
                torch.arange(1000), width, flip_sin_to_cos=self._flip, downscale_freq_shift=self._shift
            )
            for width in self._widths
        )
        read, wanted = new.double(), old.double() @ weight.double().T
        square = read.T @ read
        small = _SMALL * torch.eye(len(square), dtype=square.dtype) * square.diagonal().mean()
        found = torch.linalg.solve(square + small, read.T @ wanted).T
        return found.float()[source]


def _grown(old: Tensor, new: Tensor, reads: _Map | None, writes: _Map | None) -> Tensor:
    """A parameter with more inputs and outputs. A feed-forward's first layer has two halves, gates behind values; at
    equal ratios the same channels come out as if it were one."""
    if new.ndim == 1:
        return old[(writes or _Map.between(len(old), len(new))).source].clone()
    writes = writes or _Map.between(old.shape[0], new.shape[0])
    reads = reads or _Map.between(old.shape[1], new.shape[1])
    shares = reads.share.view(1, -1, *[1] * (old.ndim - 2))
    return old[writes.source][:, reads.source] * shares
