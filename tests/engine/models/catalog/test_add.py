"""Adding a model of the user's."""

import json

import pytest
import torch
from safetensors.torch import save_file

from commands import run
from layerfusion.engine.models.catalog.readiness import missing
from layerfusion.engine.models.catalog.registry import available_models, find_model

pytestmark = pytest.mark.usefixtures("manifests", "sdxl_is_shrunken")


def test_missing_parts_are_listed_with_size_and_command(capsys, shrunken):
    code, out, _ = run(capsys, "models", "add", "mine", shrunken.file, "--title", "Mine")
    assert code == 0
    assert "hf:LayerDiffusion/layerdiffusion-v1@main/layer_xl_transparent_attn.safetensors, 743 MB" in out
    assert "layerfusion models pull mine" in out
    code, out, _ = run(capsys, "models", "show", "mine")
    assert code == 0
    assert "foreground deltas: MISSING" in out
    code, _, err = run(capsys, "generate", "a", "--background", "b", "--model", "mine", "--out", "x.psd")
    assert code == 1
    assert "not complete" in err
    assert [spec.name for spec in available_models()] == ["tiny"]
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    assert "missing transparent decoder" in out
    assert "208 MB" in out


def test_few_step_models_draw_in_few_steps_without_guidance(capsys, shrunken, program, manifests):
    lora = program / "models" / "loras" / "lightning.safetensors"
    name = "lora_unet_mid_block_attentions_0_proj_in"
    save_file({f"{name}.lora_up.weight": torch.zeros(64, 2), f"{name}.lora_down.weight": torch.zeros(2, 64)}, lora)
    code, _, err = run(
        capsys,
        *("models", "add", "fast", shrunken.file, "--lora", f"{lora}=0.8", "--few-steps", "lightning"),
        *("--models-dir", program),
    )
    assert code == 0, err
    spec = find_model("fast")
    assert (spec.defaults.steps, spec.defaults.guidance_scale, spec.defaults.sampler) == (8, 1.0, "euler")
    assert spec.loras[0].weight == 0.8
    from layerfusion.engine.models.runtime.loading import load_model

    manifest = manifests / "fast.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"configs": str(shrunken.configs)}))
    bundle = load_model(find_model("fast"))
    assert bundle.scheduler_config["timestep_spacing"] == "trailing"
    assert bundle.spec.transparency.offset_factor == 300.0


def test_a_few_step_lora_can_be_for_the_preset_fast_alone(capsys, shrunken, program, manifests):
    lora = program / "models" / "loras" / "hyper.safetensors"
    name = "lora_unet_mid_block_attentions_0_proj_in"
    save_file({f"{name}.lora_up.weight": torch.zeros(64, 2), f"{name}.lora_down.weight": torch.zeros(2, 64)}, lora)
    given = ("models", "add", "both", shrunken.file, "--models-dir", program, "--fast-lora")
    code, _, err = run(capsys, *given, f"{lora}=turbo")
    assert code == 2 and "does not say of which kind" in err
    code, _, err = run(capsys, *given, f"{shrunken.file}=hyper")
    assert code == 1 and "given as the few-step adapter" in err
    code, _, err = run(capsys, *given, f"{lora}=hyper")
    assert code == 0, err
    spec = find_model("both")
    usual = spec.defaults.fusion
    assert spec.loras == () and spec.defaults_with(usual) == spec.defaults
    fast = spec.defaults_with(usual.preset("fast"))
    assert (fast.steps, fast.guidance_scale, fast.sampler) == (8, 1.0, "ddim")
    code, out, _ = run(capsys, "models", "show", "both")
    assert f"few-step adapter: {lora}" in out and "preset fast: 8 steps, guidance 1, sampler DDIM" in out
    lora.unlink()
    assert [part.role for part in missing(spec)][:1] == ["few-step adapter"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tiny", "x"], "“tiny” cannot be the name"),
        (["Big Name", "x"], "cannot be the name"),
        (["m", "nowhere.safetensors"], "no file"),
        (["m", "{deltas}"], "given as the checkpoint, but it is LayerDiffuse's"),
        (["m", "{file}", "--decoder", "{deltas}"], "given as the transparent decoder"),
        (["m", "{file}", "--lora", "{file}"], "given as the LoRA"),
        (["m", "{file}", "--lora", "{deltas}=much"], "no weight of a LoRA"),
        (["m", "hf:nonsense"], "no address"),
        (["m", "{file}", "--steps", "0"], "--steps: “0”"),
        (["m", "{file}", "--sampler", "Restart"], "DPM++ 2M Karras"),
        (["m", "{file}", "--lora", "{deltas}=9"], "is 9.0; it must be -4 to 4"),
    ],
)
def test_invalid_additions_are_refused_and_nothing_is_written(capsys, shrunken, program, manifests, arguments, words):
    deltas = program / "models" / "layer_model" / "layer_xl_transparent_attn.safetensors"
    code, _, err = run(capsys, "models", "add", *(a.format(file=shrunken.file, deltas=deltas) for a in arguments))
    assert code in (1, 2)
    assert words in err
    assert not list(manifests.glob("*.json"))
