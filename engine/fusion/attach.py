"""Installing the attention processors in a network, and restoring the network's own afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from diffusers import UNet2DConditionModel

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.fusion.attention import FusionProcessor
from layerfusion.engine.fusion.block_cache import cached_blocks
from layerfusion.engine.fusion.coupling import Coupling
from layerfusion.engine.fusion.projections import Projections
from layerfusion.engine.transparency.deltas import Deltas


def structure_layers(modules: Sequence[str], count: int, block: str = "") -> tuple[str, ...]:
    """The self-attentions that give the structure prior.

    Args:
        modules: the attention modules of a network in order of execution.
        count: how many of the last self-attentions, if no block is named.
        block: the name of the transformer block whose self-attention alone gives it; empty names none.

    Raises:
        InvalidRequest: the network has no block of this name.
    """
    selves = tuple(name for name in modules if name.endswith("attn1"))
    if not block:
        return selves[-count:]
    if f"{block}.attn1" not in selves:
        raise InvalidRequest(
            f"The model has no transformer block “{block:.100}” that could give the structure prior.",
            f"Leave structure_block empty, or name a block such as “{selves[-1].removesuffix('.attn1')}”.",
        )
    return (f"{block}.attn1",)


@contextmanager
def attached(
    unet: UNet2DConditionModel,
    modules: Sequence[str],
    coupling: Coupling,
    deltas: Deltas,
    own_weights: Callable[[], bool],
) -> Iterator[None]:
    """Inside the block every attention module of `unet` runs a `FusionProcessor`; its own processors return afterwards.

    Args:
        unet: the network.
        modules: the names of all its attention modules, in order of execution.
        coupling: the job's state.
        deltas: attention module -> projection -> the delta that is added on the foreground rows.
        own_weights: whether the foreground rows may have attention weights of their own, see `Projections`.

    Raises:
        InvalidRequest: the option `structure_block` names a block that the network does not have.
    """
    own = dict(unet.attn_processors)
    research = coupling.settings.research
    measured = structure_layers(modules, research.structure_layers, research.structure_block)
    ours: dict[str, Any] = {
        f"{name}.processor": FusionProcessor(
            name.rsplit(".", 1)[0], Projections(deltas.get(name, {}), own_weights), name in measured, coupling
        )
        for name in modules
    }
    try:
        unet.set_attn_processor(ours)
        with cached_blocks(unet, coupling):
            yield
    finally:
        unet.set_attn_processor(own)
