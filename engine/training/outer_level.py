"""A UNet with one more level outside, so that it draws twice as many latents a side and knows what it knew.

The new level halves the latents, the old UNet does its work on these, and the new level's last block doubles what comes
out: at first it draws a picture of half the size, enlarged. It has no attention, as SDXL's first level has none; what
the old UNet's highest attention sees keeps its size. What is new to learn are details, and their level's convolutions
see them where they are, which a convolution over fewer latents of more channels does not: with 16 channels at 16 px a
latent, pictures stayed speckled after 90,000 samples (D22 in docs/decisions.md).

Our choice.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from layerfusion.engine.errors import InvalidRequest


def with_outer_level(base: UNet2DConditionModel, config: dict[str, Any]) -> UNet2DConditionModel:
    """A UNet with one more level outside the base's.

    Args:
        base: float32; left as it is.
        config: what differs from the base's configuration; `block_out_channels` begins with the new level's width,
            which must be that of the base's first, and `sample_size` is twice the base's.

    Raises:
        InvalidRequest: the new level is no such level.
    """
    widths, known = list(config.get("block_out_channels", ())), list(base.config["block_out_channels"])
    if widths != [known[0], *known]:
        raise InvalidRequest(
            f"Levels of {widths} channels are not those of {known} and one more outside, as wide as the first.",
            "Give the base's widths, and its first once more before them.",
        )
    heads = base.config["attention_head_dim"]
    made = cast(
        UNet2DConditionModel,
        UNet2DConditionModel.from_config(
            {
                **base.config,
                "down_block_types": ["DownBlock2D", *base.config["down_block_types"]],
                "up_block_types": [*base.config["up_block_types"], "UpBlock2D"],
                "attention_head_dim": [heads[0], *heads],
                "sample_size": 2 * base.config["sample_size"],
                **config,
            }
        ),
    )
    state = {**made.state_dict(), **{moved_inwards(name): value.clone() for name, value in base.state_dict().items()}}
    last = len(made.up_blocks) - 1
    _pass_through(state, "down_blocks.0.resnets.0")
    for place in range(len(cast(Any, made.up_blocks[last]).resnets)):
        _pass_through(state, f"up_blocks.{last}.resnets.{place}")
    square = torch.zeros(3, 3)
    square[1:, 1:] = 0.25  # the four latents that become one
    _each_alone(state, "down_blocks.0.downsamplers.0.conv", square)
    one = torch.zeros(3, 3)
    one[1, 1] = 1
    _each_alone(state, f"up_blocks.{last - 1}.upsamplers.0.conv", one)
    made.load_state_dict(state)
    return made


def is_outer(name: str, unet: UNet2DConditionModel) -> bool:
    """Whether a parameter belongs to the outermost level of a UNet, or to what leads into it and out of it."""
    last = len(unet.config["block_out_channels"]) - 1
    parts = ("conv_in.", "conv_out.", "conv_norm_out.", "down_blocks.0.", f"up_blocks.{last}.")
    return name.removeprefix("unet.").startswith((*parts, f"up_blocks.{last - 1}.upsamplers."))


def moved_inwards(name: str) -> str:
    """What the base's parameter is called where there is a level more: blocks on the way down count from outside."""
    before, found, rest = name.partition("down_blocks.")
    if not found:
        return name
    place, _, inner = rest.partition(".")
    return f"{before}{found}{int(place) + 1}.{inner}"


def moved_outwards(name: str) -> str:
    """What the base calls a parameter of the UNet with a level more; a name that it does not have, if it lacks it."""
    before, found, rest = name.partition("down_blocks.")
    if not found:
        return name
    place, _, inner = rest.partition(".")
    return f"{before}{found}{int(place) - 1}.{inner}"


def _pass_through(state: dict[str, Tensor], name: str) -> None:
    """Let a resnet return the first channels of what it gets."""
    for part in ("weight", "bias"):
        state[f"{name}.conv2.{part}"].zero_()
    shortcut = state.get(f"{name}.conv_shortcut.weight")
    if shortcut is not None:
        shortcut.zero_()
        shortcut[:, : len(shortcut), 0, 0] = torch.eye(len(shortcut))
        state[f"{name}.conv_shortcut.bias"].zero_()


def _each_alone(state: dict[str, Tensor], name: str, kernel: Tensor) -> None:
    """Let a convolution treat every channel alone."""
    weight = state[f"{name}.weight"]
    weight.zero_()
    weight[range(len(weight)), range(len(weight))] = kernel
    state[f"{name}.bias"].zero_()
