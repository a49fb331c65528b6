"""What `layerfusion models check` says."""

import json
import shutil
import subprocess
import sys

import pytest

from commands import run
from layerfusion.engine.models.catalog.sdxl_shapes import shapes
from sdxl_files import checkpoint_shapes, write_folder
from sparse_files import write_sparse

pytestmark = pytest.mark.usefixtures("manifests")


def test_checking_a_valid_file_identifies_it_and_exits_with_0(capsys, program):
    file = program / "models" / "layer_model" / "vae_transparent_decoder.safetensors"
    code, out, _ = run(capsys, "models", "check", file)
    assert code == 0
    assert "LayerDiffuse's transparent decoder, 208.3 MB, float16" in out
    assert "fits: it can be used as the transparent decoder" in out


def test_a_model_of_another_size_is_not_sdxl(capsys, shrunken):
    code, out, err = run(capsys, "models", "check", shrunken.file)
    assert code == 1
    assert "SDXL checkpoint" in out
    assert "lacks" in out
    assert "1 of 1 cannot be used" in err


def test_a_pickle_is_refused_with_reason_and_remedy(capsys, program):
    code, out, _ = run(capsys, "models", "check", program / "models" / "checkpoints" / "old.ckpt")
    assert code == 1
    assert "never opens one" in out
    assert ".safetensors version" in out


def test_a_folder_in_diffusers_layout(capsys, tmp_path):
    code, out, _ = run(capsys, "models", "check", write_folder(tmp_path / "model"))
    assert code == 0
    assert "SDXL model, a folder in diffusers layout" in out
    assert "fits: it can be used as the checkpoint" in out


def test_a_folder_without_an_index_is_no_model(capsys, tmp_path):
    code, out, _ = run(capsys, "models", "check", tmp_path)
    assert code == 1
    assert "a folder without model_index.json" in out


def test_a_checkpoint_without_a_vae_needs_one_to_be_added(capsys, tmp_path):
    """It can be used, and so `check` accepts it, but not by itself."""
    lacking = {name: shape for name, shape in checkpoint_shapes().items() if "first_stage" not in name}
    file = write_sparse(tmp_path / "a.safetensors", lacking)
    code, out, _ = run(capsys, "models", "check", file)
    assert code == 0 and "Add one with --vae FILE" in out
    code, _, err = run(capsys, "models", "add", "m", file)
    assert code == 1 and "The VAE is not in it. Add one with --vae FILE." in err
    vae = write_sparse(tmp_path / "vae.safetensors", shapes("vae"))
    assert run(capsys, "models", "add", "m", file, "--vae", vae)[0] == 0
    code, _, err = run(capsys, "models", "add", "m", file, "--vae", vae)
    assert code == 2 and "--overwrite" in err
    assert run(capsys, "models", "add", "m", file, "--vae", vae, "--overwrite")[0] == 0


def test_a_folder_of_another_size_is_not_sdxl(capsys, shrunken, tmp_path):
    shutil.copytree(shrunken.folder, tmp_path / "folder")
    (tmp_path / "folder" / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    code, out, _ = run(capsys, "models", "check", tmp_path / "folder")
    assert code == 1
    for network in ("UNet", "VAE", "first text encoder", "second text encoder"):
        assert f"The {network} (" in out


CHECK = """
import sys
from pathlib import Path
from layerfusion.server.cli.main import main
code = main(["models", "check", sys.argv[1]])
status = Path("/proc/self/status")  # of Linux
peak = int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024 if status.exists() else 0
print([code, peak, sorted({"torch", "diffusers", "transformers"} & set(sys.modules))])
"""


@pytest.mark.parametrize("kind", ["file", "folder", "LoRA"])
def test_checking_seven_gigabytes_reads_headers_only(tmp_path, kind):
    if kind == "file":
        path = write_sparse(tmp_path / "a.safetensors", checkpoint_shapes(), "F16")
    elif kind == "LoRA":
        name = "lora_unet_middle_block_1_proj_in"
        path = tmp_path / "a.safetensors"
        write_sparse(path, {f"{name}.lora_up.weight": (1280, 2), f"{name}.lora_down.weight": (2, 1280)})
    else:
        path = write_folder(tmp_path / "model", shards=3)
    done = subprocess.run([sys.executable, "-c", CHECK, str(path)], capture_output=True, text=True, check=True)
    code, peak, loaded = json.loads(done.stdout.splitlines()[-1].replace("'", '"'))
    assert code == 0, done.stdout
    assert peak < 300, "MB"
    assert loaded == []
