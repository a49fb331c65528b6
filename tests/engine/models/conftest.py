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

from layerfusion.engine.models.catalog import folder_compatibility, sdxl_shapes
from layerfusion.engine.models.catalog.model_files import CONFIGS
from sdxl_files import single_file_state, table, text

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


@pytest.fixture(scope="session")
def shrunken_table(shrunken) -> Path:
    """The table of names and shapes as it would be if SDXL were the shrunken model."""
    file = shrunken.configs.parent / "shapes.json"
    file.write_text(text(table(shrunken.configs)))
    return file


@pytest.fixture
def sdxl_is_shrunken(monkeypatch, shrunken, shrunken_table):
    """Lets the shrunken model count as SDXL, in its shapes and settings."""
    monkeypatch.setattr(sdxl_shapes, "SHAPES", shrunken_table)
    monkeypatch.setattr(folder_compatibility, "CONFIGS", shrunken.configs)
