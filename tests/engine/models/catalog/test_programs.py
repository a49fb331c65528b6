"""The folders of other programs, and the places that their settings name."""

import json
import sqlite3
from contextlib import closing

import pytest

from commands import run
from layerfusion.engine.models.catalog.programs import places, usual_folders
from layerfusion.engine.models.catalog.scan import scan
from sparse_files import write_sparse

pytestmark = pytest.mark.usefixtures("manifests")


def model(file):
    """A small file that is recognised."""
    return write_sparse(file, {"clip_l": (1, 768), "clip_g": (1, 1280)})


LAYOUTS = {
    "ComfyUI": ("models/checkpoints/a.safetensors", "models/diffusion_models/b.safetensors", "models/loras/x/c.sft"),
    "ComfyUI, portable": ("ComfyUI/models/checkpoints/a.safetensors", "ComfyUI/models/embeddings/b.safetensors"),
    "A1111 and Forge": (
        "models/Stable-diffusion/a.safetensors",
        "models/Lora/b.safetensors",
        "embeddings/c.safetensors",
    ),
    "krita-ai-diffusion's server": ("models/checkpoints/a.safetensors", "ComfyUI/models/loras/b.safetensors"),
    "StabilityMatrix": ("Data/Models/StableDiffusion/a.safetensors", "Data/Models/Lora/b.safetensors"),
    "SwarmUI": ("Models/Stable-Diffusion/a.safetensors", "Models/Embeddings/b.safetensors"),
    "Fooocus": ("models/checkpoints/a.safetensors", "models/vae/b.safetensors"),
    "Pinokio": (
        "api/comfy.git/app/models/checkpoints/a.safetensors",
        "api/forge.git/app/models/Stable-diffusion/b.safetensors",
        "drive/drives/peers/d17/checkpoints/c.safetensors",
    ),
    "InvokeAI": ("models/0f9c/a.safetensors", "models/sdxl/main/b.safetensors"),
    "any folder": ("a.safetensors", "mine/b.safetensors"),
}


@pytest.mark.parametrize("program", LAYOUTS)
def test_the_models_of_a_program_are_found(tmp_path, program):
    for file in LAYOUTS[program]:
        model(tmp_path / file)
    if program == "InvokeAI":
        (tmp_path / "databases").mkdir()
    found = [item.path.relative_to(tmp_path).as_posix() for item in scan(tmp_path)]
    assert sorted(found) == sorted(LAYOUTS[program])


def test_folders_of_networks_are_told_apart(tmp_path):
    for file in LAYOUTS["A1111 and Forge"]:
        model(tmp_path / file)
    found = {path.relative_to(tmp_path).as_posix() for path in places(tmp_path).networks}
    assert found == {"models/Lora", "embeddings"}


def comfyui(program, elsewhere):
    (program / "extra_model_paths.yaml").write_text(
        f"mine:\n  base_path: {elsewhere}\n  checkpoints: a\n  loras: |\n    b\n    c\nempty:\n"
        "beside:\n  vae: ../beside/vae\n"
    )
    return ["a", "b", "c"], ["b", "c"]


def fooocus(program, elsewhere):
    values = {"path_checkpoints": [str(elsewhere / "a")], "path_loras": str(elsewhere / "b"), "default_cfg": 4}
    (program / "config.txt").write_text(json.dumps(values))
    return ["a", "b"], ["b"]


def swarmui(program, elsewhere):
    (program / "Data").mkdir(parents=True)
    (program / "Data" / "Settings.fds").write_text(f"Paths:\n\tModelRoot: Models;{elsewhere / 'a'}\n\tDataPath: Data\n")
    return ["a"], []


def stability_matrix(program, elsewhere):
    (program / "library.json").write_text(json.dumps({"LibraryPath": str(elsewhere)}))
    return ["Models"], []


def invokeai(program, elsewhere):
    (program / "databases").mkdir()
    with closing(sqlite3.connect(program / "databases" / "invokeai.db")) as database, database:
        database.execute("CREATE TABLE models (id TEXT, config TEXT)")
        for path in (str(elsewhere / "a" / "a.safetensors"), "inside/i.safetensors", None):
            config = json.dumps({"path": path, "type": "main", "base": "sdxl"})
            database.execute("INSERT INTO models VALUES (?, ?)", (str(path), config))
    model(program / "models" / "inside" / "i.safetensors")
    return ["a"], []


@pytest.mark.parametrize("settings", [comfyui, fooocus, swarmui, stability_matrix, invokeai])
def test_models_elsewhere_are_found_by_a_programs_settings(tmp_path, settings):
    program, elsewhere = tmp_path / "program", tmp_path / "else where"
    program.mkdir()
    folders, networks = settings(program, elsewhere)
    for folder in folders:
        model(elsewhere / folder / f"{folder}.safetensors")
    found = places(program)
    assert found.unread == ()
    assert {path.name for path in found.networks} == set(networks)
    names = sorted(item.path.stem for item in scan(program))
    assert names == sorted([*folders, "i"] if settings is invokeai else folders)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("extra_model_paths.yaml", "a: [\n"),
        ("extra_model_paths.yaml", "- a\n"),
        ("config.txt", "{"),
        ("config.txt", "[]"),
        ("library.json", "[]"),
        ("databases/invokeai.db", "no database at all, though long enough to be taken for one" * 40),
        ("extra_model_paths.yaml", "a: " + "b" * 2**20),
    ],
)
def test_damaged_settings_hide_no_model(capsys, tmp_path, file, text):
    model(tmp_path / "models" / "checkpoints" / "a.safetensors")
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    code, out, _ = run(capsys, "models", "scan", tmp_path)
    assert code == 0
    assert "cannot be read" in out
    assert "a textual inversion for SDXL" in out


def test_links_to_folders_are_followed_once(tmp_path):
    model(tmp_path / "store" / "a.safetensors")
    (tmp_path / "program" / "models" / "checkpoints").mkdir(parents=True)
    for name in ("one", "two"):
        (tmp_path / "program" / "models" / "checkpoints" / name).symlink_to(tmp_path / "store")
    (tmp_path / "store" / "back").symlink_to(tmp_path / "program")
    assert [item.path.name for item in scan(tmp_path / "program")] == ["a.safetensors"]


def test_the_usual_folders_are_those_with_models(tmp_path, monkeypatch):
    monkeypatch.setenv("APPDATA", str(tmp_path / "AppData" / "Roaming"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "AppData" / "Local"))
    model(tmp_path / "Documents" / "ComfyUI" / "models" / "checkpoints" / "a.safetensors")
    model(tmp_path / "StabilityMatrix" / "Data" / "Models" / "StableDiffusion" / "b.safetensors")
    (tmp_path / "SwarmUI").mkdir()
    found = {path.relative_to(tmp_path).as_posix() for path in usual_folders(tmp_path)}
    assert {"Documents/ComfyUI", "StabilityMatrix"} <= found
    assert "SwarmUI" not in found
