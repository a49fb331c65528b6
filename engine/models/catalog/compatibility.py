"""Comparison of a file's tensor names and shapes with those that SDXL's networks have, without reading weights.

The networks are built on the meta device. `layerfusion models check` prints the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.identify import Use
from layerfusion.engine.models.catalog.model_files import CONFIGS, UNET_PREFIX, read_json
from layerfusion.engine.models.catalog.network_keys import plan_network
from layerfusion.engine.models.catalog.safetensors_header import Header
from layerfusion.engine.transparency.deltas import PROJECTIONS, parts_by_target
from layerfusion.engine.transparency.key_names import ldm_name
from layerfusion.engine.transparency.layerdiffuse import LayerDiffuseDecoder, LayerDiffuseEncoder

Shapes = dict[str, tuple[int, ...]]


def mismatches(header: Header, use: Use) -> list[str]:
    """Say why a file cannot serve as a given part of an SDXL model.

    Args:
        header: the file's names and shapes.
        use: the part it is to be.

    Returns:
        One sentence per kind of mismatch; empty if the file fits.
    """
    found = {name: tensor.shape for name, tensor in header.tensors.items()}
    if use is Use.CHECKPOINT:
        unet = {name.removeprefix(UNET_PREFIX): shape for name, shape in found.items() if name.startswith(UNET_PREFIX)}
        return _differences("the UNet", _unet_under_ldm_names(), unet)
    if use in (Use.ENCODER, Use.DECODER):
        with torch.device("meta"):
            network = LayerDiffuseEncoder() if use is Use.ENCODER else LayerDiffuseDecoder()
        return _differences(f"the {use.value}", _shapes(network), found)
    if use is Use.DELTAS:
        return _delta_mismatches(header)
    if use is Use.LORA:
        return _lora_mismatches(header)
    if use is Use.VAE and "encoder.down_blocks.0.resnets.0.conv1.weight" in found:
        with torch.device("meta"):
            vae = cast(AutoencoderKL, AutoencoderKL.from_config(read_json(CONFIGS / "vae" / "config.json")))
        return _differences("the VAE", _shapes(vae), found)
    return []


def sdxl_unet() -> UNet2DConditionModel:
    """SDXL's UNet on the meta device, without weights."""
    with torch.device("meta"):
        return cast(UNet2DConditionModel, UNet2DConditionModel.from_config(read_json(CONFIGS / "unet" / "config.json")))


def _delta_mismatches(header: Header) -> list[str]:
    sizes = {
        name.removesuffix(".weight"): shape
        for name, shape in _shapes(sdxl_unet()).items()
        if name.endswith(tuple(f".{projection}.weight" for projection in PROJECTIONS)) and ".attn" in name
    }
    try:
        found = parts_by_target(header.tensors, sizes, str(header.file))
    except BrokenModel as error:
        return [str(error)]
    sentences = []
    for target, halves in found.items():
        shapes = {half: header.tensors[key].shape for half, key in halves.items()}
        if "dense" in shapes:
            size: tuple[int, ...] | None = shapes["dense"]
        else:
            size = (shapes["up"][0], shapes["down"][1]) if {"up", "down"} <= set(shapes) else None
        if size != sizes[target]:
            sentences.append(f"“{target}” has shape {size}; the expected shape is {sizes[target]}.")
    missing = sorted(sizes.keys() - found.keys())
    if missing:
        sentences.append(f"{len(missing)} of {len(sizes)} projections are missing (first: {missing[0]}).")
    return sentences[:3]


def _lora_mismatches(header: Header) -> list[str]:
    with torch.device("meta"):
        configs = [
            CLIPTextConfig.from_pretrained(str(CONFIGS / part), local_files_only=True)
            for part in ("text_encoder", "text_encoder_2")
        ]
        targets = {
            "unet": _shapes(sdxl_unet()),
            "text_encoder": _shapes(CLIPTextModel(configs[0])),
            "text_encoder_2": _shapes(CLIPTextModelWithProjection(configs[1])),
        }
    try:
        plan_network(header, targets)
    except BrokenModel as error:
        return [str(error)]
    return []


def _unet_under_ldm_names() -> Shapes:
    return {ldm_name(name) or name: shape for name, shape in _shapes(sdxl_unet()).items()}


def _shapes(network: torch.nn.Module) -> Shapes:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def _differences(network: str, expected: Shapes, found: Mapping[str, tuple[int, ...]]) -> list[str]:
    sentences = []
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing:
        sentences.append(f"{network} lacks {len(missing)} of {len(expected)} tensors (first: {missing[0]}).")
    if unknown:
        sentences.append(f"{network} has {len(unknown)} unknown tensors (first: {unknown[0]}).")
    other = [name for name in expected if name in found and tuple(found[name]) != expected[name]]
    if other:
        name = other[0]
        sentences.append(
            f"{network} has {len(other)} tensors with a wrong shape: “{name}” has shape {tuple(found[name])}; "
            f"the expected shape is {expected[name]}."
        )
    return sentences
