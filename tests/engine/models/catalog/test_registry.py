import json
import shutil

import pytest
import torch

from commands import run
from layerfusion.engine.errors import BrokenModel, UnknownModel
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.manifest import read_manifest
from layerfusion.engine.models.catalog.registry import EMBEDDED, FOLDER_VARIABLE, available_models, find_model
from layerfusion.engine.models.catalog.samplers import SAMPLERS
from layerfusion.engine.models.runtime.loading import load_model


@pytest.fixture
def copied(tmp_path):
    """A copy of the embedded model, which a test may damage."""
    shutil.copytree(find_model("tiny").folder, tmp_path / "weights")
    shutil.copy(EMBEDDED, tmp_path)
    return read_manifest(tmp_path / EMBEDDED.name)


def test_the_embedded_model_is_the_default_and_describes_itself():
    first, *_ = available_models()
    assert first.name == "tiny"
    (large,), (own,) = first.notices(Size(512, 512)), first.notices(Size(first.native_size, first.native_size))
    drawn = f"{first.native_size}x{first.native_size} px"
    assert large.text == f"This demo model draws at {drawn}, and the picture is enlarged."
    assert own.text == f"This demo model draws at {drawn}."


def test_its_examples_are_in_its_vocabulary():
    spec = find_model("tiny")
    words = spec.vocabulary
    for foreground, background in spec.examples:
        assert foreground in words["objects"]
        assert background in words["other scenes"] or background.startswith(words["places"])


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UnknownModel, match=r"“sdxl”.*Known models: tiny"):
        find_model("sdxl")


def test_samplers_of_the_manifest_exist():
    assert set(find_model("tiny").samplers) <= set(SAMPLERS)


def test_the_blended_prompt_joins_its_parts():
    spec = find_model("tiny")
    assert spec.blended_prompt(["a red apple"], "a beach") == "a red apple on a beach"
    assert spec.blended_prompt(["a cat", "a dog", "a fox"], "a beach") == "a cat, a dog and a fox on a beach"


@pytest.mark.parametrize("text", ["", "no json", "{}", '{"name": "x", "defaults": {"fusion": {"nonsense": 1}}}'])
def test_an_unreadable_manifest_is_named(tmp_path, text):
    manifest = tmp_path / "model.json"
    manifest.write_text(text)
    with pytest.raises(BrokenModel, match=r"model\.json"):
        read_manifest(manifest)


FILES = [
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
    "text_encoder_2/model.safetensors",
    "transparent_vae.safetensors",
    "foreground_deltas.safetensors",
]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage", "pickle"])
def test_a_damaged_weights_file_is_named(copied, file, damage):
    path = copied.folder / file
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(
            {"truncated": content[: len(content) // 2], "garbage": b"\x00" * 64, "pickle": b"\x80\x04."}[damage]
        )
    with pytest.raises(BrokenModel) as caught:
        load_model(copied)
    assert str(path) in str(caught.value) or str(path.parent) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [("unet/config.json", "block_out_channels", [32, 64, 160]), ("unet/config.json", "layers_per_block", 2)],
)
def test_weights_that_do_not_fit_their_configuration_are_refused(copied, file, key, value):
    path = copied.folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(BrokenModel, match="unet"):
        load_model(copied)


def test_swapped_weights_are_refused(copied):
    shutil.copy(copied.folder / FILES[1], copied.folder / FILES[0])
    with pytest.raises(BrokenModel, match="unet"):
        load_model(copied)


def test_diffusers_sdxl_pipeline_loads_the_base_parts():
    from diffusers import StableDiffusionXLPipeline

    stock = StableDiffusionXLPipeline.from_pretrained(
        find_model("tiny").folder, dtype=torch.float32, add_watermarker=False, local_files_only=True
    )
    stock.set_progress_bar_config(disable=True)
    image = stock("a red apple", height=128, width=128, num_inference_steps=2, output_type="np").images[0]
    assert image.shape == (128, 128, 3)
    assert image.std() > 0.05


def test_a_manifest_that_cannot_be_read_is_reported_and_skipped(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / "bad.json").write_text("{")
    code, out, _ = run(capsys, "models", "list")
    assert code == 0
    assert "not read:" in out
    assert "bad.json" in out
    assert [spec.name for spec in available_models()] == ["tiny"]
