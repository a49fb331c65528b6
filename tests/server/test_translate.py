"""Wire to engine and back: nothing lost, colours in place, errors named."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from layerfusion.engine import events, request, sources
from layerfusion.engine.errors import InvalidLayer, InvalidRequest, UnknownModel
from layerfusion.engine.image import geometry
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, Role
from layerfusion.engine.image.record import LayerRecord, PictureRecord
from layerfusion.engine.models.catalog.registry import available_models, find_model
from layerfusion.engine.notices import Notice, sentence
from layerfusion.engine.stack import LayerStack
from layerfusion.server import translate
from layerfusion.server.config import ServerConfig
from layerfusion.server.protocol import messages
from layerfusion.server.protocol.errors import UnknownLayer
from layerfusion.server.protocol.messages import (
    Box,
    Done,
    Generated,
    Kept,
    LayerBegin,
    Preview,
    Progress,
    Relit,
    Sentence,
    Submit,
    Switch,
)
from layerfusion.server.storage.layer_store import LayerStore

JOB = "2f1e8a52-0f5b-4b0e-9d6c-3f0a51c7d901"
RED_RGBA = np.tile(np.array([250, 20, 3, 128], np.uint8), (2, 3, 1))
RED_BGRA = bytes([3, 20, 250, 128]) * 6


@pytest.fixture
def store(tmp_path):
    return LayerStore(tmp_path)


def submit(**values):
    defaults = {
        "job": JOB,
        "width": 96,
        "height": 64,
        "background": Generated(prompt="a beach", negative_prompt="people", seed=5),
        "foregrounds": (Generated(prompt="a red apple"),),
        "model": "tiny",
    }
    return Submit(**{**defaults, **values})


def test_every_value_reaches_the_request(store):
    made = translate.to_request(
        submit(
            blended_prompt="an apple on a beach",
            seed=7,
            steps=3,
            guidance_scale=2.5,
            guidance_rescale=0.5,
            sampler="ddim",
            harmony="exact",
        ),
        store,
    )
    assert made.size == Size(96, 64)
    assert made.background == request.Generated(prompt="a beach", negative_prompt="people", seed=5)
    assert made.foregrounds == (request.Generated(prompt="a red apple"),)
    assert made.blended_prompt == "an apple on a beach"
    assert (made.seed, made.steps, made.guidance_scale, made.guidance_rescale) == (7, 3, 2.5, 0.5)
    assert (made.sampler, made.harmony.mode, made.model) == ("ddim", "exact", "tiny")


def test_what_is_unset_stays_unset(store):
    made = translate.to_request(submit(), store)
    assert (made.steps, made.guidance_scale, made.guidance_rescale, made.sampler) == (None,) * 4
    assert made.blended_prompt is None


def test_a_kept_layer_is_read_from_the_store_and_its_colours_put_in_order(store):
    digest = store.put(RED_BGRA)
    kept = Kept(layer=digest, width=3, height=2, x=-1, y=9, name="Äpfel", prompt="an apple")
    (source,) = translate.to_request(submit(foregrounds=(kept,)), store).foregrounds
    assert isinstance(source, request.Kept)
    assert source.prompt == "an apple"
    assert (source.layer.name, source.layer.offset, source.layer.role) == ("Äpfel", (-1, 9), Role.FOREGROUND)
    np.testing.assert_array_equal(source.layer.pixels, RED_RGBA)


def test_refuses_a_layer_that_was_not_uploaded(store):
    kept = Kept(layer="0" * 64, width=3, height=2, name="Apple", prompt="an apple")
    with pytest.raises(UnknownLayer, match="“Apple” is not on the server"):
        translate.to_request(submit(foregrounds=(kept,)), store)


def test_refuses_a_layer_of_another_size(store):
    kept = Kept(layer=store.put(RED_BGRA), width=2, height=2, name="Apple", prompt="an apple")
    with pytest.raises(InvalidLayer, match="24 bytes, which do not fit 2x2 pixels"):
        translate.to_request(submit(foregrounds=(kept,)), store)


def test_what_the_engine_does_not_draw_is_refused_before_the_queue(subtests, store):
    for values, error in [
        ({"width": 63}, InvalidRequest),
        ({"height": 5000}, InvalidRequest),
        ({"width": 4096, "height": 64}, InvalidRequest),
        ({"steps": 0}, InvalidRequest),
        ({"steps": 100_000}, InvalidRequest),
        ({"guidance_scale": -1.0}, InvalidRequest),
        ({"background": Generated(prompt=" ")}, InvalidRequest),
        ({"background": Generated(prompt="x" * 100_000)}, InvalidRequest),
        ({"foregrounds": (Generated(prompt="x"),) * 7}, InvalidRequest),
        ({"model": "../../tiny"}, UnknownModel),
    ]:
        with subtests.test(values=values, error=error), pytest.raises(error):
            translate.to_request(submit(**values), store)


def test_progress(store):
    event = events.Progress(stage="drawing", step=2, total=9, eta=1.5)
    said = translate.from_event(JOB, event, store)
    assert said == Progress(job=JOB, stage="drawing", text="drawing", step=2, total=9, eta=1.5)
    assert translate.to_event(said) == event


def test_a_notice_is_told_in_text_and_by_its_sentences(store):
    sentences = (sentence("word_unknown", word="xylophone"), sentence("reason", reason="so"))
    notice = Notice(code="unknown_words", sentences=sentences)
    message = translate.from_event(JOB, notice, store)
    assert message.text == "This model does not know the word “xylophone”. Reason: so"
    assert [(each.name, each.values[0].name, each.values[0].value) for each in message.sentences] == [
        ("word_unknown", "word", "xylophone"),
        ("reason", "reason", "so"),
    ]
    assert translate.to_event(message) == notice


def test_what_is_too_long_in_a_notice_is_cut(store):
    notice = Notice(code="prompt_part_ignored", sentences=(sentence("reason", reason="x" * 5000),))
    message = translate.from_event(JOB, notice, store)
    assert len(message.text) == len(message.sentences[0].values[0].value) == 4000


def test_a_notice_of_a_newer_or_an_older_server_is_taken_as_it_is():
    unheard = messages.Notice(job=JOB, seq=1, code="moon", text="It is full.", sentences=(Sentence(name="full_moon"),))
    assert translate.to_event(unheard).text == "It is full."
    assert translate.to_event(replace(unheard, sentences=())).text == "It is full."


def test_preview(store):
    event = events.Preview(role=Role.FOREGROUND, index=1, pixels=RED_RGBA)
    expected = Preview(job=JOB, role="foreground", index=1, width=3, height=2, pixels=RED_BGRA)
    assert translate.from_event(JOB, event, store) == expected


def test_a_layer_goes_into_the_store_and_is_announced_by_its_digest(store):
    layer = Layer(
        name="Light", role=Role.LIGHT, pixels=RED_RGBA, offset=(4, -2), blend=BlendMode.ADD, opacity=0.5, visible=False
    )
    begin = translate.from_event(JOB, events.LayerReady(layer=layer, index=3), store)
    assert isinstance(begin, LayerBegin)
    assert store.read(begin.sha256) == RED_BGRA
    assert begin.sha256 == hashlib.sha256(RED_BGRA).hexdigest()
    assert (begin.name, begin.role, begin.index) == ("Light", "light", 3)
    assert (begin.x, begin.y, begin.width, begin.height, begin.bytes) == (4, -2, 3, 2, 24)
    assert (begin.blend, begin.opacity, begin.visible) == ("add", 0.5, False)


def test_a_kept_layer_comes_back_under_the_id_it_was_uploaded_with(store):
    kept = Kept(layer=store.put(RED_BGRA), width=3, height=2, name="Apple", prompt="an apple")
    (source,) = translate.to_request(submit(foregrounds=(kept,)), store).foregrounds
    begin = translate.from_event(JOB, events.LayerReady(layer=source.layer, index=1), store)
    assert begin.sha256 == kept.layer


def test_finished(store):
    layer = Layer(name="Background", role=Role.BACKGROUND, pixels=RED_RGBA)
    stack = LayerStack(name="x", size=Size(3, 2), layers=(layer, layer))
    assert translate.from_event(JOB, events.Finished(stack=stack), store) == Done(job=JOB, seq=1, layers=2)


def test_records_of_a_finished_picture_come_through(subtests, store):
    layer = Layer(name="Background", role=Role.BACKGROUND, pixels=RED_RGBA)
    known = replace(layer, record=LayerRecord(source="kept", prompt="a „beach“", box=(1, 2, 3, 4), sha256="a" * 64))
    record = PictureRecord(tool="LayerFusion 1", model="tiny", seed=3, guidance_scale=2.5, settings=("mixture=a",))
    stack = LayerStack(name="x", size=Size(3, 2), layers=(known, layer), record=record)
    done = translate.from_event(JOB, events.Finished(stack=stack), store)
    bare = LayerStack(name="x", size=Size(3, 2), layers=(layer, layer))
    told = translate.with_stated_records(bare, Done.from_map(done.to_map()).record)
    assert (told.record, [layer.record for layer in told]) == (record, [known.record, None])
    assert translate.from_event(JOB, events.Finished(stack=bare), store).record == ""
    for text in ("", "[]", "{", '{"picture": 3, "layers": 4}', '{"picture": {}, "layers": [{}]}', "[" * 100_000):
        with subtests.test(text=text[:40]):
            assert translate.with_stated_records(bare, text).record is None


def test_every_model_can_be_told_about():
    infos = translate.model_infos()
    assert [info.name for info in infos] == [spec.name for spec in available_models()]
    for info in infos:
        assert info.sampler in info.samplers
        assert info.steps >= 1


def test_a_model_says_in_how_many_steps_it_draws_with_each_preset():
    info = next(info for info in translate.model_infos() if info.name == "tiny")
    steps = {each.preset: each.steps for each in info.preset_steps}
    few, all_of_them = find_model("tiny").usual.steps, find_model("tiny").defaults.steps
    assert few < all_of_them
    assert steps == {"paper": all_of_them, "exact": all_of_them, "balanced": all_of_them, "fast": few}


def test_the_embedded_model_says_what_it_is():
    assert "demo" in translate.model_notice(submit(width=512, height=512))
    (tiny,) = (model for model in translate.model_infos() if model.name == "tiny")
    (limits,) = tiny.notice_sentences
    assert (limits.name, tiny.notice) == ("demo_size", f"This demo model draws at {limits.values[0].value} px.")


def test_limits_are_the_engines():
    limits = translate.limits(ServerConfig(waiting_jobs=3, layer_bytes=77))
    assert (limits.min_side, limits.max_side, limits.max_aspect) == (64, 4096, 4.0)
    assert (limits.waiting_jobs, limits.layer_bytes) == (3, 77)
    with pytest.raises(InvalidRequest):
        request.Generated(prompt="x" * (limits.prompt_characters + 1))


RELIT = {"width": 3, "height": 2, "x": 4, "y": -1, "name": "Apple", "prompt": "an apple"}


def test_relit_layers_boxes_and_kept_backgrounds_reach_the_engine(store):
    digest = store.put(RED_BGRA)
    made = translate.to_request(
        submit(
            background=Kept(layer=digest, width=3, height=2, name="Sky", prompt="a sky"),
            foregrounds=(
                Relit(layer=digest, negative_prompt="pears", seed=9, strength=0.25, **RELIT),
                Generated(prompt="a car", box=Box(x=10, y=20, width=32, height=16)),
            ),
        ),
        store,
    )
    assert made.background.layer.role is Role.BACKGROUND
    relit, drawn = made.foregrounds
    assert isinstance(relit, sources.Relit)
    assert (relit.strength, relit.seed, relit.negative_prompt, relit.layer.offset) == (0.25, 9, "pears", (4, -1))
    assert relit.layer.role is Role.FOREGROUND
    np.testing.assert_array_equal(relit.layer.pixels, RED_RGBA)
    assert drawn.box == geometry.Box(10, 20, 32, 16)


def test_the_strength_of_the_blended_picture_is_handed_on(store):
    kept = Kept(layer=store.put(RED_BGRA), width=3, height=2, name="Sky", prompt="a sky")
    made = translate.to_request(submit(background=kept, foregrounds=(kept,), blended_strength=0.3), store)
    assert made.blended_strength == 0.3


def test_presets_and_switches_change_the_models_own_settings(store):
    own = find_model("tiny").defaults.fusion
    assert translate.to_request(submit(), store).fusion is None
    made = translate.to_request(submit(preset="fast", switches=(Switch(name="decision_boundary", value="3"),)), store)
    assert made.fusion == own.preset("fast").changed({"decision_boundary": 3})


def test_what_contradicts_the_canvas_or_the_method_is_refused_before_the_queue(subtests, store):
    for values in [
        {"preset": "quick"},
        {"switches": (Switch(name="d", value="5"),)},
        {"switches": (Switch(name="prior", value="never"),)},
        {"blended_strength": 0.5},
        {"foregrounds": (Generated(prompt="a car", box=Box(x=90, y=0, width=32, height=16)),)},
        {"foregrounds": (Generated(prompt="a car", box=Box(x=-1, y=0, width=32, height=16)),)},
    ]:
        with subtests.test(values=values), pytest.raises(InvalidRequest):
            translate.to_request(submit(**values), store)


def test_what_a_client_asks_for_is_what_the_engine_is_told(store):
    """The way there and back, with everything a request can say."""
    layer = Layer(name="sky", role=Role.BACKGROUND, pixels=RED_RGBA, offset=(-1, 2))
    asked = request.GenerationRequest(
        size=Size(96, 64),
        background=sources.Relit(layer=layer, prompt="a sky", seed=4, strength=0.75),
        foregrounds=(sources.Generated(prompt="a car", box=geometry.Box(1, 2, 30, 20)),),
        fusion=find_model("tiny").defaults.fusion.changed({"amodal": False, "foreground_boundary": 2.0}),
    )
    for pixels in translate.uploads(asked):
        store.put(pixels)
    back = translate.to_request(translate.to_submit(asked, JOB), store)
    assert back.fusion == asked.fusion
    assert back.foregrounds == asked.foregrounds
    assert (back.background.strength, back.background.seed) == (0.75, 4)
    assert back.background.layer.offset == (-1, 2)
    np.testing.assert_array_equal(back.background.layer.pixels, RED_RGBA)
