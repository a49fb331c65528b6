"""The same model from a folder and from a single file."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.model_files import CONFIGS
from layerfusion.engine.models.runtime.checkpoints import open_checkpoint, read_vae
from layerfusion.engine.models.runtime.state_dict import read_state


@pytest.fixture(params=["folder", "file"])
def checkpoint(request, shrunken):
    return open_checkpoint(getattr(shrunken, request.param), shrunken.configs)


def same(module, original):
    """The weights are equal up to the half precision in which they were saved."""
    found, expected = module.state_dict(), original.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value.half().float(), msg=name)


def test_every_network_is_read_with_equal_weights(checkpoint, shrunken):
    same(checkpoint.unet(torch.float32), shrunken.unet)
    same(checkpoint.vae(torch.float32), shrunken.vae)
    for module, original in zip(checkpoint.text_encoders(torch.float32), shrunken.encoders, strict=True):
        same(module, original)


@torch.inference_mode()
def test_the_text_encoders_have_all_their_buffers(checkpoint, shrunken):
    tokens = torch.tensor([[49406, 320, 2368, 49407, 49407, 49407]])
    for module, original in zip(checkpoint.text_encoders(torch.float32), shrunken.encoders, strict=True):
        torch.testing.assert_close(module(tokens)[0], original(tokens)[0], atol=2e-3, rtol=2e-3)


def test_a_single_files_tokenizers_are_clips(shrunken):
    first, second = open_checkpoint(shrunken.file, shrunken.configs).tokenizers()
    cat = [49406, 320, 1125, 539, 320, 2368, 49407]
    assert first("a photo of a cat").input_ids == second("a photo of a cat").input_ids == cat
    filled = [
        tokenizer("a cat", padding="max_length", max_length=77, truncation=True).input_ids
        for tokenizer in (first, second)
    ]
    assert [len(ids) for ids in filled] == [77, 77]
    assert (filled[0][-1], filled[1][-1]) == (49407, 0)
    assert first.model_max_length == second.model_max_length == 77


def test_a_single_files_schedule_is_sdxls(shrunken):
    config = open_checkpoint(shrunken.file, shrunken.configs).scheduler_config()
    assert (config["prediction_type"], config["beta_end"]) == ("epsilon", 0.012)


def test_a_single_file_can_declare_v_prediction(shrunken, tmp_path):
    state = load_file(shrunken.file) | {"v_pred": torch.tensor([]), "ztsnr": torch.tensor([])}
    save_file(state, tmp_path / "v.safetensors")
    config = open_checkpoint(tmp_path / "v.safetensors", shrunken.configs).scheduler_config()
    assert (config["prediction_type"], config["rescale_betas_zero_snr"]) == ("v_prediction", True)
    assert config["timestep_spacing"] == "trailing"


def test_the_full_configurations_are_sdxls():
    checkpoint = open_checkpoint(CONFIGS)
    assert checkpoint.scheduler_config()["beta_start"] == 0.00085
    assert checkpoint.zeros_for_empty_prompt()


@pytest.mark.parametrize("form", ["original", "inside a checkpoint", "diffusers", "folder", "old diffusers"])
def test_a_separate_vae_is_read_in_every_form(shrunken, tmp_path, form):
    file = tmp_path / "vae.safetensors"
    whole = {key: value for key, value in load_file(shrunken.file).items() if key.startswith("first_stage_model.")}
    own = load_file(shrunken.folder / "vae" / "diffusion_pytorch_model.safetensors")
    renamed = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = {
        next((key.replace(new, was) for new, was in renamed.items() if f".{new}." in key), key): value
        for key, value in own.items()
    }
    forms = {
        "original": {key.removeprefix("first_stage_model."): value for key, value in whole.items()},
        "inside a checkpoint": whole,
        "diffusers": own,
        "old diffusers": old,
    }
    path = shrunken.folder / "vae"
    if form in forms:
        save_file(forms[form], file)
        path = file
    same(read_vae(path, torch.float32, shrunken.configs), shrunken.vae)


def test_half_precision_files_are_used_if_there_are_no_others(shrunken, tmp_path):
    shutil.copytree(shrunken.folder / "unet", tmp_path / "unet")
    (tmp_path / "unet" / "diffusion_pytorch_model.safetensors").rename(
        tmp_path / "unet" / "diffusion_pytorch_model.fp16.safetensors"
    )
    same(open_checkpoint(tmp_path).unet(torch.float32), shrunken.unet)


def test_weights_in_several_files_are_combined(shrunken, tmp_path):
    folder = tmp_path / "unet"
    folder.mkdir()
    shutil.copy(shrunken.folder / "unet" / "config.json", folder)
    state = load_file(shrunken.folder / "unet" / "diffusion_pytorch_model.safetensors")
    names = sorted(state)
    for part, keys in {"a": names[:500], "b": names[500:]}.items():
        save_file({key: state[key] for key in keys}, folder / f"{part}.safetensors")
    index = {"weight_map": {key: "a.safetensors" if key in names[:500] else "b.safetensors" for key in names}}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    same(open_checkpoint(tmp_path).unet(torch.float32), shrunken.unet)


def test_a_folder_of_pickles_is_refused_with_the_reason(shrunken, tmp_path):
    (tmp_path / "unet").mkdir()
    shutil.copy(shrunken.folder / "unet" / "config.json", tmp_path / "unet")
    (tmp_path / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"PK\x03\x04")
    with pytest.raises(BrokenModel, match="pickle"):
        open_checkpoint(tmp_path).unet(torch.float32)


def test_a_file_that_is_no_checkpoint_is_refused(shrunken, tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    for read in ("unet", "vae", "text_encoders"):
        with pytest.raises(BrokenModel, match=r"x\.safetensors"):
            getattr(open_checkpoint(tmp_path / "x.safetensors", shrunken.configs), read)(torch.float32)


def test_a_checkpoint_of_another_size_names_the_first_difference(shrunken):
    with pytest.raises(
        BrokenModel, match=r"checkpoint\.safetensors does not fit: 4 of 248 tensors are missing .*decoder"
    ):
        open_checkpoint(shrunken.file).vae(torch.float32)


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.bfloat16])
def test_small_floats_are_read_and_checked(tmp_path, kind):
    good, bad = torch.ones(3), torch.tensor([1.0, float("nan")])
    for name, value in {"good": good, "bad": bad}.items():
        save_file({"a": value.to(kind)}, tmp_path / f"{name}.safetensors")
    assert read_state(tmp_path / "good.safetensors")["a"].float().tolist() == [1, 1, 1]
    with pytest.raises(BrokenModel, match="not finite in “a”"):
        read_state(tmp_path / "bad.safetensors")
