"""The few-step adapter: it learns where several guided steps end, and is a LoRA file like the published ones."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.models.runtime.networks import add_network
from layerfusion.engine.training import deltas, distill, precision
from layerfusion.engine.training.distill import Adapter, DistillStage, Transparent, few_steps
from layerfusion.engine.training.latents import KINDS, Latents
from layerfusion.engine.training.outer_level import moved_inwards, with_outer_level
from layerfusion.engine.training.prediction import encode_text, predict
from layerfusion.engine.training.wordpieces import token_ids


@pytest.fixture
def unet(bundle):
    return copy.deepcopy(bundle.unet).requires_grad_(False)


@pytest.fixture
def words(bundle):
    with torch.inference_mode():
        return encode_text(bundle.text_encoders, token_ids(bundle.tokenizers[0], ["a dog"]))


def stir(adapter):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for part in adapter.parts.values():
            part.lora_up.weight.copy_(0.02 * torch.randn(part.lora_up.weight.shape, generator=generator))


@torch.inference_mode()
def test_a_fresh_adapter_changes_nothing_and_can_be_switched_off(unet, words):
    latents, timesteps = torch.randn(1, 4, 16, 16), torch.tensor([500])
    plain = predict(unet, latents, timesteps, *words, side=128)
    adapter = Adapter(unet)
    # A layer with a hook is called, where the engine's short pass computes it within its block: the same but rounding.
    torch.testing.assert_close(predict(unet, latents, timesteps, *words, side=128), plain, atol=2e-5, rtol=1e-4)
    hooked = predict(unet, latents, timesteps, *words, side=128)
    stir(adapter)
    assert not torch.allclose(predict(unet, latents, timesteps, *words, side=128), plain, atol=1e-3)
    with adapter.off():
        assert torch.equal(predict(unet, latents, timesteps, *words, side=128), hooked)


@torch.inference_mode()
def test_the_engine_reads_what_is_written_as_any_other_lora(tmp_path, unet, bundle, words):
    adapter = Adapter(unet)
    stir(adapter)
    adapter.write(tmp_path / "lora.safetensors")
    keys = load_file(str(tmp_path / "lora.safetensors"))
    assert "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight" in keys
    assert "lora_unet_mid_block_resnets_0_conv1.alpha" in keys
    assert len(keys) == 3 * len(adapter.parts)
    merged = {"unet": copy.deepcopy(bundle.unet)}
    add_network(tmp_path / "lora.safetensors", 1.0, merged)
    latents, timesteps = torch.randn(1, 4, 16, 16), torch.tensor([300])
    expected = predict(unet, latents, timesteps, *words, side=128)
    torch.testing.assert_close(
        predict(merged["unet"], latents, timesteps, *words, side=128), expected, rtol=2e-2, atol=5e-3
    )


def encoded(count=60):
    shapes = {"wide": (16, 32), "tall": (32, 16)}
    latents = {kind: torch.randn(count, 4, *shapes.get(kind.split("_")[0], (16, 16))) for kind in KINDS}
    return Latents(latents, {kind: ["a dog"] * count for kind in KINDS}, {}, {}, {})


def test_an_adapter_goes_on_from_a_file_and_not_from_another_unets(tmp_path, unet, bundle):
    own = Adapter(unet)
    for part in own.parts.values():
        torch.nn.init.normal_(part.lora_up.weight)
    own.write(tmp_path / "lora.safetensors")
    known = load_file(tmp_path / "lora.safetensors")
    again = Adapter(unet)
    again.read(known)
    assert all(torch.equal(value.half(), known[key]) for key, value in again.state().items())
    with pytest.raises(InvalidRequest, match="another UNet"):
        again.read(dict(list(known.items())[:-3]))


def test_it_begins_with_the_adapter_of_the_unet_it_was_grown_from(bundle):
    known = Adapter(copy.deepcopy(bundle.unet))
    for part in known.parts.values():
        torch.nn.init.normal_(part.lora_up.weight)
    widths = list(bundle.unet.config["block_out_channels"])
    own = Adapter(with_outer_level(bundle.unet, {"block_out_channels": [widths[0], *widths]}))
    own.grow(known.state())
    for key, part in known.parts.items():
        assert torch.equal(
            own.parts[moved_inwards(key.replace("/", ".")).replace(".", "/")].lora_up.weight, part.lora_up.weight
        )
    for block in ("down_blocks/0", f"up_blocks/{len(widths)}"):
        assert not own.parts.get_parameter(f"{block}/resnets/0/conv1.lora_up.weight").any()


def test_it_learns_on_pictures_and_under_the_deltas(unet, bundle, monkeypatch):
    monkeypatch.setattr(distill, "BATCH", 8)
    own, latents = deltas.fresh_deltas(unet), encoded()
    foregrounds = Transparent(own, latents.latents["foreground"], latents.captions["foreground"])
    encoders = tuple(copy.deepcopy(encoder) for encoder in bundle.text_encoders)
    stage = DistillStage(unet, encoders, bundle.tokenizers[0], latents, bundle.vae, side=128, transparent=foregrounds)
    rng, generator, seen = np.random.default_rng(0), torch.Generator().manual_seed(0), set()
    for _ in range(3):
        loss, figures, count = stage.loss(rng, generator)
        loss.backward()
        seen |= set(figures)
        assert torch.isfinite(loss) and abs(count - distill.BATCH) <= 2
    assert seen == {"pictures", "foregrounds"}
    assert all(part.lora_up.weight.grad is not None for part in stage.adapter.parts.values())
    assert not any(parameter.requires_grad for parameter in unet.parameters())


@torch.inference_mode()
def test_the_wanted_step_ends_where_the_teachers_steps_end(unet, bundle, words):
    stage = DistillStage(unet, bundle.text_encoders, bundle.tokenizers[0], encoded(), bundle.vae, side=128)
    assert len(stage._times) == distill.STEPS * distill.SUBSTEPS + 1
    assert (stage._times[0], stage._times[-1]) == (999, -1)
    start, end = torch.randn(2, 4, 16, 16), torch.randn(2, 4, 16, 16)
    later, earlier = stage._times[[0, -1 - distill.SUBSTEPS]], stage._times[[distill.SUBSTEPS, -1]]
    v = stage._v_between(start, end, later, earlier)
    (a, b), (c, d) = stage._levels(later), stage._levels(earlier)
    clean, noise = a * start - b * v, a * v + b * start
    torch.testing.assert_close(c * clean + d * noise, end, rtol=1e-4, atol=1e-4)
    assert torch.equal(stage._levels(torch.tensor([-1]))[1], torch.zeros(1, 1, 1, 1))


@torch.inference_mode()
def test_the_teachers_step_without_guidance_is_ddims(unet, bundle, words, monkeypatch):
    from diffusers import DDIMScheduler

    from layerfusion.engine.training.prediction import NOISE_SCHEDULE

    monkeypatch.setattr(distill, "GUIDANCE", 1.0)
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: False)
    stage = DistillStage(unet, bundle.text_encoders, bundle.tokenizers[0], encoded(), bundle.vae, side=128)
    scheduler = DDIMScheduler(**NOISE_SCHEDULE, clip_sample=False)
    scheduler.set_timesteps(50)
    noised, later = torch.randn(1, 4, 16, 16), torch.tensor([599])
    found = stage._guided_step(noised, later, torch.tensor([579]), words, words)
    v = predict(unet, noised, later, *words, side=128)
    expected = scheduler.step(v, 599, noised, return_dict=False)[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_few_steps_draw_a_picture(unet, words):
    drawn = few_steps(unet, *words, side=128)
    grid = unet.config["sample_size"]
    assert drawn.shape == (1, 4, grid, grid) and torch.isfinite(drawn).all()
    assert torch.equal(drawn, few_steps(unet, *words, side=128))
