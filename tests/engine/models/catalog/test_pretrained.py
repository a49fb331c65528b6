"""A model by name, path or repository, as `LayerFusion.from_pretrained` takes it. Looks at names and heads only."""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from layerfusion.engine.errors import BrokenModel, InvalidRequest, UnknownModel
from layerfusion.engine.models.catalog.pretrained import find_pretrained
from layerfusion.engine.models.catalog.registry import EMBEDDED, FOLDER_VARIABLE, find_model
from layerfusion.engine.models.catalog.weight_source import HubWeights, LocalWeights

PARTS = ("layer_xl_transparent_attn", "vae_transparent_encoder", "vae_transparent_decoder")


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """An empty cache of Hugging Face's, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def folder(shrunken, sdxl_is_shrunken, tmp_path):
    """A model in diffusers layout."""
    shutil.copytree(shrunken.folder, tmp_path / "folder")
    (tmp_path / "folder" / "model_index.json").write_text(INDEX)
    for name in ("tokenizer", "tokenizer_2"):
        (tmp_path / "folder" / name).mkdir()
        (tmp_path / "folder" / name / "tokenizer.json").write_text("{}")
    return tmp_path / "folder"


def cached(hub, repository, *files):
    """A repository that was fetched; where its files lie."""
    folder = hub / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("1234")
    for file in files:
        path = folder / "snapshots" / "1234" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(INDEX if file.endswith("index.json") else "weights")
    return folder / "snapshots" / "1234"


def cache_layerdiffuse(hub):
    cached(hub, "LayerDiffusion/layerdiffusion-v1", *(f"{part}.safetensors" for part in PARTS))


INDEX = '{"_class_name": "StableDiffusionXLPipeline"}'
MODEL = (
    "model_index.json",
    *(f"{part}/model.safetensors" for part in ("unet", "vae", "text_encoder", "text_encoder_2")),
)


def test_a_name_is_a_registered_model_even_beside_a_folder_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    assert find_pretrained("tiny") == find_model("tiny")
    with pytest.raises(BrokenModel, match=r"neither model_index\.json nor model\.json"):
        find_pretrained("./tiny")
    with pytest.raises(UnknownModel, match="There is no model “nothing”"):
        find_pretrained("nothing")


def test_a_manifest_or_its_folder():
    for path in (EMBEDDED, EMBEDDED.parent, str(EMBEDDED)):
        assert find_pretrained(path) == find_model("tiny")
    with pytest.raises(BrokenModel, match="There is no file"):
        find_pretrained(EMBEDDED.with_name("other.json"))


def test_a_manifest_whose_files_are_elsewhere_names_them(tmp_path):
    shutil.copy(EMBEDDED, tmp_path)
    with pytest.raises(BrokenModel, match=r"Missing: checkpoint .*weights; ") as refused:
        find_pretrained(tmp_path)
    assert "model.json" in refused.value.hint


def test_a_folder_in_diffusers_layout_and_a_single_file(hub, shrunken, folder):
    for path in (folder, shrunken.file):
        with pytest.raises(BrokenModel, match="foreground deltas hf:LayerDiffusion") as refused:
            find_pretrained(path)
        assert f"layerfusion models add {path.stem} {path}" in refused.value.hint
    cache_layerdiffuse(hub)
    for path in (folder, shrunken.file):
        spec = find_pretrained(path)
        assert spec.checkpoint == LocalWeights(path)
        assert spec.title == path.name


def test_a_relative_path_is_relative_to_the_current_folder(hub, shrunken, folder, monkeypatch):
    cache_layerdiffuse(hub)
    monkeypatch.chdir(shrunken.file.parent)
    assert find_pretrained(shrunken.file.name) == find_pretrained(shrunken.file)
    monkeypatch.chdir(folder.parent.parent)
    assert find_pretrained(f"{folder.parent.name}/folder") == find_pretrained(folder)


def test_files_that_are_no_checkpoint_are_named(tmp_path):
    for name in ("old.ckpt", "other.safetensors"):
        (tmp_path / name).write_bytes(b"PK\x03\x04" + bytes(64))
        with pytest.raises(BrokenModel, match=name):
            find_pretrained(tmp_path / name)
    for missing in (tmp_path / "none", "none.ckpt", "./none", "a/b/c", "~/none/at/all"):
        with pytest.raises(BrokenModel, match="There is no file"):
            find_pretrained(missing)


def test_a_repository_is_read_from_the_cache_only(hub):
    for address in ("owner/name", "hf:owner/name"):
        with pytest.raises(BrokenModel, match="checkpoint hf:owner/name@main") as refused:
            find_pretrained(address)
        assert "layerfusion models pull owner/name" in refused.value.hint
    cached(hub, "owner/name", *MODEL)
    with pytest.raises(BrokenModel, match="foreground deltas"):
        find_pretrained("owner/name")
    cache_layerdiffuse(hub)
    spec = find_pretrained("owner/name")
    assert spec.checkpoint == HubWeights("owner/name")
    assert (spec.name, spec.title) == ("name", "owner/name")
    with pytest.raises(BrokenModel, match="hf:owner/name@v2"):
        find_pretrained("hf:owner/name@v2")
    with pytest.raises(InvalidRequest, match="no address"):
        find_pretrained("hf:nonsense")


def test_a_folder_that_exists_comes_before_a_repository(hub, folder, monkeypatch):
    cache_layerdiffuse(hub)
    monkeypatch.chdir(folder.parent.parent)
    assert find_pretrained(f"{folder.parent.name}/folder").checkpoint == LocalWeights(folder)


def test_registered_models_are_found_by_name(hub, shrunken, tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    card = {"base": "sdxl", "name": "mine", "checkpoint": str(shrunken.file)}
    (tmp_path / "mine.json").write_text(json.dumps(card), "utf-8")
    with pytest.raises(BrokenModel, match="layerfusion models pull mine"):
        find_pretrained("mine")
    cache_layerdiffuse(hub)
    assert find_pretrained("mine").checkpoint == LocalWeights(shrunken.file)


def test_a_model_of_another_type_is_refused():
    for wrong, named in ((None, "None"), (b"tiny", "type bytes"), (5, "type int"), (["tiny"], "type list")):
        with pytest.raises(InvalidRequest, match=f"The model is .*{named}"):
            find_pretrained(wrong)  # pyright: ignore[reportArgumentType]
    assert isinstance(find_pretrained(Path(EMBEDDED)).name, str)
