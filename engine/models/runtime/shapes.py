"""A model with shapes but without weights, from which `engine.profiling` counts the cost of a job."""

from __future__ import annotations

from typing import Any, cast

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from layerfusion.engine.models.catalog.model_files import CONFIGS, read_json
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.runtime.loading import ModelBundle, assemble
from layerfusion.engine.transparency.deltas import Deltas, LowRank
from layerfusion.engine.transparency.layerdiffuse import LayerDiffuseDecoder, LayerDiffuseEncoder

_RANK = 256
"""Rank of the published foreground deltas."""


def shapes_of(spec: ModelSpec, dtype: torch.dtype = torch.float16) -> ModelBundle:
    """Build SDXL's and LayerDiffuse's networks on PyTorch's meta device, where tensors have shapes but no values.

    Args:
        spec: the model, of which only conventions and defaults are used; its files need not exist.
        dtype: dtype of all networks except the VAE, which has bfloat16 if this is float16.
    """
    kinds = (CLIPTextModel, CLIPTextModelWithProjection)
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(read_json(CONFIGS / "unet" / "config.json"))
        vae: Any = AutoencoderKL.from_config(read_json(CONFIGS / "vae" / "config.json"))
        for network in (unet, vae):
            nn.Module.to(network, torch.bfloat16 if network is vae and dtype is torch.float16 else dtype)
        first, second = (
            kind(CLIPTextConfig.from_pretrained(str(CONFIGS / folder), local_files_only=True)).to(dtype)  # type: ignore[arg-type]
            for kind, folder in zip(kinds, ("text_encoder", "text_encoder_2"), strict=True)
        )
        encoder, decoder = LayerDiffuseEncoder().to(dtype), LayerDiffuseDecoder().to(dtype)
        deltas: Deltas = {}
        for module in (name.removesuffix(".processor") for name in unet.attn_processors):
            for projection in ("to_q", "to_k", "to_v", "to_out.0"):
                outputs, inputs = unet.get_parameter(f"{module}.{projection}.weight").shape
                down, up = torch.empty((_RANK, inputs), dtype=dtype), torch.empty((outputs, _RANK), dtype=dtype)
                deltas.setdefault(module, {})[projection] = LowRank(down=down, up=up)
    return assemble(
        spec=spec,
        unet=unet.eval(),
        vae=vae.eval(),
        tokenizers=cast(Any, ()),
        text_encoders=(first.eval(), second.eval()),
        scheduler_config=read_json(CONFIGS / "scheduler" / "scheduler_config.json"),
        zeros_for_empty_prompt=True,
        deltas=deltas,
        encoder=encoder.eval(),
        decoder=decoder.eval(),
        device=torch.device("meta"),
        dtype=dtype,
    )
