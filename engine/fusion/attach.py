"""Installing the attention processors in a network, and restoring the network's own afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from diffusers import UNet2DConditionModel

from layerfusion.engine.fusion.attention import FusionProcessor
from layerfusion.engine.fusion.coupling import Coupling
from layerfusion.engine.transparency.deltas import Deltas


def structure_layers(modules: Sequence[str], count: int) -> tuple[str, ...]:
    """The last `count` self-attentions among `modules`, the attention modules of a network in order of execution."""
    return tuple(name for name in modules if name.endswith("attn1"))[-count:]


@contextmanager
def attached(unet: UNet2DConditionModel, modules: Sequence[str], coupling: Coupling, deltas: Deltas) -> Iterator[None]:
    """Inside the block every attention module of `unet` runs a `FusionProcessor`; its own processors return afterwards.

    Args:
        unet: the network.
        modules: the names of all its attention modules, in order of execution.
        coupling: the job's state.
        deltas: attention module -> projection -> the delta that is added on the foreground rows.
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
