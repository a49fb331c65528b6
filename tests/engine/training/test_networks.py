"""The training stages and their networks: targets, word pieces, deltas and the export."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import load_file

from layerfusion.engine.diffusion.spacing import TrainingTimesteps
from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.models.catalog.manifest import read_manifest
from layerfusion.engine.models.catalog.registry import EMBEDDED, find_model
from layerfusion.engine.models.catalog.spec import located
from layerfusion.engine.models.runtime.loading import load_model
from layerfusion.engine.training import deltas as deltas_stage
from layerfusion.engine.training import export
from layerfusion.engine.training.data.vocabulary import FIRST, names, with_article
from layerfusion.engine.training.latents import load_latents
from layerfusion.engine.training.outer_level import moved_inwards, with_outer_level
from layerfusion.engine.training.prediction import (
    NOISE_SCHEDULE,
    NoiseSchedule,
    ddim,
    encode_text,
    louder,
    predict,
    sample,
)
from layerfusion.engine.training.run import TrainingRun
from layerfusion.engine.training.wordpieces import LENGTH, captions, make_tokenizer, token_ids, with_pieces_of


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def test_the_target_removes_the_noise():
    schedule, clean = NoiseSchedule(), torch.randn(8, 4, 4, 4)
    timesteps, noised, v = schedule.noised(clean, torch.Generator().manual_seed(0))
    kept = schedule._kept[timesteps].view(-1, 1, 1, 1)
    torch.testing.assert_close(kept.sqrt() * noised - (1 - kept).sqrt() * v, clean, rtol=1e-4, atol=1e-4)
    assert schedule._kept[-1] == pytest.approx(0, abs=1e-6), "zero terminal SNR"
    assert len(set((timesteps // 125).tolist())) == 8, "one timestep of every stratum"


def test_layouts_get_the_noise_that_the_mean_of_four_latents_had_and_details_what_they_had():
    usual, loud = (ddim(schedule).alphas_cumprod.double() for schedule in (NOISE_SCHEDULE, louder(2.0)))
    factor = ((1 / loud[:-1] - 1) / (1 / usual[:-1] - 1)).sqrt()
    torch.testing.assert_close(factor[:500], torch.ones(500).double(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(factor[900:], torch.full((99,), 2.0).double(), rtol=1e-3, atol=1e-3)
    assert (factor.diff() > -1e-3).all() and (loud.diff() < 0).all()
    assert loud[-1] < 1e-6
    assert louder(1.0) == NOISE_SCHEDULE
    engine = TrainingTimesteps({**louder(2.0), "_class_name": "EulerDiscreteScheduler"})
    for time in (499, 799):
        assert engine.sigma(np.asarray([float(time)]))[0] == pytest.approx(float((1 / loud[time] - 1).sqrt()), rel=1e-3)


def test_much_noise_is_drawn_more_often_where_times_lean_to_it():
    schedule, clean = NoiseSchedule(), torch.randn(3000, 1, 1, 1)
    shares = [
        float((schedule.noised(clean, torch.Generator().manual_seed(0), lean)[0] > 666).float().mean())
        for lean in (1.0, 0.7)
    ]
    assert shares == [pytest.approx(1 / 3, abs=0.01), pytest.approx(0.44, abs=0.01)]


def test_what_is_only_ever_given_is_not_noised_beyond_its_share_of_the_time():
    until = torch.tensor([0.5, 1.0]).repeat(500)
    timesteps, *_ = NoiseSchedule().noised(torch.randn(1000, 1, 1, 1), torch.Generator().manual_seed(0), until=until)
    given, asked_for = timesteps[::2].float(), timesteps[1::2].float()
    assert given.max() < 500 and given.mean() == pytest.approx(250, abs=5)
    assert asked_for.max() > 990 and asked_for.mean() == pytest.approx(500, abs=5)


def test_a_perfect_model_reproduces_its_picture():
    target = 3 * torch.randn(2, 4, 16, 16)
    kept = NoiseSchedule()._kept

    class Perfect:
        config = {"in_channels": 4, "sample_size": 16}  # noqa: RUF012 (as diffusers has it)

        def __call__(self, latents, timesteps, **_conditions):
            a = kept[timesteps].view(-1, 1, 1, 1)
            noise = (latents - a.sqrt() * torch.cat([target] * 2)) / (1 - a).sqrt()
            return (a.sqrt() * noise - (1 - a).sqrt() * torch.cat([target] * 2),)

    nothing = torch.zeros(1, LENGTH, 4), torch.zeros(1, 4)
    drawn = sample(Perfect(), torch.zeros(2, LENGTH, 4), torch.zeros(2, 4), nothing, side=128, rescale=0)
    torch.testing.assert_close(drawn, target, rtol=1e-2, atol=5e-2)


def test_the_same_captions_give_the_same_pieces(tmp_path, pieces):
    again = make_tokenizer(tmp_path)
    assert again.get_vocab() == pieces.get_vocab()


def test_every_word_that_is_taught_is_one_piece(pieces):
    for caption in captions():
        assert len(pieces.tokenize(caption)) == len(caption.split()) < LENGTH - 1


def test_unknown_words_are_spelt_and_nothing_is_lost(pieces):
    assert "".join(pieces.tokenize("xylophone!")).replace("</w>", "") == "xylophone!"


def test_other_word_pieces_keep_the_trained_embeddings(bundle, pieces):
    old = bundle.tokenizers[0]
    encoders = tuple(with_pieces_of(encoder, old, pieces) for encoder in bundle.text_encoders)
    common = [text for text in ("a dog", "a red apple") if len(old.tokenize(text)) == len(text.split())]
    assert common
    with torch.inference_mode():
        for before, after in zip(
            encode_text(bundle.text_encoders, token_ids(old, common)),
            encode_text(encoders, token_ids(pieces, common)),
            strict=True,
        ):
            torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_fresh_deltas_change_nothing_and_removing_the_hooks_removes_trained_ones(bundle):
    words = encode_text(bundle.text_encoders, token_ids(bundle.tokenizers[0], ["a dog"]))
    latents, timesteps = torch.randn(1, 4, 16, 16), torch.tensor([500])
    plain = predict(bundle.unet, latents, timesteps, *words, side=128)
    own = deltas_stage.fresh_deltas(bundle.unet)
    handles = deltas_stage.hook(bundle.unet, own)
    assert torch.equal(predict(bundle.unet, latents, timesteps, *words, side=128), plain)
    for delta in own.values():
        delta.lora_B.weight.fill_(0.01)  # pyright: ignore[reportCallIssue]
    assert not torch.allclose(predict(bundle.unet, latents, timesteps, *words, side=128), plain, atol=1e-3)
    for handle in handles:
        handle.remove()
    assert torch.equal(predict(bundle.unet, latents, timesteps, *words, side=128), plain)
    assert all(".attn1." in key or ".attn2." in key for key in deltas_stage.state_of(own))


def test_deltas_go_on_from_those_of_the_unet_this_one_was_grown_from(bundle):
    spec = bundle.spec
    known = load_file(str(located(spec.transparency.deltas, spec.name)))
    widths = list(bundle.unet.config["block_out_channels"])
    deeper = with_outer_level(bundle.unet, {"block_out_channels": [widths[0], *widths]})
    other = UNet2DConditionModel.from_config({**bundle.unet.config, "block_out_channels": [*widths[:-2], 96, 128]})
    for unet, moved in ((bundle.unet, False), (deeper, True)):
        state = deltas_stage.state_of(deltas_stage.begun_deltas(unet, known))
        assert len(state) == len(known)
        for key, value in known.items():
            assert torch.equal(state[moved_inwards(key) if moved else key], value.float())
    fresh = deltas_stage.state_of(deltas_stage.begun_deltas(other, known))
    assert not any(value.any() for key, value in fresh.items() if "lora_B" in key)


def test_what_is_exported_is_what_is_loaded(tmp_path, bundle):
    own = deltas_stage.fresh_deltas(bundle.unet)
    with torch.no_grad():
        for delta in own.values():
            delta.lora_B.weight.normal_(generator=torch.Generator().manual_seed(1))  # pyright: ignore[reportCallIssue]
    shutil.copy(EMBEDDED, tmp_path / "model.json")
    # parts of their own: the export halves what it is given
    mine = load_model(find_model("tiny"))
    size = export.export(
        tmp_path / "weights",
        unet=mine.unet,
        encoders=mine.text_encoders,
        tokenizer=mine.tokenizers[0],
        vae=mine.vae,
        transparency=(mine.encoder, mine.decoder),
        deltas=own,
    )
    assert size < export.LARGEST
    read = load_model(read_manifest(tmp_path / "model.json"))
    for part in ("unet", "vae", "decoder"):
        before, after = getattr(bundle, part).state_dict(), getattr(read, part).state_dict()
        assert before.keys() == after.keys()
        assert all(torch.allclose(before[key], after[key], rtol=2e-3, atol=1e-4) for key in before)
    stock = StableDiffusionXLPipeline.from_pretrained(tmp_path / "weights", local_files_only=True)
    assert stock.scheduler.config.prediction_type == "v_prediction"
    assert "_name_or_path" not in json.loads((tmp_path / "weights" / "unet" / "config.json").read_text())


def test_the_model_card_has_the_vocabulary_of_the_training(tmp_path):
    card = tmp_path / "model.json"
    shutil.copy(EMBEDDED, card)
    export.write_card(card, native_size=256, stride=64)
    spec = read_manifest(card)
    assert spec.vocabulary["objects"] == tuple(with_article(name) for name in names(held_out=True))
    scenes = {
        f"{place} {time}" for place in spec.vocabulary["places"] for time in spec.vocabulary["times (after a place)"]
    }
    assert scenes | set(spec.vocabulary["other scenes"]) == set(FIRST.backgrounds)
    assert spec.related
    assert (spec.native_size, spec.stride) == (256, 64)
    assert spec.few_step_adapter is None  # that of other weights is not taken along


def test_stages_name_the_stage_that_must_run_before(tmp_path):
    workshop = TrainingRun(tmp_path, EMBEDDED)
    with pytest.raises(InvalidRequest, match="train latents"):
        workshop.run("unet")
    with pytest.raises(InvalidRequest, match="train latents"):
        load_latents(tmp_path / "latents.safetensors")
    with pytest.raises(InvalidRequest, match="Stages are: dataset, vae, thin"):
        workshop.run("unets")
    with pytest.raises(InvalidRequest, match="--sprites"):
        workshop.run("dataset")
