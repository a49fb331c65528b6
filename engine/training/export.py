"""The trained parts as the product ships them: diffusers' SDXL layout, fp16 safetensors, and the card's JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPTokenizer

from layerfusion.engine.training.data.related import RELATED
from layerfusion.engine.training.data.vocabulary import FIRST, TIMES, Vocabulary, with_article
from layerfusion.engine.training.deltas import state_of
from layerfusion.engine.training.distill import FEW_STEPS, STEPS
from layerfusion.engine.training.prediction import NOISE_SCHEDULE

LARGEST = 30_000_000
"""Bytes the whole export may take."""


def export(
    folder: Path,
    *,
    unet: UNet2DConditionModel,
    encoders: tuple[nn.Module, nn.Module],
    tokenizer: CLIPTokenizer,
    vae: AutoencoderKL,
    transparency: tuple[nn.Module, nn.Module],
    deltas: nn.ModuleDict,
    schedule: Mapping[str, Any] = NOISE_SCHEDULE,
) -> int:
    """Write every part and return the bytes they take together."""
    pipeline = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=encoders[0],  # type: ignore[arg-type]
        text_encoder_2=encoders[1],  # type: ignore[arg-type]
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=cast(Any, EulerDiscreteScheduler.from_config(dict(schedule))),
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )
    pipeline.to(torch.float16).save_pretrained(str(folder))
    for name in ("tokenizer", "tokenizer_2"):
        tokenizer.save_pretrained(str(folder / name))
    _save(folder / "foreground_deltas.safetensors", state_of(deltas))
    _save(folder / "transparent_vae.safetensors", transparent_state(*transparency))
    for config in folder.rglob("config.json"):
        values = json.loads(config.read_text(encoding="utf-8"))
        values.pop("_name_or_path", None)
        config.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def transparent_state(encoder: nn.Module, decoder: nn.Module) -> dict[str, torch.Tensor]:
    """Both transparent networks in one file, as the engine reads them."""
    parts = {"encoder": encoder, "decoder": decoder}
    return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}


def write_card(
    card: Path, *, native_size: int, stride: int, vocabulary: Vocabulary = FIRST, few_steps: bool = False
) -> None:
    """Bring the card's sizes, its adapter for few steps and its list of what the model knows up to date.

    Args:
        native_size: side of the pictures it is trained on, in pixels.
        stride: what both sides of a picture must be a multiple of, in pixels.
        vocabulary: the edition's.
        few_steps: whether the model has an adapter for few steps, `FEW_STEPS` beside its weights.
    """
    values: dict[str, Any] = json.loads(card.read_text(encoding="utf-8"))
    times = [time for captions in TIMES.values() for time in captions]
    outdoor = {f"{place} {time}" for place in vocabulary.places for time in times}
    values |= {"native_size": native_size, "stride": stride, "edition": vocabulary.name}
    values["vocabulary"] = {
        "objects": [with_article(name) for name in vocabulary.names(held_out=True)],
        "places": list(vocabulary.places),
        "times (after a place)": times,
        "other scenes": [scene for scene in vocabulary.backgrounds if scene not in outdoor],
    }
    values["related"] = RELATED
    values.pop("few_step_adapter", None)
    if few_steps:
        adapter = {"file": f"weights/{FEW_STEPS}", "steps": STEPS, "guidance_scale": 1.0, "sampler": "euler"}
        values["few_step_adapter"] = adapter
    card.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _save(file: Path, state: dict[str, torch.Tensor]) -> None:
    save_file({key: value.half().contiguous() for key, value in state.items()}, str(file), metadata={"format": "pt"})
