"""The keys of foreground deltas in all published forms. Only names are read.

Deltas are published in several forms:

| form | example of a key |
|---|---|
| Forge | `diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight::lora::0` (up; 1 is down) |
| kohya | `lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.lora_up.weight` (and `lora_down`) |
| PEFT | `down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight` (up; `lora_A` is down) |
| dense | `down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight`, the whole offset |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.transparency.key_names import diffusers_name, ldm_name

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")
ATTN_FILE = "layer_xl_transparent_attn.safetensors (Hugging Face: LayerDiffusion/layerdiffusion-v1)"
"""The published file to use, for error messages."""

TARGET = re.compile(r"(?P<module>.+\.transformer_blocks\.\d+\.attn[12])\.(?P<projection>to_q|to_k|to_v|to_out\.0)")


class Part(NamedTuple):
    """The meaning of one key of a file: it holds one part of one projection's delta."""

    target: str  # the projection's name in diffusers
    half: str  # "up", "down", "alpha" or "dense"


def parts_by_target(keys: Iterable[str], targets: Mapping[str, object], file: str) -> dict[str, dict[str, str]]:
    """Group a file's keys by the projection that they change: projection name -> half -> key.

    Args:
        keys: the file's keys.
        targets: the UNet's attention projections, by their names in diffusers.
        file: the file's name, for error messages.

    Raises:
        BrokenModel: a key changes something else or a projection that this UNet does not have, or there are no keys.
    """
    read = _reader(targets)
    found: dict[str, dict[str, str]] = {}
    for key in keys:
        part = read(key)
        if part is None:
            raise BrokenModel(
                f"{file} changes “{key}”, which is not an attention projection.",
                f"Foreground deltas may change to_q, to_k, to_v and to_out of attn1 and attn2 only: use {ATTN_FILE}.",
            )
        if part.target not in targets:
            raise BrokenModel(
                f"{file} is for another model: this model has no “{part.target}”.",
                "Use the deltas that were made for this model.",
            )
        found.setdefault(part.target, {})[part.half] = key
    if not found:
        raise BrokenModel(f"{file} contains no deltas.", f"Use {ATTN_FILE}.")
    return found


def _reader(targets: Iterable[str]) -> Callable[[str], Part | None]:
    """Make a function that interprets one key, or returns None if the key is in no known form.

    kohya's names have underscores in place of dots, which cannot be reversed; they are looked up in a table.
    """
    kohya = {}
    for name in targets:
        for spelling in (name, ldm_name(name) or name):
            kohya[f"lora_unet_{spelling}".replace(".", "_")] = name
    kohya_halves = {"lora_up.weight": "up", "lora_down.weight": "down", "alpha": "alpha"}
    peft_halves = {"lora_B.weight": "up", "lora_A.weight": "down"}

    def read(key: str) -> Part | None:
        if "::" in key:
            return _forge_part(key)
        if key.startswith("lora_unet_"):
            stem, _, half = key.partition(".")
            return Part(kohya[stem], kohya_halves[half]) if stem in kohya and half in kohya_halves else None
        name = key.removeprefix("unet.")
        for ending, half in (*peft_halves.items(), ("weight", "dense")):
            target = name.removesuffix(f".{ending}")
            if target != name and TARGET.fullmatch(target):
                return Part(target, half)
        return None

    return read


def _forge_part(key: str) -> Part | None:
    """Interpret `<LDM key>::lora::<index>`, where index 0 is `up` and 1 is `down`; None if the key has no such form."""
    path, kind, index = (*key.split("::"), "", "")[:3]
    name = path.removeprefix("model.").removeprefix("diffusion_model.").removesuffix(".weight")
    target = diffusers_name(name)
    if kind != "lora" or index not in ("0", "1") or target is None or not TARGET.fullmatch(target):
        return None
    return Part(target, "up" if index == "0" else "down")
