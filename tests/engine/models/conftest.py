"""SDXL at its full shape without weights, and a small model with weights, saved in every usual form."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from layerfusion.engine.models.catalog.model_files import CONFIGS
from layerfusion.engine.transparency.key_names import ldm_name

SHRUNKEN = {
    "unet": {
        "block_out_channels": [32, 64, 64],
        "attention_head_dim": [1, 2, 2],
        "transformer_layers_per_block": [1, 1, 2],
        "cross_attention_dim": 64,
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + 32,
        "norm_num_groups": 8,
    },
    "vae": {"block_out_channels": [8, 8, 16, 16], "norm_num_groups": 4},
    "text_encoder": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "projection_dim": 32,
    },
    "text_encoder_2": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "projection_dim": 32,
    },
}


@dataclass(frozen=True)
class Shrunken:
    """A small model with SDXL's topology.

    Attributes:
        configs: its configurations, in diffusers layout.
        folder: the model in diffusers layout.
        file: the same model as a single file with LDM names, float16.
    """

    configs: Path
    folder: Path
    file: Path
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    encoders: tuple[CLIPTextModel, CLIPTextModelWithProjection]


@pytest.fixture(scope="session")
def full_unet() -> UNet2DConditionModel:
    """SDXL's UNet on the meta device."""
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(json.loads((CONFIGS / "unet" / "config.json").read_text()))  # pyright: ignore[reportReturnType]


@pytest.fixture(scope="session")
def shrunken(tmp_path_factory) -> Shrunken:
    root = tmp_path_factory.mktemp("sdxl")
    configs, folder, file = root / "configs", root / "folder", root / "checkpoint.safetensors"
    shutil.copytree(CONFIGS, configs)
    for part, changes in SHRUNKEN.items():
        path = configs / part / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config(json.loads((configs / "unet" / "config.json").read_text()))
    vae = AutoencoderKL.from_config(json.loads((configs / "vae" / "config.json").read_text()))
    encoders = (
        CLIPTextModel(CLIPTextConfig.from_pretrained(configs / "text_encoder")),
        CLIPTextModelWithProjection(CLIPTextConfig.from_pretrained(configs / "text_encoder_2")),
    )
    shutil.copytree(configs, folder)
    for name, part in {
        "unet": unet,
        "vae": vae,
        "text_encoder": encoders[0],
        "text_encoder_2": encoders[1],
    }.items():
        part.half().save_pretrained(folder / name)
        part.float().eval().requires_grad_(False)
    save_file(single_file_state(unet, vae, encoders), file, metadata={"modelspec.architecture": "stable-diffusion-xl"})
    return Shrunken(configs, folder, file, unet, vae, encoders)


def single_file_state(unet, vae, encoders):
    """The four networks with LDM names, as in the files for ComfyUI and A1111."""
    state = {f"model.diffusion_model.{ldm_name(key)}": value for key, value in unet.state_dict().items()}
    state |= {f"first_stage_model.{vae_ldm_name(key)}": value for key, value in vae.state_dict().items()}
    for key, value in encoders[0].state_dict().items():
        name = key if key.startswith("text_model.") else f"text_model.{key}"
        state[f"conditioner.embedders.0.transformer.{name}"] = value
    state |= open_clip_state(encoders[1].state_dict(), "conditioner.embedders.1.model.")
    state = {key: vae_shape(key, value) for key, value in state.items()}
    return {key: value.half().contiguous() for key, value in state.items()}


VAE_NAMES = [
    ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
    ("mid_block.attentions.0.to_q", "mid.attn_1.q"),
    ("mid_block.attentions.0.to_k", "mid.attn_1.k"),
    ("mid_block.attentions.0.to_v", "mid.attn_1.v"),
    ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
    ("mid_block.resnets.0", "mid.block_1"),
    ("mid_block.resnets.1", "mid.block_2"),
    ("conv_shortcut", "nin_shortcut"),
    ("conv_norm_out", "norm_out"),
    ("downsamplers.0", "downsample"),
    ("upsamplers.0", "upsample"),
    ("resnets", "block"),
]


def vae_ldm_name(key):
    side, *rest = key.split(".")
    if rest[0] in ("down_blocks", "up_blocks"):
        level = int(rest[1]) if side == "encoder" else 3 - int(rest[1])
        key = ".".join([side, rest[0].removesuffix("_blocks"), str(level), *rest[2:]])
    for ours, theirs in VAE_NAMES:
        key = key.replace(ours, theirs)
    return key


def vae_shape(key, value):
    """The attention of the original VAE is stored as 1x1 convolutions."""
    attention = "first_stage_model" in key and "attn_1" in key and "norm" not in key and key.endswith("weight")
    return value[:, :, None, None] if attention else value


OPEN_CLIP = [
    ("text_model.encoder.layers.", "transformer.resblocks."),
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
    ("self_attn.out_proj", "attn.out_proj"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
    ("text_model.final_layer_norm", "ln_final"),
]


def open_clip_state(state, prefix):
    found = {}
    for key, value in state.items():
        name = key
        for ours, theirs in OPEN_CLIP:
            name = name.replace(ours, theirs)
        if name == "text_projection.weight":
            found[f"{prefix}text_projection"] = value.T
        elif ".self_attn.q_proj." in name:
            parts = [state[key.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            stem, kind = name.split(".self_attn.q_proj.")
            found[f"{prefix}{stem}.attn.in_proj_{kind}"] = torch.cat(parts)
        elif ".self_attn.k_proj." not in name and ".self_attn.v_proj." not in name:
            found[prefix + name] = value
    return found
