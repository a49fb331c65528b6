"""The controller with stand-ins for the docker, the link and Krita."""

import json
from typing import get_args

import pytest

from controller_harness import HEIGHT, WIDTH, arrived, finish, generate, greeting, offline, params
from layerfusion.engine.events import Stage
from layerfusion.engine.options.presets import Preset

# ---- generate --------------------------------------------------------------------------------------------------------


def test_generate_submits_the_fields_of_the_docker(online, wire):
    submit = generate(online, negative="people", blended="an apple on a beach", steps=12, preset="fast")
    assert (submit.width, submit.height) == (WIDTH, HEIGHT)
    assert submit.foregrounds == (wire.Generated(prompt="a red apple", negative_prompt="people"),)
    assert submit.background == wire.Generated(prompt="a beach", negative_prompt="people")
    assert (submit.blended_prompt, submit.seed, submit.steps) == ("an apple on a beach", 7, 12)
    assert submit.preset == "fast"
    assert submit.model == "tiny", "the first one the server offers"
    assert online.view.busy


def test_further_foregrounds_are_drawn_in_their_places(online, wire):
    from krita_layerfusion.interfaces import OtherForeground

    shape = "2x2:eJxj+P//PwAF/gL+"
    online.controller.receive(greeting(wire, protocol=(1, 5)))
    others = (OtherForeground("a pear", 3, (32, 12, 16, 24), shape), OtherForeground("a plum"))
    submit = generate(online, others=others, negative="people")
    assert submit.foregrounds[1:] == (
        wire.Generated(
            prompt="a pear",
            negative_prompt="people",
            seed=3,
            box=wire.Box(x=32, y=12, width=16, height=24),
            shape=shape,
        ),
        wire.Generated(prompt="a plum", negative_prompt="people"),
    )
    assert online.job_store.saved[submit.job].title == "a red apple + a pear + a plum + a beach"


def test_further_foregrounds_live_in_the_document(online):
    from krita_layerfusion.interfaces import OtherForeground

    others = (OtherForeground("a pear", 3, (32, 12, 16, 24), "2x2:eJxj+P//PwAF/gL+"), OtherForeground("a plum"))
    online.controller.typed.remember(params(others=others))
    online.document.saved_settings = json.loads(json.dumps(online.document.saved_settings))
    assert online.controller.typed.of_document().others == others


@pytest.mark.parametrize(
    ("saved", "read"),
    [
        (None, []),
        ("others", []),
        ([1, {}, {"prompt": 7}, {"prompt": "a pear"}], [("a pear", None, None)]),
        ([{"prompt": "a", "seed": True, "box": [0, 0, 5]}], [("a", None, None)]),
        ([{"prompt": "a", "seed": 2**53, "box": [0, 0, 0, 5]}], [("a", None, None)]),
        ([{"prompt": "a", "seed": 7, "box": [-1, 0, 5, 5]}], [("a", 7, None)]),
        ([{"prompt": "a", "seed": 7, "box": [0, 0, 5, 5], "shape": "<b>"}], [("a", 7, (0, 0, 5, 5))]),
        ([{"prompt": str(each)} for each in range(9)], [(str(each), None, None) for each in range(5)]),
    ],
)
def test_what_makes_no_sense_among_saved_foregrounds_is_left_out(plugin, saved, read):
    from krita_layerfusion.settings import params_of

    found = params_of({"others": saved}).others
    assert [(other.prompt, other.seed, other.box) for other in found] == read
    assert not any(other.shape for other in found)


def test_the_presets_are_the_engines_and_the_models_own_comes_first(plugin):
    from krita_layerfusion.text import PRESETS

    assert [name for _, name, _ in PRESETS] == [None, *get_args(Preset)]


def test_every_job_has_an_id_of_its_own(online, wire):
    first = generate(online)
    finish(online, wire, first.job)
    assert generate(online).job != first.job


def test_the_layers_go_into_the_document_bottom_first_once_all_are_there(online, wire):
    job = generate(online).job
    finish(online, wire, job)
    ((placement, name, layers, record),) = online.document.inserted
    assert placement == online.document.placement()
    assert name == "a red apple + a beach"
    assert [layer.begin.role for layer in layers] == ["background", "foreground", "shadow"]
    assert [layer.picture.data[0] for layer in layers] == [0, 1, 2]
    assert record["foreground"] == "a red apple"
    assert (record["seed"], record["model"]) == (7, "tiny")
    assert online.view.told == [("say", "Drawn into “Sketch”.", "")]
    assert online.view.notes == ["A demo model draws it."]
    assert not online.view.busy


def test_long_prompts_make_short_group_names(online, wire):
    job = generate(online, foreground="an apple\n that is   red " + "and round " * 20).job
    finish(online, wire, job)
    name = online.document.inserted[0][1]
    assert name == "an apple that is red and round and roun… + a beach"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"foreground": " "}, "The foreground prompt is empty."),
        ({"background": ""}, "The background prompt is empty."),
        ({"foreground": "x" * 200_001}, "200001"),
        ({"seed": 2**53}, "seed"),
    ],
)
def test_impossible_requests_are_refused_with_a_message(online, changes, words):
    online.controller.generate(params(**changes))
    ((kind, message, _),) = online.view.told
    assert kind == "warn"
    assert words in message
    assert not online.link.submitted
    assert not online.view.busy


def test_without_a_server_or_a_document_nothing_is_drawn(harness, wire):
    harness.controller.generate(params())
    assert harness.view.told[-1] == ("warn", "No server is running.", "Press Start server.")
    harness.controller.receive(greeting(wire))
    harness.documents.open = False
    harness.controller.generate(params())
    assert harness.view.told[-1][1] == "No document is open."
    assert not harness.link.submitted


def test_a_press_while_another_picture_is_drawn_is_queued(online, wire):
    first = generate(online)
    second = generate(online, foreground="a pear")
    assert online.view.job.endswith(" · 1 more")
    finish(online, wire, first.job)
    assert online.view.busy
    finish(online, wire, second.job)
    assert [name for _, name, _, _ in online.document.inserted] == ["a red apple + a beach", "a pear + a beach"]
    assert not online.view.busy


def test_cancel_ends_the_press_that_is_shown_and_the_next_one_goes_on(online, wire):
    first, second = generate(online, pictures=2), generate(online)
    online.controller.cancel()
    assert [message.job for message in online.link.sent] == [first.job, first.variants[0].job]
    assert online.view.busy
    finish(online, wire, second.job)
    assert len(online.document.inserted) == 1


def test_problems_come_with_a_button_that_solves_them(harness, wire):
    harness.controller.generate(params())
    assert harness.view.remedy.label == "Start server"
    harness.controller.receive(greeting(wire))
    harness.documents.open = False
    harness.controller.generate(params())
    assert harness.view.remedy.label == "New document…"
    harness.view.remedy.action()
    assert harness.documents.open
    submit = generate(harness)
    harness.controller.receive(wire.Accepted(job=submit.job, position=0))
    harness.controller.receive(
        wire.Failed(job=submit.job, seq=1, code="out_of_memory", message="Too large.", hint="Close something.")
    )
    assert not harness.view.busy
    assert harness.view.remedy.label == "Draw it again"
    harness.view.remedy.action()
    assert harness.view.busy
    (again,) = [message for message in harness.link.sent if message.type == "resubmit"]
    assert again.of == submit.job
    finish(harness, wire, again.job)
    assert len(harness.document.inserted) == 1


@pytest.mark.parametrize("code", ["unknown_job", "quarantined"])
def test_what_would_fail_again_is_not_offered_again(online, wire, code):
    submit = generate(online)
    online.controller.receive(wire.Accepted(job=submit.job, position=0))
    online.controller.receive(wire.Failed(job=submit.job, seq=1, code=code, message="No.", hint=""))
    assert online.view.remedy is None


def test_a_profile_that_is_not_srgb_is_shown_as_a_notice(online, wire):
    online.document.warning = "The document's profile is “Rec2020”"
    job = generate(online).job
    assert online.view.notes == ["The document's profile is “Rec2020”."]
    finish(online, wire, job)
    assert online.view.notes == ["The document's profile is “Rec2020”.", "A demo model draws it."]


def test_the_notice_of_an_older_server_in_accepted_is_shown(harness, wire):
    harness.controller.receive(greeting(wire, protocol=(1, 2)))
    job = generate(harness).job
    harness.controller.receive(wire.Accepted(job=job, position=0, notice="embedded demo model, drawn at 128x96 px"))
    assert harness.view.notes == ["Embedded demo model, drawn at 128x96 px."]


def test_every_stage_of_the_engine_has_a_text(plugin):
    from krita_layerfusion.text import STAGES

    assert tuple(STAGES) == get_args(Stage)


def test_a_notice_is_not_requested_again_after_a_resume(online, wire):
    job = generate(online).job
    online.controller.receive(wire.Accepted(job=job, position=0))
    online.controller.receive(wire.Notice(job=job, seq=2, code="unheard_of", text="The moon is full."))
    assert online.view.notes == ["The moon is full."], "whatever its code"
    online.controller.receive(offline(resumable=True, message="The connection was lost.", hint=""))
    online.controller.receive(greeting(wire))
    assert online.link.sent == [wire.Resume(job=job, after=2)]


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        ("reading_prompts", "reading", "Reading the prompts"),
        ("dreaming", "dreaming of sheep", "Dreaming of sheep"),
        ("loading the model", "", "Loading the model"),
    ],
    ids=["ours", "of a newer server", "of an older server"],
)
def test_stages_are_shown_with_our_texts_or_else_the_servers(online, wire, code, text, words):
    job = generate(online).job
    online.controller.receive(wire.Progress(job=job, stage=code, text=text, step=0, total=1))
    assert online.view.job == f"{words} 0 of 1"


def test_a_document_closed_meanwhile_is_a_message(online, wire):
    job = generate(online).job
    online.documents.open = False
    finish(online, wire, job)
    assert not online.document.inserted
    assert online.view.told[-1][1] == "“Sketch” was closed before its layers arrived."
    assert not online.view.busy


def test_a_document_closed_while_layers_are_added_is_offered_anew(online, wire):
    job = generate(online).job
    online.document.closed = True
    finish(online, wire, job)
    assert online.view.told[-1][1] == "“Sketch” was closed before its layers arrived."
    assert online.view.remedy.label == "Open as a document"
    assert not online.view.busy
    online.view.remedy.action()
    assert len(online.documents.created.inserted) == 1
    assert online.documents.created.size == (WIDTH, HEIGHT)
    assert not online.view.busy


def test_what_is_known_of_the_landing_is_told(online, wire, monkeypatch):
    from krita_layerfusion.jobs import Inserted, Remedy

    def insert(job, waits):
        yield
        return Inserted(None, unseen="“Paper” covers them.", remedy=Remedy("Show it", print), scaled="Scaled.")

    monkeypatch.setattr(online.document, "insert", insert)
    finish(online, wire, generate(online).job)
    assert online.view.told[-1] == ("warn", "Drawn into “Sketch”.", "Scaled. “Paper” covers them.")
    assert online.view.remedy.label == "Show it"


def test_pictures_of_one_press_follow_each_others_active_layers(online, wire):
    submit = generate(online, pictures=2)
    online.document.active = "{paper}"
    first, second = submit.jobs()
    finish(online, wire, first.job)
    finish(online, wire, second.job)
    placements = [placement for placement, _, _, _ in online.document.inserted]
    assert placements[1].active == "{new foreground}", "as if the artist had pressed after the first had arrived"


def test_a_canvas_larger_than_the_server_draws_is_drawn_smaller_in_its_shape(online, subtests):
    for canvas, drawn in [((4961, 3508), (4096, 2896)), ((100, 8192), (50, 4096)), ((4096, 4096), (4096, 4096))]:
        with subtests.test(canvas=canvas):
            online.document.size = canvas
            submit = generate(online)
            assert (submit.width, submit.height) == drawn
            told = [note for note in online.view.notes if "larger than the server draws" in note]
            assert bool(told) == (canvas != drawn)
            online.view.clear()


# ---- the docker's fields ---------------------------------------------------------------------------------------------


def test_the_fields_live_in_the_document(online):
    assert online.controller.typed.of_document() is None
    online.controller.typed.remember(params(foreground="a pear", steps=7))
    assert online.controller.typed.of_document() == params(foreground="a pear", steps=7)
    generate(online, foreground="a plum")
    assert online.controller.typed.of_document().foreground == "a plum"
    online.documents.open = False
    online.controller.typed.remember(params())
    assert online.controller.typed.of_document() is None


def test_settings_from_a_stranger_are_read_as_far_as_they_make_sense(plugin):
    from krita_layerfusion.interfaces import GenerationParams
    from krita_layerfusion.settings import params_of

    strange = {
        "foreground": "a pear",
        "background": 5,
        "negative": "x" * 10**6,
        "seed": -1,
        "steps": True,
        "pictures": 99,
        "strength": float("nan"),
        "model": ["tiny"],
        "in_selection": "yes",
        "a later version's": 1,
    }
    assert params_of(strange) == GenerationParams(foreground="a pear", background="")
    assert params_of({}) == GenerationParams(foreground="", background="")


def test_incomplete_layers_are_not_inserted(online, wire):
    job = generate(online).job
    online.controller.receive(arrived(wire, job, 0, 2))
    online.controller.receive(wire.Done(job=job, seq=3, layers=3))
    assert not online.document.inserted
    assert online.view.told[-1][0] == "warn"
