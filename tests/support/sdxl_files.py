"""SDXL's networks as single files have them, and the table of all names and shapes that the package carries.

python tests/support/sdxl_files.py      writes engine/models/sdxl/shapes.json anew from diffusers' configurations
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from layerfusion.engine.models.catalog.model_files import CONFIGS
from layerfusion.engine.models.catalog.model_folders import NETWORKS
from layerfusion.engine.models.catalog.sdxl_shapes import SHAPES, shapes, single_file
from layerfusion.engine.transparency.key_names import ldm_name
from layerfusion.engine.transparency.layerdiffuse import LayerDiffuseDecoder, LayerDiffuseEncoder
from sparse_files import write_sparse


def table(configs: Path = CONFIGS) -> dict[str, dict[str, list[int]]]:
    """Every network's tensor names and shapes: in diffusers layout by its folder, and together as a single file."""
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(json.loads((configs / "unet" / "config.json").read_text()))
        vae = AutoencoderKL.from_config(json.loads((configs / "vae" / "config.json").read_text()))
        encoders = (
            CLIPTextModel(CLIPTextConfig.from_pretrained(configs / "text_encoder")),
            CLIPTextModelWithProjection(CLIPTextConfig.from_pretrained(configs / "text_encoder_2")),
        )
        networks = {
            "unet": unet,
            "vae": vae,
            "text_encoder": encoders[0],
            "text_encoder_2": encoders[1],
            "transparent_encoder": LayerDiffuseEncoder(),
            "transparent_decoder": LayerDiffuseDecoder(),
        }
    states = {name: network.state_dict() for name, network in networks.items()}
    states["single_file"] = single_file_state(unet, vae, encoders)
    return {
        name: {key.removeprefix("text_model."): list(value.shape) for key, value in state.items()}
        for name, state in states.items()
    }


def checkpoint_shapes() -> dict[str, tuple[int, ...]]:
    """The names and shapes of a whole SDXL checkpoint as it is published, with two tensors that nothing reads."""
    tokens = "conditioner.embedders.0.transformer.text_model.embeddings.position_ids"
    return single_file("") | {tokens: (1, 77), "conditioner.embedders.1.model.logit_scale": ()}


def write_folder(folder: Path, dtype: str = "F16", variant: str = "", shards: int = 1) -> Path:
    """Write a full-size SDXL in diffusers layout that takes no room.

    Args:
        variant: of the weights' names, such as ".fp16".
        shards: the files among which the UNet is divided.
    """
    shutil.copytree(CONFIGS, folder)
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    for name, stem in NETWORKS.items():
        tensors = {f"text_model.{k}" if "text" in name and k[:4] != "text" else k: v for k, v in shapes(name).items()}
        if name != "unet" or shards == 1:
            write_sparse(folder / name / f"{stem}{variant}.safetensors", tensors, dtype)
            continue
        names, places = list(tensors), {}
        for number in range(shards):
            file = f"{stem}{variant}-{number + 1:05}-of-{shards:05}.safetensors"
            part = names[number * len(names) // shards : (number + 1) * len(names) // shards]
            write_sparse(folder / name / file, {key: tensors[key] for key in part}, dtype)
            places |= dict.fromkeys(part, file)
        (folder / name / f"{stem}.safetensors.index{variant}.json").write_text(json.dumps({"weight_map": places}))
    for name in ("tokenizer", "tokenizer_2"):
        (folder / name).mkdir()
        for file in ("vocab.json", "merges.txt"):
            (folder / name / file).write_text("{}")
    return folder


def text(tensors: dict[str, dict[str, list[int]]]) -> str:
    """The table as JSON, a line for each tensor."""
    networks = (
        f'"{name}": {{\n' + ",\n".join(f'"{key}": {json.dumps(shape)}' for key, shape in network.items()) + "\n}"
        for name, network in tensors.items()
    )
    return "{\n" + ",\n".join(networks) + "\n}\n"


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


if __name__ == "__main__":
    SHAPES.write_text(text(table()), encoding="utf-8", newline="\n")
