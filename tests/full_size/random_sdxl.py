"""A full-size SDXL with LayerDiffuse's networks and random weights, made in memory: everything but the talent."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from layerfusion.engine.models.catalog.manifest import read_manifest
from layerfusion.engine.models.catalog.model_files import CONFIGS
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.runtime.loading import ModelBundle, assemble
from layerfusion.engine.models.runtime.tokenizers import sdxl_tokenizers
from layerfusion.engine.transparency.deltas import Deltas, LowRank
from layerfusion.engine.transparency.layerdiffuse import LayerDiffuseDecoder, LayerDiffuseEncoder

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")


def random_sdxl(
    folder: Path, *, native_size: int, rank: int, device: torch.device, dtype: torch.dtype, storage: torch.dtype
) -> ModelBundle:
    """All of SDXL's and LayerDiffuse's networks with random weights, the same every time.

    Args:
        folder: an empty one, for the model's card.
        native_size: the side at which it shall draw; SDXL's own is 1024.
        rank: of the foreground deltas; the published ones have 256.
        dtype: what everything computes in.
        storage: what the UNet's weights are kept in; each layer's are brought to `dtype` while it runs.
    """
    generator = torch.Generator().manual_seed(1)
    unet = filled(_on_meta(UNet2DConditionModel, "unet"), generator, storage)
    if storage != dtype:
        compute_in(unet, dtype)
    return assemble(
        spec=_spec(folder, native_size),
        unet=unet,
        vae=filled(_on_meta(AutoencoderKL, "vae"), generator, dtype),
        tokenizers=sdxl_tokenizers(),
        text_encoders=(
            PassingEncoder(CLIPTextModel, CONFIGS / "text_encoder", dtype),
            PassingEncoder(CLIPTextModelWithProjection, CONFIGS / "text_encoder_2", dtype),
        ),
        scheduler_config=json.loads((CONFIGS / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8")),
        zeros_for_empty_prompt=True,
        deltas=random_deltas(unet, rank, generator, dtype),
        encoder=filled(_on_meta(LayerDiffuseEncoder), generator, dtype),
        decoder=filled(_on_meta(LayerDiffuseDecoder), generator, dtype),
        device=device,
        dtype=dtype,
    )


def filled(module: Any, generator: torch.Generator, dtype: torch.dtype) -> Any:
    """Give a network on the meta device random weights that keep activations near unit variance."""
    module.to_empty(device="cpu")
    for part in module.modules():
        own = dict(part.named_parameters(recurse=False))
        for name, parameter in own.items():
            if parameter.ndim == 1:
                value = torch.full(parameter.shape, float(name == "weight"), dtype=dtype)
            else:
                deviation = 1 / math.sqrt(parameter[0].numel())
                value = torch.empty(parameter.shape).normal_(0, deviation, generator=generator).to(dtype)
            setattr(part, name, nn.Parameter(value, requires_grad=False))
    return module.eval()


def random_deltas(unet: UNet2DConditionModel, rank: int, generator: torch.Generator, dtype: torch.dtype) -> Deltas:
    """Low-rank changes of a tenth of the weights' size on every attention projection."""
    deltas: Deltas = {}
    for module in (name.removesuffix(".processor") for name in unet.attn_processors):
        for projection in PROJECTIONS:
            outputs, inputs = unet.get_parameter(f"{module}.{projection}.weight").shape
            down = torch.empty(rank, inputs).normal_(0, 1 / math.sqrt(inputs), generator=generator)
            up = torch.empty(outputs, rank).normal_(0, 0.1 / math.sqrt(rank), generator=generator)
            deltas.setdefault(module, {})[projection] = LowRank(down.to(dtype), up.to(dtype))
    return deltas


def compute_in(module: nn.Module, dtype: torch.dtype, change: Callable[[str], Tensor | None] = lambda _: None) -> None:
    """Bring each layer's weights to `dtype` while it runs, and back to what they are kept in afterwards.

    Args:
        change: a layer's name -> what is added to its weight while it runs.
    """

    def before(layer: nn.Module, name: str) -> None:
        kept = {key: value.data for key, value in layer.named_parameters(recurse=False)}
        layer.kept = kept  # type: ignore[assignment]
        added = change(name)
        for key, parameter in layer.named_parameters(recurse=False):
            parameter.data = kept[key].to(dtype)
            if key == "weight" and added is not None:
                parameter.data = parameter.data + added

    def after(layer: nn.Module) -> None:
        kept: dict[str, Tensor] = layer.kept  # type: ignore[assignment]
        for key, parameter in layer.named_parameters(recurse=False):
            parameter.data = kept[key]

    for name, layer in module.named_modules():
        if next(layer.parameters(recurse=False), None) is not None:
            layer._forward_pre_hooks.clear()
            layer._forward_hooks.clear()
            layer.register_forward_pre_hook(lambda layer, _, name=name: before(layer, name))
            layer.register_forward_hook(lambda layer, *_: after(layer))


class PassingEncoder(nn.Module):
    """A text encoder that is there while it reads and gone afterwards; the same weights every time."""

    def __init__(self, kind: Any, config: Path, dtype: torch.dtype) -> None:
        super().__init__()
        self._kind, self._config, self._dtype = kind, config, dtype

    def forward(self, tokens: Tensor, output_hidden_states: bool) -> Any:
        torch.manual_seed(2)
        config = CLIPTextConfig.from_pretrained(str(self._config), local_files_only=True)
        encoder = self._kind(config).eval().to(tokens.device, self._dtype)
        output = encoder(tokens, output_hidden_states=output_hidden_states)
        return Output(output[0], output.hidden_states)


class Output(SimpleNamespace):
    """The two things of a text encoder's output that are read."""

    def __init__(self, first: Tensor, hidden_states: Any) -> None:
        super().__init__(first=first, hidden_states=hidden_states)

    def __getitem__(self, index: int) -> Tensor:
        assert index == 0
        return self.first


def _on_meta(kind: Any, part: str | None = None) -> Any:
    with torch.device("meta"):
        if part is None:
            return kind()
        return kind.from_config(json.loads((CONFIGS / part / "config.json").read_text(encoding="utf-8")))


def _spec(folder: Path, native_size: int) -> ModelSpec:
    card = folder / "model.json"
    card.write_text(json.dumps({"base": "sdxl", "name": "random", "checkpoint": "nowhere"}), encoding="utf-8")
    return replace(read_manifest(card), native_size=native_size)
