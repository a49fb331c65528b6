"""The naming schemes of LoRA files (kohya's, diffusers' and PEFT's), mapped to modules of SDXL's networks.

Only names and shapes are used, so that a file can be checked without its weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.transparency.key_names import ldm_name

_KOHYA = {"lora_unet_": "unet", "lora_te1_": "text_encoder", "lora_te2_": "text_encoder_2"}
_HALVES = {
    "lora_up.weight": "up",
    "lora_down.weight": "down",
    "lora_B.weight": "up",
    "lora_A.weight": "down",
    "lora.up.weight": "up",
    "lora.down.weight": "down",
    "lora_linear_layer.up.weight": "up",
    "lora_linear_layer.down.weight": "down",
    "alpha": "alpha",
}
_OTHER_KINDS = {
    "dora_scale": "DoRA",
    "lokr_": "LoKr",
    "hada_": "LoHa",
    "oft_": "OFT",
    "glora": "GLoRA",
    ".diff": "full",
}
"""Adapters other than plain LoRA, by a part of their keys."""

_PROCESSOR = re.compile(r"\.processor\.(to_q|to_k|to_v|to_out)_lora\.(up|down)\.weight$")
"""Keys of attention LoRAs that diffusers wrote before version 0.17."""


def group_by_module(
    file: Path, state: Mapping[str, Tensor], components: Mapping[str, nn.Module]
) -> dict[tuple[str, str], dict[str, Tensor]]:
    """Group a LoRA's tensors by the module that they change.

    Args:
        file: the LoRA file, for error messages.
        state: the file's tensors; only their shapes are used, so they may be on the meta device.
        components: the networks “unet”, “text_encoder” and “text_encoder_2”.

    Returns:
        (component, module name) -> the module's tensors, by “up”, “down” and “alpha”.

    Raises:
        BrokenModel: the file is no plain LoRA, changes a module that these networks do not have, or is empty.
    """
    table = _targets(components)
    groups: dict[tuple[str, str], dict[str, Tensor]] = {}
    for key, value in state.items():
        found = _parse(key, table)
        if found is None:
            raise _unknown_key(file, key, state)
        target, half = found
        groups.setdefault(target, {})[half] = value
    if not groups:
        raise BrokenModel(f"{file} is empty.", "Fetch it again.")
    return groups


def _targets(components: Mapping[str, nn.Module]) -> dict[str, tuple[str, str]]:
    """Every name that a LoRA may use for a linear or convolution module -> (component, module name)."""
    table: dict[str, tuple[str, str]] = {}
    for component, network in components.items():
        prefix = next(kohya for kohya, ours in _KOHYA.items() if ours == component)
        for name, module in network.named_modules():
            if not isinstance(module, nn.Linear | nn.Conv2d):
                continue
            spellings = {name, ldm_name(name) or name} if component == "unet" else _text_spellings(name)
            for spelling in spellings:
                table[prefix + spelling.replace(".", "_")] = (component, name)
                table[f"{component}.{spelling}"] = (component, name)
                if component == "unet":
                    table.setdefault(spelling, (component, name))
    return table


def _text_spellings(name: str) -> set[str]:
    bare = name.removeprefix("text_model.")
    return {bare, f"text_model.{bare}"}


def _parse(key: str, table: Mapping[str, tuple[str, str]]) -> tuple[tuple[str, str], str] | None:
    """The target that a key changes, and “up”, “down” or “alpha”; None if the key is not understood."""
    old = _PROCESSOR.search(key)
    if old is not None:
        projection = "to_out.0" if old[1] == "to_out" else old[1]
        target = table.get(f"{key[: old.start()]}.{projection}")
        return None if target is None else (target, old[2])
    plain = key.removeprefix("base_model.model.").removeprefix("diffusion_model.").replace(".default.", ".")
    for ending, half in _HALVES.items():
        stem = plain.removesuffix(f".{ending}")
        if stem != plain and stem in table:
            return table[stem], half
    return None


def _unknown_key(file: Path, key: str, state: Mapping[str, Tensor]) -> BrokenModel:
    """The error for a key that is not understood; it says what the file probably is."""
    kind = next((title for mark, title in _OTHER_KINDS.items() if any(mark in name for name in state)), None)
    if kind is not None:
        return BrokenModel(
            f"{file} is a {kind} adapter, not a plain LoRA (“{key}”).",
            "Use its LoRA version, or merge it into a checkpoint with another program.",
        )
    if key.startswith("lora_te_") or any(
        "attn2" in name and value.ndim == 2 and value.shape[1] in (768, 1024) and "down" in name
        for name, value in state.items()
    ):
        return BrokenModel(f"{file} is a LoRA for Stable Diffusion 1 or 2.", "Use a LoRA made for SDXL.")
    return BrokenModel(
        f"{file} changes “{key}”, which this model does not have.",
        f"Run “layerfusion models check {file}” to see what the file is.",
    )
