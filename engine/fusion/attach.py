"""Installing the attention processors in a network, and restoring the network's own afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.fusion.attention import FusionProcessor, PriorsMeasured
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
    research = coupling.settings.research
    measured = structure_layers(modules, research.structure_layers, research.structure_block)
    processors = {
        name: FusionProcessor(
            name.rsplit(".", 1)[0],
            Projections(deltas.get(name, {}), own_weights),
            structure_layer=name in measured,
            last=name == modules[-1],
            coupling=coupling,
        )
        for name in modules
    }
    attentions: dict[str, Any] = {name: unet.get_submodule(name) for name in modules}
    own = {name: attention.processor for name, attention in attentions.items()}
    whole = vars(unet).get("forward")
    try:
        for name, processor in processors.items():
            attentions[name].set_processor(processor)
            # diffusers' own pass asks Python for the processor's signature in every call
            attentions[name].forward = partial(processor, attentions[name])
        unet.forward = partial(_until_measured, unet.forward)
        with cached_blocks(unet, coupling):
            yield
    finally:
        vars(unet).pop("forward", None)
        if whole is not None:
            unet.forward = whole
        for name, attention in attentions.items():
            vars(attention).pop("forward", None)
            attention.set_processor(own[name])


def _until_measured(run: Callable[..., Any], sample: Tensor, *args: Any, **kwargs: Any) -> Any:
    """A network's pass, (rows, C, h, w) to a tuple of that shape: zeros if it ended when the priors were measured."""
    try:
        return run(sample, *args, **kwargs)
    except PriorsMeasured:
        return (torch.zeros_like(sample),)
