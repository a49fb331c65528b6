"""How LoRA files name what they change: kohya's, diffusers' and PEFT's spellings. Names and shapes only."""

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
"""Adapters that are no plain LoRA, by what their keys hold."""

_PROCESSOR = re.compile(r"\.processor\.(to_q|to_k|to_v|to_out)_lora\.(up|down)\.weight$")
"""How diffusers before 0.17 wrote attention LoRAs."""


def read_changes(
    file: Path, state: Mapping[str, Tensor], components: Mapping[str, nn.Module]
) -> dict[tuple[str, str], dict[str, Tensor]]:
    """Sort a LoRA's tensors: (component, module) -> its tensors, by what they are: “up”, “down”, “alpha”.

    Args:
        file: for the message.
        state: the file's tensors; their shapes are enough, they may be on the meta device.
        components: “unet”, “text_encoder” and “text_encoder_2”.

    Raises:
        BrokenModel: it is no plain LoRA, or changes something these networks do not have.
    """
    table = _targets(components)
    changes: dict[tuple[str, str], dict[str, Tensor]] = {}
    for key, value in state.items():
        found = _parse(key, table)
        if found is None:
            raise _stranger(file, key, state)
        target, half = found
        changes.setdefault(target, {})[half] = value
    if not changes:
        raise BrokenModel(f"{file} is empty.", "Fetch it again.")
    return changes


def _targets(components: Mapping[str, nn.Module]) -> dict[str, tuple[str, str]]:
    """Every spelling a LoRA may use for a module that has a weight."""
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
    """The module a key changes and which half it is, None if it is neither."""
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


def _stranger(file: Path, key: str, state: Mapping[str, Tensor]) -> BrokenModel:
    """Why a key has no place here."""
    kind = next((title for mark, title in _OTHER_KINDS.items() if any(mark in name for name in state)), None)
    if kind is not None:
        return BrokenModel(
            f"{file} is a {kind} adapter, not a plain LoRA (“{key}”).", "Use the LoRA version, or merge it elsewhere."
        )
    if key.startswith("lora_te_") or any(
        "attn2" in name and value.ndim == 2 and value.shape[1] in (768, 1024) and "down" in name
        for name, value in state.items()
    ):
        return BrokenModel(f"{file} is a LoRA for Stable Diffusion 1 or 2.", "Use one made for SDXL.")
    return BrokenModel(
        f"{file} changes “{key}”, which this model does not have.",
        f"See what it is with “layerfusion models check {file}”.",
    )
