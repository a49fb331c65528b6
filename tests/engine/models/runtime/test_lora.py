import pytest
import torch
from safetensors.torch import save_file

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.runtime.checkpoints import open_checkpoint
from layerfusion.engine.models.runtime.lora import add_lora
from layerfusion.engine.transparency.key_names import ldm_name

LINEAR = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
CONV = "down_blocks.0.resnets.0.conv1"
TEXT = "encoder.layers.0.mlp.fc1"


@pytest.fixture
def components(shrunken):
    checkpoint = open_checkpoint(shrunken.folder)
    first, second = checkpoint.text_encoders(torch.float32)
    return {"unet": checkpoint.unet(torch.float32), "text_encoder": first, "text_encoder_2": second}


def weight_of(components, component, name):
    return next(value for key, value in components[component].named_parameters() if key.endswith(f"{name}.weight"))


def lora(shape, generator, rank=4):
    """The LoRA matrices `up` and `down` for a weight of this shape."""
    up = torch.randn(shape[0], rank, *[1] * (len(shape) - 2), generator=generator)
    return up, torch.randn(rank, *shape[1:], generator=generator)


def kohya(name):
    return "lora_unet_" + name.replace(".", "_")


FORMS = {
    "kohya, original names": lambda up, down: {
        f"{kohya(ldm_name(LINEAR))}.lora_up.weight": up,
        f"{kohya(ldm_name(LINEAR))}.lora_down.weight": down,
    },
    "kohya, diffusers' names": lambda up, down: {
        f"{kohya(LINEAR)}.lora_up.weight": up,
        f"{kohya(LINEAR)}.lora_down.weight": down,
    },
    "diffusers": lambda up, down: {f"unet.{LINEAR}.lora.up.weight": up, f"unet.{LINEAR}.lora.down.weight": down},
    "PEFT": lambda up, down: {f"unet.{LINEAR}.lora_B.weight": up, f"unet.{LINEAR}.lora_A.weight": down},
    "PEFT, bare": lambda up, down: {
        f"base_model.model.{LINEAR}.lora_B.weight": up,
        f"base_model.model.{LINEAR}.lora_A.weight": down,
    },
    "old diffusers": lambda up, down: {
        f"unet.{LINEAR.removesuffix('.to_k')}.processor.to_k_lora.up.weight": up,
        f"unet.{LINEAR.removesuffix('.to_k')}.processor.to_k_lora.down.weight": down,
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_adds_the_same(components, tmp_path, form):
    before = weight_of(components, "unet", LINEAR).clone()
    up, down = lora(before.shape, torch.Generator().manual_seed(1))
    save_file(FORMS[form](up, down), tmp_path / "l.safetensors")
    add_lora(tmp_path / "l.safetensors", 0.5, components)
    torch.testing.assert_close(weight_of(components, "unet", LINEAR), before + 0.5 * up @ down)


def test_alpha_scales_and_convolutions_and_text_encoders_change_too(components, tmp_path):
    generator, state, expected = torch.Generator().manual_seed(2), {}, {}
    for prefix, component, name in (
        (kohya(ldm_name(CONV)), "unet", CONV),
        ("lora_te1_text_model_" + TEXT.replace(".", "_"), "text_encoder", TEXT),
        ("lora_te2_text_model_" + TEXT.replace(".", "_"), "text_encoder_2", TEXT),
    ):
        before = weight_of(components, component, name).clone()
        up, down = lora(before.shape, generator)
        state |= {
            f"{prefix}.lora_up.weight": up,
            f"{prefix}.lora_down.weight": down,
            f"{prefix}.alpha": torch.tensor(2.0),
        }
        expected[component, name] = before + (up.flatten(1) @ down.flatten(1)).reshape(before.shape) * 2 / 4
    save_file(state, tmp_path / "l.safetensors")
    add_lora(tmp_path / "l.safetensors", 1.0, components)
    for (component, name), value in expected.items():
        torch.testing.assert_close(weight_of(components, component, name), value)


def test_diffusers_names_of_the_text_encoders(components, tmp_path):
    before = weight_of(components, "text_encoder_2", TEXT).clone()
    up, down = lora(before.shape, torch.Generator().manual_seed(3))
    stem = f"text_encoder_2.text_model.{TEXT}.lora_linear_layer"
    save_file({f"{stem}.up.weight": up, f"{stem}.down.weight": down}, tmp_path / "l.safetensors")
    add_lora(tmp_path / "l.safetensors", -1.0, components)
    torch.testing.assert_close(weight_of(components, "text_encoder_2", TEXT), before - up @ down)


REFUSED = {
    "DoRA": ({f"{kohya(LINEAR)}.dora_scale": torch.ones(1)}, "DoRA"),
    "LoHa": ({f"{kohya(LINEAR)}.hada_w1_a": torch.ones(1, 1)}, "LoHa"),
    "another model": ({"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": torch.ones(1, 1)}, "Diffusion 1"),
    "unknown module": ({"lora_unet_nowhere.lora_up.weight": torch.ones(1, 1)}, "lora_unet_nowhere"),
    "half": ({f"{kohya(LINEAR)}.lora_up.weight": torch.ones(64, 4)}, r"it has up \(64, 4\), but .* shape \(64, 64\)"),
    "another shape": (
        {f"{kohya(LINEAR)}.lora_up.weight": torch.ones(5, 4), f"{kohya(LINEAR)}.lora_down.weight": torch.ones(4, 64)},
        "does not fit",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_loras_that_cannot_be_added_are_refused_with_a_message(components, tmp_path, case):
    state, complaint = REFUSED[case]
    save_file(state, tmp_path / "l.safetensors")
    with pytest.raises(BrokenModel, match=complaint) as caught:
        add_lora(tmp_path / "l.safetensors", 1.0, components)
    assert "l.safetensors" in str(caught.value)
