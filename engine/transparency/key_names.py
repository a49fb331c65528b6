"""Conversion of module names of SDXL's UNet between the original LDM code's naming and diffusers'.

    input_blocks.4.1.transformer_blocks.0.attn1.to_q  <->  down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q

A resolution level has three input blocks (two with layers, one that downsamples) and three output blocks. So input
block i is level (i - 1) // 3, layer (i - 1) % 3, and output block i is level i // 3, layer i % 3. Inside a transformer
block both use the same names. The tests compare the mapping with diffusers' own converter.
"""

from __future__ import annotations

import re

LAYERS = 3
"""Input blocks, and output blocks, per resolution level."""

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
    """Convert a module's LDM name to its name in diffusers; None if SDXL's UNet has no such module.

    Args:
        ldm: the name without the prefix `model.diffusion_model.`, with or without a final `weight` or `bias`.
    """
    for original, converted in _OUTSIDE.items():
        if ldm == original or ldm.startswith(f"{original}."):
            return _diffusers_in_block(converted, ldm[len(original) + 1 :])
    match = _BLOCK.match(ldm)
    if match is None:
        return None
    block, part, rest = int(match["block"]), int(match["part"]), ldm[match.end() + 1 :]
    if match["side"] == "input":
        level, layer = divmod(block - 1, LAYERS)
        if layer == LAYERS - 1:
            return _joined(f"down_blocks.{level}.downsamplers.0.conv", rest.removeprefix("op").lstrip("."))
        name = f"down_blocks.{level}.{('resnets', 'attentions')[part]}.{layer}" if part < 2 else None
        return _diffusers_in_block(name, rest) if name else None
    level, layer = divmod(block, LAYERS)
    if rest.split(".")[0] == "conv":
        return _joined(f"up_blocks.{level}.upsamplers.0", rest)
    name = f"up_blocks.{level}.{('resnets', 'attentions')[part]}.{layer}" if part < 2 else None
    return _diffusers_in_block(name, rest) if name else None


def ldm_name(diffusers: str) -> str | None:
    """Convert a module's name in diffusers to its LDM name; None if SDXL's UNet has no such module."""
    for original, converted in _OUTSIDE.items():
        if diffusers == converted or diffusers.startswith(f"{converted}."):
            return _ldm_in_block(original, diffusers[len(converted) + 1 :], "resnets" in converted)
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
    return _ldm_in_block(f"{block}.{0 if kind == 'resnets' else 1}", rest, kind == "resnets")


def _diffusers_in_block(block: str, rest: str) -> str:
    """Append the converted rest of a name to its block's name; only the parts of residual blocks differ."""
    if "resnets" in block:
        for original, converted in _RESNET.items():
            if rest == original or rest.startswith(f"{original}."):
                return _joined(block, converted + rest[len(original) :])
    return _joined(block, rest)


def _ldm_in_block(block: str, rest: str, resnet: bool) -> str:
    """The inverse of `_diffusers_in_block`; `resnet` is whether the block is a residual block."""
    if resnet:
        for original, converted in _RESNET.items():
            if rest == converted or rest.startswith(f"{converted}."):
                return _joined(block, original + rest[len(converted) :])
    return _joined(block, rest)


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)
