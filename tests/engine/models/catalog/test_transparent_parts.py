"""LayerDiffuse's transparent networks for Stable Diffusion 1.5 have the names and shapes of those for SDXL."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from commands import run
from layerfusion.engine.models.catalog import library, published, sdxl_shapes
from layerfusion.engine.models.catalog.published import Published, digest_of
from layerfusion.engine.models.catalog.registry import manifest_path
from layerfusion.engine.models.catalog.scan import inspect_path, scan

pytestmark = pytest.mark.usefixtures("manifests", "sdxl_is_shrunken")


DECODER = {"conv_in.weight": (2, 3, 1, 1), "latent_conv_in.weight": (2, 4, 1, 1)}
"""What a small decoder has, by which it is recognised."""


@pytest.fixture
def folder(tmp_path, monkeypatch, shrunken_table):
    """ComfyUI's folder with the networks for both base models; the wrong one comes first by name."""
    table = json.loads(shrunken_table.read_text()) | {"transparent_decoder": DECODER}
    (tmp_path / "shapes.json").write_text(json.dumps(table))
    monkeypatch.setattr(sdxl_shapes, "SHAPES", tmp_path / "shapes.json")
    state = {name: torch.zeros(shape) for name, shape in DECODER.items()}
    (tmp_path / "models").mkdir()
    save_file(state, tmp_path / "models" / "vae_transparent_decoder.safetensors")
    state["conv_in.weight"] += 1
    save_file(state, tmp_path / "models" / "layer_sd15_vae_transparent_decoder.safetensors")
    return tmp_path


def published_as(monkeypatch, **bases):
    """Let files count as published, as if their SHA-256 stood in the table."""
    digests = {
        digest_of(path)[:12]: Published(path.name, "LayerDiffusion/layerdiffusion-v1", base)
        for base, path in ((base.replace("_", " "), path) for base, path in bases.items())
    }
    monkeypatch.setattr(published, "DIGESTS", digests)


def test_the_published_file_is_chosen(folder, monkeypatch):
    wrong, right = sorted((folder / "models").iterdir())
    published_as(monkeypatch, SDXL=right, **{"Stable_Diffusion_1.5": wrong})
    assert library.find_parts(scan(folder)) == {"decoder": str(right.resolve())}
    assert inspect_path(wrong).identity.what == "LayerDiffuse's transparent decoder for Stable Diffusion 1.5"
    assert inspect_path(right).identity.what == "LayerDiffuse's transparent decoder for SDXL, the published file"


def test_a_renamed_file_for_stable_diffusion_15_is_refused(capsys, folder, monkeypatch, shrunken):
    wrong, right = sorted((folder / "models").iterdir())
    published_as(monkeypatch, **{"Stable_Diffusion_1.5": wrong})
    wrong = wrong.replace(right)
    code, _, err = run(capsys, "models", "add", "m", shrunken.file, "--decoder", wrong)
    assert code == 1
    assert "for Stable Diffusion 1.5" in err
    assert "vae_transparent_decoder.safetensors from LayerDiffusion/layerdiffusion-v1" in err


def test_a_file_that_is_not_published_is_taken_if_it_is_the_only_one(folder):
    wrong, right = sorted((folder / "models").iterdir())
    assert library.find_parts(scan(folder)) == {"decoder": str(right.resolve())}
    assert "Its name says that it is not" in inspect_path(wrong).identity.warning
    right.unlink()
    assert library.find_parts(scan(folder)) == {}


def test_several_unknown_files_are_not_chosen_from(capsys, folder, shrunken):
    wrong, right = sorted((folder / "models").iterdir())
    other = wrong.rename(folder / "models" / "a.safetensors")
    code, _, err = run(capsys, "models", "add", "m", shrunken.file, "--models-dir", folder)
    assert code == 1
    assert "Several different files could be the transparent decoder" in err
    assert "--decoder" in err
    code, _, err = run(capsys, "models", "add", "m", shrunken.file, "--models-dir", folder, "--decoder", other)
    assert code == 0, err
    assert find_model_values("m")["transparency"]["decoder"] == str(other)
    shutil.copy(right, other)
    assert library.find_parts(scan(folder)) == {"decoder": str(other.resolve())}, "copies are one file"


def find_model_values(name):
    return json.loads(manifest_path(name).read_text())
