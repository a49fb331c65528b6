"""Foreground deltas: weight changes of the UNet's attention that make it draw transparent foregrounds.

They exist for `to_q`, `to_k`, `to_v` and `to_out.0` of attn1 and attn2 only (the projections that LayerDiffuse's `attn`
variant changes). They act on the foreground rows of a batch only; the base weights are never edited.

They are published in several forms, all of which are read as `Deltas`:

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
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.transparency.key_names import diffusers_name, ldm_name

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")
ATTN_FILE = "layer_xl_transparent_attn.safetensors (Hugging Face: LayerDiffusion/layerdiffusion-v1)"
"""The published file to use, for error messages."""

_TARGET = re.compile(r"(?P<module>.+\.transformer_blocks\.\d+\.attn[12])\.(?P<projection>to_q|to_k|to_v|to_out\.0)")


@dataclass(frozen=True)
class LowRank:
    """A delta in low-rank form: ΔW = up @ down.

    Attributes:
        down: (rank, inputs).
        up: (outputs, rank).
    """

    down: Tensor
    up: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """x @ ΔWᵀ, (…, inputs) -> (…, outputs); to be added to the base projection of `x`."""
        return (x @ self.down.T) @ self.up.T

    def to(self, device: torch.device, dtype: torch.dtype) -> LowRank:
        """A copy on another device or in another dtype."""
        return LowRank(self.down.to(device, dtype), self.up.to(device, dtype))

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of ΔW: (outputs, inputs)."""
        return self.up.shape[0], self.down.shape[1]


@dataclass(frozen=True)
class Dense:
    """A delta in dense form: ΔW itself.

    Attributes:
        weight: (outputs, inputs).
    """

    weight: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """x @ ΔWᵀ, (…, inputs) -> (…, outputs); to be added to the base projection of `x`."""
        return x @ self.weight.T

    def to(self, device: torch.device, dtype: torch.dtype) -> Dense:
        """A copy on another device or in another dtype."""
        return Dense(self.weight.to(device, dtype))

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of ΔW: (outputs, inputs)."""
        return self.weight.shape[0], self.weight.shape[1]


Delta = LowRank | Dense

Deltas = dict[str, dict[str, Delta]]
"""attention module name -> projection name ("to_q", "to_k", "to_v", "to_out.0") -> delta."""


class Part(NamedTuple):
    """The meaning of one key of a file: it holds one part of one projection's delta."""

    target: str  # the projection's name in diffusers
    half: str  # "up", "down", "alpha" or "dense"


def deltas_from_state(state: dict[str, Tensor], unet: torch.nn.Module, file: str) -> Deltas:
    """Build deltas from a file's tensors in any of the published forms, and check them against the UNet.

    Args:
        state: the file's tensors.
        unet: the base model's UNet.
        file: the file's name, for error messages.

    Raises:
        BrokenModel: a key names no attention projection of this UNet, `up` or `down` is missing, or a shape does not
            fit.
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
                f"{file}: “{target}” has shape {delta.shape}, but the model needs {sizes[target]}.",
                "Use the deltas that were made for this model.",
            )
        match = _TARGET.fullmatch(target)
        assert match is not None
        deltas.setdefault(match["module"], {})[match["projection"]] = delta
    return deltas


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
            if target != name and _TARGET.fullmatch(target):
                return Part(target, half)
        return None

    return read


def _forge_part(key: str) -> Part | None:
    """Interpret `<LDM key>::lora::<index>`, where index 0 is `up` and 1 is `down`; None if the key has no such form."""
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
    raise BrokenModel(f"{file} has an incomplete or damaged delta for “{target}” ({shapes}).", "Fetch the file again.")
