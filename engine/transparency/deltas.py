"""Foreground deltas: the change that makes the base model draw transparent foregrounds.

They exist on `to_q`, `to_k`, `to_v` and `to_out.0` of attn1 and attn2 only (what LayerDiffuse's `attn` variant
touches), and are added on the foreground rows of a batch; the base weights are never edited.

They are published in several forms, which all become the same `Deltas`:

| form | a key |
|---|---|
| Forge | `diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight::lora::0` (up; 1 is down) |
| kohya | `lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.lora_up.weight` (and `lora_down`) |
| PEFT | `down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight` (up; `lora_A` is down) |
| dense | `down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight`, the whole offset |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.transparency.key_names import diffusers_name, ldm_name

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")
ATTN_FILE = "layer_xl_transparent_attn.safetensors (Hugging Face: LayerDiffusion/layerdiffusion-v1)"
"""The published file that is wanted here, for messages."""

_TARGET = re.compile(r"(?P<module>.+\.transformer_blocks\.\d+\.attn[12])\.(?P<projection>to_q|to_k|to_v|to_out\.0)")


@dataclass(frozen=True)
class LowRank:
    """ΔW = up @ down.

    Attributes:
        down: (rank, inputs).
        up: (outputs, rank).
    """

    down: Tensor
    up: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs): what is added to the base projection of `x`."""
        return (x @ self.down.T) @ self.up.T

    def to(self, device: torch.device, dtype: torch.dtype) -> LowRank:
        """On another device, in another type."""
        return LowRank(self.down.to(device, dtype), self.up.to(device, dtype))

    @property
    def shape(self) -> tuple[int, int]:
        """Of ΔW: (outputs, inputs)."""
        return self.up.shape[0], self.down.shape[1]


@dataclass(frozen=True)
class Dense:
    """ΔW itself.

    Attributes:
        weight: (outputs, inputs).
    """

    weight: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs): what is added to the base projection of `x`."""
        return x @ self.weight.T

    def to(self, device: torch.device, dtype: torch.dtype) -> Dense:
        """On another device, in another type."""
        return Dense(self.weight.to(device, dtype))

    @property
    def shape(self) -> tuple[int, int]:
        """Of ΔW: (outputs, inputs)."""
        return self.weight.shape[0], self.weight.shape[1]


Delta = LowRank | Dense

Deltas = dict[str, dict[str, Delta]]
"""attention module name -> projection name ("to_q", "to_k", "to_v", "to_out.0") -> delta."""


class Part(NamedTuple):
    """What one key of a file is: a part of one projection's delta."""

    target: str
    half: str  # "up", "down", "alpha" or "dense"


def deltas_from_state(state: dict[str, Tensor], unet: torch.nn.Module, file: str) -> Deltas:
    """Read deltas in any of the published forms, checked against the UNet.

    Raises:
        BrokenModel: a key that is no attention projection of this UNet, a missing half, or a shape that does not fit.
    """
    sizes = {
        name.removesuffix(".weight"): tuple(value.shape)
        for name, value in unet.named_parameters()
        if _TARGET.fullmatch(name.removesuffix(".weight"))
    }
    halves = parts_by_target(state, sizes, file)
    deltas: Deltas = {}
    for target, parts in halves.items():
        delta = _delta(target, {half: state[key] for half, key in parts.items()}, file)
        if delta.shape != sizes[target]:
            raise BrokenModel(
                f"{file}: “{target}” has shape {delta.shape}, the model needs {sizes[target]}.",
                "Use the deltas made for it.",
            )
        match = _TARGET.fullmatch(target)
        assert match is not None
        deltas.setdefault(match["module"], {})[match["projection"]] = delta
    return deltas


def parts_by_target(keys: Iterable[str], targets: Mapping[str, object], file: str) -> dict[str, dict[str, str]]:
    """Sort a file's keys: projection name -> half -> key.

    Args:
        targets: the projections there are, by diffusers' names.

    Raises:
        BrokenModel: see `deltas_from_state`.
    """
    read = _reader(targets)
    found: dict[str, dict[str, str]] = {}
    for key in keys:
        part = read(key)
        if part is None:
            raise BrokenModel(
                f"{file} changes “{key}”, which is not an attention projection.",
                f"Foreground deltas may touch to_q, to_k, to_v and to_out of attn1 and attn2 only: use {ATTN_FILE}.",
            )
        if part.target not in targets:
            raise BrokenModel(
                f"{file} is for another model: this one has no “{part.target}”.", "Use the deltas made for it."
            )
        found.setdefault(part.target, {})[part.half] = key
    if not found:
        raise BrokenModel(f"{file} holds no deltas.", f"Use {ATTN_FILE}.")
    return found


def _reader(targets: Iterable[str]) -> Callable[[str], Part | None]:
    """A function that tells what a key is; kohya's names have lost their dots, so they are looked up."""
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
            if target != name and _TARGET.fullmatch(target):
                return Part(target, half)
        return None

    return read


def _forge_part(key: str) -> Part | None:
    """`<LDM key>::lora::<0 up, 1 down>`."""
    path, kind, index = (*key.split("::"), "", "")[:3]
    name = path.removeprefix("model.").removeprefix("diffusion_model.").removesuffix(".weight")
    target = diffusers_name(name)
    if kind != "lora" or index not in ("0", "1") or target is None or not _TARGET.fullmatch(target):
        return None
    return Part(target, "up" if index == "0" else "down")


def _delta(target: str, parts: dict[str, Tensor], file: str) -> Delta:
    if set(parts) == {"dense"} and parts["dense"].ndim == 2:
        return Dense(parts["dense"])
    if {"up", "down"} <= set(parts) <= {"up", "down", "alpha"}:
        up, down = parts["up"], parts["down"]
        if up.ndim == down.ndim == 2 and up.shape[1] == down.shape[0]:
            scale = float(parts["alpha"]) / down.shape[0] if "alpha" in parts else 1.0
            return LowRank(down=down, up=up if scale == 1.0 else up * scale)
    shapes = ", ".join(f"{half} {tuple(value.shape)}" for half, value in parts.items())
    raise BrokenModel(f"{file} holds only a part of “{target}”, or a damaged one ({shapes}).", "Fetch the file again.")
