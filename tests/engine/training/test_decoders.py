"""The decoders go on with what the model draws: pictures as sharp as the data, alpha without veils and specks."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.models.catalog.spec import located
from layerfusion.engine.models.runtime.loading import load_model
from layerfusion.engine.training import alpha, drawn_again, sharpening
from layerfusion.engine.training.alpha import settled
from layerfusion.engine.training.drawn_again import DrawnAgain
from layerfusion.engine.training.latents import encode_all, load_latents
from layerfusion.engine.training.prediction import encode_text, sample
from layerfusion.engine.training.wordpieces import token_ids


@pytest.fixture
def own():
    """A model to change: what draws again gets adapter and deltas for good."""
    return load_model(find_model("tiny"))


@pytest.fixture
def adapter():
    spec = find_model("tiny")
    return load_file(str(located(spec.few_step_adapter.lora.file, spec.name)))


def drawing(model, adapter, side=128):
    words = (model.text_encoders, model.tokenizers[0], model.scheduler_config)
    return DrawnAgain(model.unet, *words, side, adapter=adapter)


def test_what_is_drawn_again_from_a_little_noise_is_what_it_was(own, adapter, monkeypatch):
    monkeypatch.setattr(drawn_again, "LATEST", {"few": 0.25, "many": 0.1})
    draw, captions = drawing(own, adapter), ["a red apple"] * 2
    whole = draw.whole(captions, torch.Generator().manual_seed(0))
    for seed in range(4):  # in few steps and in many
        again = draw(whole, captions, torch.Generator().manual_seed(seed))
        near, far = (again - whole).square().mean(), whole.square().mean()
        assert 0 < near < 0.35 * far


def test_many_steps_are_drawn_without_the_adapter(own, adapter, bundle):
    """The base model's own guided steps, to which no adapter may add."""
    draw, captions = drawing(own, adapter), ["a red apple"]
    generator = torch.Generator().manual_seed(3)
    found = draw._draw(captions, generator, few=False)
    seed = int(torch.randint(2**31, (), generator=torch.Generator().manual_seed(3)))
    words, empty = (
        encode_text(bundle.text_encoders, token_ids(bundle.tokenizers[0], part)) for part in (captions, [""])
    )
    with torch.no_grad():
        wanted = sample(bundle.unet, *words, empty, side=128, seed=seed, schedule=bundle.scheduler_config)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.5)
    few = draw._draw(captions, torch.Generator().manual_seed(3), few=True)
    assert (few - wanted).square().mean() > 4 * (found - wanted).square().mean()


def test_gradients_have_a_strength_wherever_they_lie_in_a_window():
    edge = torch.zeros(1, 3, 32, 32)
    edge[..., 16:] = 1
    flat, there = sharpening.gradient_strength(torch.full_like(edge, 0.3)), sharpening.gradient_strength(edge)
    assert flat.max() < 0.01
    moved = sharpening.gradient_strength(torch.roll(edge, 1, dims=-1)[..., 1:-1])
    assert float(moved.mean()) == pytest.approx(float(there[..., :-1].mean()), rel=0.1)
    soft = F.avg_pool2d(edge, 5, stride=1, padding=2, count_include_pad=False)
    assert sharpening.gradient_strength(soft).square().mean() < 0.5 * there.square().mean()


def test_only_the_decoder_is_sharpened(own, adapter, tmp_path, sprites_folder, monkeypatch):
    monkeypatch.setattr(sharpening, "_CRITIC_FIRST", 1)
    monkeypatch.setattr(sharpening, "CROP", 6)
    monkeypatch.setattr(sharpening, "POOL_STEP", 1)
    monkeypatch.setattr(drawn_again, "MANY", 4)
    sets, encoded = _encoded(own, tmp_path, sprites_folder)
    stage = sharpening.SharpeningStage(own.vae, sets, encoded, sets["train"], drawing(own, adapter, side=64))
    before = {name: value.clone() for name, value in own.vae.state_dict().items()}
    draws, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    for _ in range(3):  # the first without the critic
        for optimiser in stage.optimisers:
            optimiser.zero_grad()
        loss, figures, count = stage.loss(draws, generator)
        loss.backward()
        for optimiser in stage.optimisers:
            optimiser.step()
        assert count == sharpening.BATCH
        assert all(np.isfinite(value) for value in figures.values())
    changed = {name for name, value in own.vae.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(("decoder.", "post_quant_conv.")) for name in changed)
    assert len(stage._pool) == (8 + 2) * sharpening.POOL_STEP


def test_settled_alpha_has_no_veil_and_no_specks():
    plane = np.full((64, 64), 0.15)
    plane[10:40, 10:40] = 0.8
    plane[10:40, 40] = 0.5  # its soft edge
    plane[55:57, 55:57] = 0.9  # a speck
    plane[45:60, 10:20] = 0.75  # another part of it
    plane[22:26, 22:26] = 0.6
    found = settled(plane)
    assert found[11, 11] == found[50, 15] == 1
    assert found[20, 40] == pytest.approx(0.5) and found[23, 23] == pytest.approx(0.75)
    assert found[55:57, 55:57].max() == found[:9].max() == 0
    assert settled(np.full((8, 8), 0.4)).max() == 0


@pytest.fixture
def stage(own, adapter, tmp_path, sprites_folder, monkeypatch):
    """The stage with whole drawings of nothing, which are solid all over, and in which anything fits."""
    monkeypatch.setattr(drawn_again, "MANY", 4)
    sets, encoded = _encoded(own, tmp_path, sprites_folder)
    for place in (0, 1):
        sets["train"].facts[int(encoded.rows["foreground"][place])]["names"] = [("smoke", "green bottle")[place]]
    drawn = drawing(own, adapter, side=64)
    monkeypatch.setattr(drawn, "whole", lambda captions, generator: torch.zeros(len(captions), 4, 8, 8))
    monkeypatch.setattr(alpha, "settled", lambda plane: np.ones_like(plane))
    monkeypatch.setattr(alpha, "fitted", lambda picture, plane: np.full((*plane.shape, 4), 0.5, np.float32))
    made = alpha.AlphaStage(own.encoder, own.decoder, own.vae, sets, encoded, drawn)
    made.network.train()
    return made


def test_alpha_goes_on_with_whole_drawings_and_leaves_the_encoder(stage, own):
    draws, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    for _ in range(3 * alpha.DRAW_EVERY - 1):
        stage.loss(draws, generator)
    loss, figures, count = stage.loss(draws, generator)
    assert count == sum(alpha.BATCH.values())
    assert torch.isfinite(loss) and all(np.isfinite(value) for value in figures.values())
    assert {name for name, pool in stage._pools.items() if pool} == {"known", "solid", "green bottle", "smoke"}
    assert {one.coloured for one in stage._pools["solid"]} == {0.0}  # nobody knows the colours of whole ones
    assert {one.coloured for name in ("known", "smoke") for one in stage._pools[name]} == {1.0}
    loss.backward()
    assert all(one.grad is None for one in own.encoder.parameters())
    grads = [one.grad for one in own.decoder.parameters()]
    assert any(grad is not None and bool(grad.any()) for grad in grads)

    latents = torch.randn(1, 4, 8, 8)
    before = stage._alpha_before(latents)  # outlines do not follow what is being learnt
    with torch.no_grad():
        own.decoder.head.bias += 3
    np.testing.assert_array_equal(stage._alpha_before(latents), before)


def _encoded(model, tmp_path, sprites_folder):
    from layerfusion.engine.training.data import dataset

    sets = {}
    for seed, plan in enumerate(("train", "small", "nameless", "wide", "tall")):
        where = tmp_path / plan
        where.mkdir()
        dataset._lay_out(where, 8, 64, dataset.FORMS.get(plan, (1, 1)))
        dataset._draw_shard(dataset._Job(where, sprites_folder, seed, 0, 8, plan, 64, "second"))
        sets[plan] = dataset.load(where)
    encode_all(model.vae, sets, tmp_path / "latents.safetensors")
    return sets, load_latents(tmp_path / "latents.safetensors")
