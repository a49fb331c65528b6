"""Putting the method into a UNet, and taking it out again without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffusers import UNet2DConditionModel

from layerfusion.engine.fusion.attention import FusionProcessor
from layerfusion.engine.fusion.coupling import Coupling
from layerfusion.engine.transparency.deltas import Deltas


def attention_modules(unet: UNet2DConditionModel) -> list[str]:
    """The names of all attention modules in the order they run: down, mid, up.

    `unet.attn_processors` lists the middle block last, which is the order of registration, not of execution.
    """
    order = ("down_blocks", "mid_block", "up_blocks")
    names = [name.removesuffix(".processor") for name in unet.attn_processors]
    return sorted(names, key=lambda name: order.index(name.split(".", 1)[0]))


def structure_layers(unet: UNet2DConditionModel, count: int) -> tuple[str, ...]:
    """The last `count` executed self-attentions."""
    return tuple(name for name in attention_modules(unet) if name.endswith("attn1"))[-count:]


@contextmanager
def attached(unet: UNet2DConditionModel, coupling: Coupling, deltas: Deltas) -> Iterator[None]:
    """Within the block every attention module of `unet` runs a `FusionProcessor`; afterwards its own ones again."""
    own = dict(unet.attn_processors)
    last = structure_layers(unet, coupling.settings.research.structure_layers)
    ours: dict[str, Any] = {
        f"{name}.processor": FusionProcessor(name.rsplit(".", 1)[0], deltas.get(name, {}), name in last, coupling)
        for name in attention_modules(unet)
    }
    hooks = (
        unet.register_forward_pre_hook(lambda *_: coupling.enter()),
        unet.register_forward_hook(lambda *_: coupling.leave()),
    )
    try:
        unet.set_attn_processor(ours)
        yield
    finally:
        unet.set_attn_processor(own)
        for hook in hooks:
            hook.remove()
