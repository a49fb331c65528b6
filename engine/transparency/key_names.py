"""The two names every part of SDXL's UNet has: the original program's (LDM) and diffusers'.

    input_blocks.4.1.transformer_blocks.0.attn1.to_q  <->  down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q

A level has three input blocks (two with layers, one that halves) and three output blocks, so block i of the way down
is level (i - 1) // 3, layer (i - 1) % 3, and of the way up level i // 3, layer i % 3. Inside a transformer block both
programs use the same names. The mapping is that of diffusers' own converter, which the tests compare with.
"""

from __future__ import annotations

import re

LAYERS = 3
"""Blocks a level."""

_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "emb_layers.1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
_OUTSIDE = {
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "middle_block.0": "mid_block.resnets.0",
    "middle_block.1": "mid_block.attentions.0",
    "middle_block.2": "mid_block.resnets.1",
}
_BLOCK = re.compile(r"(?P<side>input|output)_blocks\.(?P<block>\d+)\.(?P<part>\d+)")
_PART = re.compile(
    r"(?P<side>down|up)_blocks\.(?P<level>\d+)\.(?P<kind>resnets|attentions|downsamplers|upsamplers)\.(?P<layer>\d+)"
)


def diffusers_name(ldm: str) -> str | None:
    """A module's name in diffusers, from its LDM name; None if SDXL's UNet has no such module.

    Args:
        ldm: without the prefix `model.diffusion_model.`, with or without a `weight` or `bias` at its end.
    """
    for ours, theirs in _OUTSIDE.items():
        if ldm == ours or ldm.startswith(f"{ours}."):
            return _inner(theirs, ldm[len(ours) + 1 :])
    match = _BLOCK.match(ldm)
    if match is None:
        return None
    block, part, rest = int(match["block"]), int(match["part"]), ldm[match.end() + 1 :]
    if match["side"] == "input":
        level, layer = divmod(block - 1, LAYERS)
        if layer == LAYERS - 1:
            return _joined(f"down_blocks.{level}.downsamplers.0.conv", rest.removeprefix("op").lstrip("."))
        return _inner(f"down_blocks.{level}.{('resnets', 'attentions')[part]}.{layer}", rest) if part < 2 else None
    level, layer = divmod(block, LAYERS)
    if rest.split(".")[0] == "conv":
        return _joined(f"up_blocks.{level}.upsamplers.0", rest)
    return _inner(f"up_blocks.{level}.{('resnets', 'attentions')[part]}.{layer}", rest) if part < 2 else None


def ldm_name(diffusers: str) -> str | None:
    """A module's LDM name, from its name in diffusers; the inverse of `diffusers_name`."""
    for ours, theirs in _OUTSIDE.items():
        if diffusers == theirs or diffusers.startswith(f"{theirs}."):
            return _outer(ours, diffusers[len(theirs) + 1 :], "resnets" in theirs)
    match = _PART.match(diffusers)
    if match is None:
        return None
    level, layer, kind = int(match["level"]), int(match["layer"]), match["kind"]
    rest = diffusers[match.end() + 1 :]
    if kind == "downsamplers":
        return _joined(f"input_blocks.{LAYERS * (level + 1)}.0.op", rest.removeprefix("conv").lstrip("."))
    if kind == "upsamplers":
        return _joined(f"output_blocks.{LAYERS * level + 2}.2", rest)
    start = LAYERS * level + layer
    block = f"input_blocks.{start + 1}" if match["side"] == "down" else f"output_blocks.{start}"
    return _outer(f"{block}.{0 if kind == 'resnets' else 1}", rest, kind == "resnets")


def _inner(module: str, rest: str) -> str:
    """The rest of a name in a block: a residual block's parts have other names in diffusers."""
    if "resnets" in module:
        for ours, theirs in _RESNET.items():
            if rest == ours or rest.startswith(f"{ours}."):
                return _joined(module, theirs + rest[len(ours) :])
    return _joined(module, rest)


def _outer(block: str, rest: str, resnet: bool) -> str:
    if resnet:
        for ours, theirs in _RESNET.items():
            if rest == theirs or rest.startswith(f"{theirs}."):
                return _joined(block, ours + rest[len(theirs) :])
    return _joined(block, rest)


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)
