"""Putting the method into a network, and taking it out again without a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from diffusers import UNet2DConditionModel

from layerfusion.engine.fusion.attention import FusionProcessor
from layerfusion.engine.fusion.coupling import Coupling
from layerfusion.engine.transparency.deltas import Deltas


def structure_layers(modules: Sequence[str], count: int) -> tuple[str, ...]:
    """The last `count` self-attentions of a network's attention modules, which are given in the order they run."""
    return tuple(name for name in modules if name.endswith("attn1"))[-count:]


@contextmanager
def attached(unet: UNet2DConditionModel, modules: Sequence[str], coupling: Coupling, deltas: Deltas) -> Iterator[None]:
    """Within the block every attention module of `unet` runs a `FusionProcessor`; afterwards its own ones again.

    Args:
        modules: the names of all its attention modules, in the order they run.
        coupling: the job's state.
        deltas: attention module -> projection -> what is added on the foreground rows.
    """
    own = dict(unet.attn_processors)
    last = structure_layers(modules, coupling.settings.research.structure_layers)
    ours: dict[str, Any] = {
        f"{name}.processor": FusionProcessor(name.rsplit(".", 1)[0], deltas.get(name, {}), name in last, coupling)
        for name in modules
    }
    try:
        unet.set_attn_processor(ours)
        yield
    finally:
        unet.set_attn_processor(own)
