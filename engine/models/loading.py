"""Weights from disk: every file checked, every tensor accounted for, nothing fetched, no pickle ever opened."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils import logging as transformers_logging

from engine.errors import BrokenModel
from engine.models.spec import ModelSpec
from engine.transparency.compact import CompactTransparentDecoder, CompactTransparentEncoder
from engine.transparency.deltas import Deltas, LowRank, deltas_from_state
from engine.transparency.layerdiffuse import LayerDiffuseDecoder, LayerDiffuseEncoder

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ModelBundle:
    """A model in memory.

    Attributes:
        spec: what it is.
        unet: the one UNet of all streams.
        vae: decodes background and blended, and gives the transparent decoder its colours.
        tokenizers, text_encoders: SDXL's two.
        scheduler_config: the training noise schedule, as diffusers writes it.
        zeros_for_empty_prompt: whether an empty negative prompt means all-zero embeddings.
        deltas: added on the foreground rows.
        encoder, decoder: RGBA <-> latents.
        device, dtype: where the UNet computes, and in what.
    """

    spec: ModelSpec
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    tokenizers: tuple[CLIPTokenizer, CLIPTokenizer]
    text_encoders: tuple[CLIPTextModel, CLIPTextModelWithProjection]
    scheduler_config: dict[str, Any]
    zeros_for_empty_prompt: bool
    deltas: Deltas
    encoder: CompactTransparentEncoder | LayerDiffuseEncoder
    decoder: CompactTransparentDecoder | LayerDiffuseDecoder
    device: torch.device
    dtype: torch.dtype

    @property
    def latent_factor(self) -> int:
        """Pixels per latent, a side."""
        return 2 ** (len(self.vae.config["block_out_channels"]) - 1)


def load_model(
    spec: ModelSpec, *, device: torch.device | None = None, dtype: torch.dtype = torch.float32
) -> ModelBundle:
    """Read a model's weights.

    Args:
        device: None takes the CPU.
        dtype: of all weights; the embedded model computes in float32.

    Raises:
        BrokenModel: a file is missing, truncated, not safetensors, or its tensors are not this architecture's.
    """
    device = device or torch.device("cpu")
    folder, place = spec.folder, {"device": device, "dtype": dtype}
    diffusers_file, transformers_file = "diffusion_pytorch_model.safetensors", "model.safetensors"
    unet = _component(UNet2DConditionModel, folder / "unet", diffusers_file, dtype).to(device)
    transparency = _state(folder / spec.transparency.weights, dtype)
    file = str(folder / spec.transparency.deltas)
    deltas = deltas_from_state(_state(folder / spec.transparency.deltas, dtype), unet, file)
    index = _json(folder / "model_index.json")
    return ModelBundle(
        spec=spec,
        unet=unet,
        vae=_component(AutoencoderKL, folder / "vae", diffusers_file, dtype).to(device),
        tokenizers=(_tokenizer(folder / "tokenizer"), _tokenizer(folder / "tokenizer_2")),
        text_encoders=(
            _component(CLIPTextModel, folder / "text_encoder", transformers_file, dtype).to(**place),
            _component(CLIPTextModelWithProjection, folder / "text_encoder_2", transformers_file, dtype).to(**place),
        ),
        scheduler_config=_json(folder / "scheduler" / "scheduler_config.json"),
        zeros_for_empty_prompt=bool(index.get("force_zeros_for_empty_prompt", True)),
        deltas={
            module: {name: LowRank(delta.down.to(device), delta.up.to(device)) for name, delta in parts.items()}
            for module, parts in deltas.items()
        },
        encoder=_part(CompactTransparentEncoder(), "encoder.", transparency, spec).to(**place),
        decoder=_part(CompactTransparentDecoder(), "decoder.", transparency, spec).to(**place),
        device=device,
        dtype=dtype,
    )


def _component(kind: Any, folder: Path, weights: str, dtype: torch.dtype) -> Any:
    """One diffusers or transformers model, all of its tensors found in the file and no other."""
    _state(folder / weights, None)
    transformers_logging.disable_progress_bar()  # a second's work, and the job has a bar of its own
    extra = {} if kind.__module__.startswith("transformers") else {"low_cpu_mem_usage": False, "dtype": dtype}
    model, found = _reading(
        folder,
        lambda: kind.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True, **extra
        ),
    )
    missing, unknown = list(found["missing_keys"]), list(found["unexpected_keys"])
    if missing or unknown or found.get("mismatched_keys"):
        raise BrokenModel(
            f"{folder / weights} does not fit its configuration: {len(missing)} tensors are missing and "
            f"{len(unknown)} unknown (first: {next(iter(missing + unknown), 'a shape')}).",
            "Fetch the model again.",
        )
    return model.eval().requires_grad_(False)


def _part(module: torch.nn.Module, prefix: str, state: dict[str, Tensor], spec: ModelSpec) -> Any:
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    try:
        module.load_state_dict(own, strict=True)
    except RuntimeError as error:
        raise BrokenModel(
            f"{spec.folder / spec.transparency.weights} is not a “{spec.transparency.kind}” transparent VAE "
            f"({str(error).splitlines()[-1].strip()}).",
            "Fetch the model again.",
        ) from error
    return module.eval().requires_grad_(False)


def _state(file: Path, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """All tensors of a safetensors file; with dtype None only its soundness is checked."""
    state = _reading(file, lambda: load_file(str(file)))
    for key, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise BrokenModel(f"{file} holds numbers that are not finite in “{key}”.", "Fetch the model again.")
    return {key: tensor.to(dtype) for key, tensor in state.items()} if dtype else {}


def _tokenizer(folder: Path) -> CLIPTokenizer:
    return _reading(folder, lambda: CLIPTokenizer.from_pretrained(str(folder), local_files_only=True))


def _json(file: Path) -> dict[str, Any]:
    return _reading(file, lambda: json.loads(file.read_text(encoding="utf-8")))


def _reading(path: Path, read: Callable[[], T]) -> T:
    """Whatever goes wrong inside a library while a model file is read becomes one sentence naming the file."""
    try:
        return read()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BrokenModel(f"The model file {path} cannot be read: {reason}", "Fetch the model again.") from error
