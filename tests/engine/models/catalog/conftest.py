"""A folder of another program, and a place for the user's models."""

import shutil

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from layerfusion.engine.models.catalog.registry import FOLDER_VARIABLE
from layerfusion.engine.models.catalog.sdxl_shapes import shapes
from layerfusion.engine.transparency.key_names import ldm_name
from layerfusion.server.cli import environment
from sparse_files import write_sparse

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")


@pytest.fixture
def manifests(tmp_path, monkeypatch):
    """The folder of the user's models, empty, and no network."""
    folder = tmp_path / "manifests"
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    for name in environment.ENVIRONMENT:
        monkeypatch.setenv(name, "1" if name == "HF_HUB_OFFLINE" else "")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


@pytest.fixture(scope="session")
def program(tmp_path_factory, shrunken):
    """A ComfyUI folder with a shrunken SDXL and LayerDiffuse's files under their published names, in float16."""
    root = tmp_path_factory.mktemp("ComfyUI")
    for inside in ("checkpoints", "vae", "loras", "layer_model"):
        (root / "models" / inside).mkdir(parents=True)
    shutil.copy(shrunken.file, root / "models" / "checkpoints" / "My Model XL.safetensors")
    (root / "models" / "checkpoints" / "old.ckpt").write_bytes(b"PK\x03\x04" + bytes(64))
    torch.manual_seed(0)
    deltas = {}
    for name, value in shrunken.unet.state_dict().items():
        target = name.removesuffix(".weight")
        if ".attn" in name and target.endswith(PROJECTIONS):
            rows, columns = value.shape
            key = f"diffusion_model.{ldm_name(target)}.weight::lora::"
            deltas |= {f"{key}0": torch.randn(rows, 4) / 20, f"{key}1": torch.randn(4, columns) / 20}
    folder = root / "models" / "layer_model"
    for part in ("encoder", "decoder"):  # the values do not matter; a hundred million random ones take long
        write_sparse(folder / f"vae_transparent_{part}.safetensors", shapes(f"transparent_{part}"))  # type: ignore[arg-type]
    save_file(
        {key: value.half().contiguous() for key, value in deltas.items()},
        folder / "layer_xl_transparent_attn.safetensors",
    )
    return root
