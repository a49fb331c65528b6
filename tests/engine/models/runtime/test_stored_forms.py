"""UNets that are stored apart from their checkpoint, and weights in eight bits with scales."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.manifest import inheriting_spec
from layerfusion.engine.models.catalog.model_files import UNET_PREFIX
from layerfusion.engine.models.catalog.sdxl_shapes import shapes
from layerfusion.engine.models.catalog.weight_source import LocalWeights
from layerfusion.engine.models.runtime.checkpoints import open_checkpoint, read_unet
from layerfusion.engine.models.runtime.loading import load_model
from sparse_files import write_sparse


def same(found, expected, tolerance=0.0):
    found, expected = found.state_dict(), expected.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name].float(), value.float(), atol=tolerance, rtol=tolerance)


@pytest.fixture
def state(shrunken):
    """The shrunken checkpoint's tensors."""
    return load_file(shrunken.file)


@pytest.mark.parametrize("prefix", [UNET_PREFIX, "diffusion_model.", ""])
def test_a_unet_alone_is_read_under_any_prefix(shrunken, state, tmp_path, prefix):
    alone = {
        prefix + key.removeprefix(UNET_PREFIX): value for key, value in state.items() if key.startswith(UNET_PREFIX)
    }
    save_file(alone | ({"v_pred": torch.zeros(1)} if prefix else {}), tmp_path / "unet.safetensors")
    same(read_unet(tmp_path / "unet.safetensors", torch.float16, shrunken.configs), shrunken.unet.half())
    shrunken.unet.float()


def test_a_unet_alone_is_read_in_diffusers_layout(shrunken):
    unet = shrunken.folder / "unet"
    for path in (shrunken.folder, unet, unet / "diffusion_pytorch_model.safetensors"):
        same(read_unet(path, torch.float32, shrunken.configs), shrunken.unet, 1e-3)


def in_eight_bits(state, scale_name, per_output):
    """The UNet's matrices as float8 with scales, and what they stand for."""
    stored, meant = {}, {}
    for key, value in state.items():
        stored[key] = value
        if key.startswith(UNET_PREFIX) and value.ndim == 2:
            dims = 1 if per_output else (0, 1)
            scale = value.float().abs().amax(dim=dims, keepdim=per_output).clamp_min(1e-6) / 448
            stored[key] = (value.float() / scale).to(torch.float8_e4m3fn)
            stored[key.removesuffix("weight") + scale_name] = scale
            meant[key] = stored[key].float() * scale
    return stored, meant


@pytest.mark.parametrize("per_output", [False, True], ids=["one scale", "one scale an output"])
@pytest.mark.parametrize("name", ["scale_weight", "weight_scale"])
def test_weights_in_eight_bits_are_multiplied_by_their_scales(shrunken, state, tmp_path, name, per_output):
    stored, meant = in_eight_bits(state, name, per_output)
    stored[f"{UNET_PREFIX}scaled_fp8"] = torch.zeros(0, dtype=torch.float8_e4m3fn)
    stored[f"{UNET_PREFIX}middle_block.1.proj_in.scale_input"] = torch.ones(())
    save_file(stored, tmp_path / "a.safetensors")
    save_file({key: meant.get(key, value.float()) for key, value in state.items()}, tmp_path / "b.safetensors")
    read, expected = (open_checkpoint(tmp_path / f"{n}.safetensors", shrunken.configs) for n in "ab")
    same(read.unet(torch.float32), expected.unet(torch.float32))
    plain = open_checkpoint(shrunken.file, shrunken.configs).unet(torch.float32)
    same(read.unet(torch.float32), plain, 0.1)


@pytest.fixture
def spec(shrunken, sdxl_is_shrunken, tmp_path):
    """A model whose checkpoint is the shrunken one, with LayerDiffuse's networks as files without weights."""
    transparency = {}
    for part in ("encoder", "decoder"):
        file = write_sparse(tmp_path / f"{part}.safetensors", shapes(f"transparent_{part}"))
        transparency[part] = str(file)
    attention = {
        name: tuple(value.shape)
        for name, value in shrunken.unet.state_dict().items()
        if ".attn" in name and name.endswith(("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight"))
    }
    transparency["deltas"] = str(write_sparse(tmp_path / "deltas.safetensors", attention))
    values = {"base": "sdxl", "name": "m", "checkpoint": str(shrunken.file), "transparency": transparency}
    return replace(inheriting_spec(values, tmp_path), configs=LocalWeights(shrunken.configs))


def test_a_model_with_another_unet_has_its_weights_and_its_schedule(spec, shrunken, state, tmp_path):
    other = {key.removeprefix(UNET_PREFIX): value + 1 for key, value in state.items() if key.startswith(UNET_PREFIX)}
    save_file(other | {"v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}, tmp_path / "unet.safetensors")
    bundle = load_model(replace(spec, unet=LocalWeights(tmp_path / "unet.safetensors")))
    assert bundle.scheduler_config["prediction_type"] == "v_prediction"
    assert bundle.scheduler_config["rescale_betas_zero_snr"] is True
    name = "mid_block.attentions.0.proj_in.bias"
    torch.testing.assert_close(
        bundle.unet.get_parameter(name), shrunken.unet.get_parameter(name) + 1, atol=2e-3, rtol=0
    )
    assert load_model(spec).scheduler_config["prediction_type"] == "epsilon"


def test_nothing_of_another_shape_is_loaded(spec, state, tmp_path, capfd):
    """Refused before anything is read, by the same words as `models check`, and without a word of the libraries."""
    broken = {key: value[:1] if key.endswith("ln_final.weight") else value for key, value in state.items()}
    save_file(broken, tmp_path / "broken.safetensors")
    file = LocalWeights(tmp_path / "broken.safetensors")
    with pytest.raises(BrokenModel, match="The second text encoder has 1 tensors with a wrong shape"):
        load_model(replace(spec, configs=None, checkpoint=file))
    with pytest.raises(BrokenModel, match="1 tensors are missing, unknown or of another shape"):
        load_model(replace(spec, checkpoint=file))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_tokenizers_with_more_words_than_the_text_encoders_are_refused(spec, monkeypatch):
    from layerfusion.engine.models.runtime import checkpoints

    first, second = checkpoints.sdxl_tokenizers()
    second.add_tokens(["<new>"])
    monkeypatch.setattr(checkpoints, "sdxl_tokenizers", lambda: (first, second))
    with pytest.raises(BrokenModel, match="has 49409 words"):
        load_model(spec)
