"""The history of a document: what is read from it, and what the artist does with a picture."""

import json
from dataclasses import replace

import pytest

from controller_harness import arrived, generate, greeting, params
from krita_document import KritaDocument, Node

STACK = [("Background", "normal"), ("Foreground", "normal"), ("Shadow", "multiply")]
ROLES = [name.lower() for name, _ in STACK]
OLD = "2f1e8a52-0f5b-4b0e-9d6c-3f0a51c7d901"


def submit(wire, job=OLD, **values):
    drawn = {"background": wire.Generated(prompt="a beach"), "foregrounds": (wire.Generated(prompt="a cat"),)}
    return wire.Submit(job=job, width=64, height=48, model="tiny", seed=5, **{**drawn, **values})


def remembered(document, group, values, **record):
    """Save the record of a group in a document."""
    from krita_layerfusion import groups

    text = json.loads(groups.as_text(values, group, ROLES))
    document.remember(groups.name_of(group), json.dumps({**text, **record}))


def entry(wire, submission=None, **changes):
    from krita_layerfusion.history_entry import Entry

    saved = (submission or submit(wire)).to_map()
    record = {"foreground": "a cat", "background": "a beach", "seed": 5, "layers": {}, "made": 1.0, "submit": saved}
    first = Entry(key="k", title="a cat + a beach", values=record, made=1.0, group=None, seen=False)
    return replace(first, **changes)


# ---- what is read from a document ------------------------------------------------------------------------------------


def group(name):
    return Node(name, children=[Node(layer, blendingMode=blend) for layer, blend in STACK])


def test_the_pictures_of_a_document_are_those_of_its_records_whether_their_groups_are_there_or_not(plugin, wire):
    from krita_layerfusion import history_records

    old, young, gone = group("old"), group("young"), group("gone")
    document = KritaDocument(old, young)
    remembered(document, old, {"seed": 1}, made=1.0)
    remembered(document, young, {"submit": submit(wire).to_map()}, made=3.0)
    remembered(document, gone, {"submit": submit(wire, "3" + OLD[1:]).to_map()}, made=2.0)
    found = history_records.entries(document)
    assert [each.title for each in found] == ["young", "gone", "old"]
    assert [each.there for each in found] == [True, False, True]
    assert [each.seen for each in found] == [True, False, False]
    assert [each.job for each in found] == [OLD, "3" + OLD[1:], None]


def test_a_picture_that_was_put_back_keeps_its_place_and_is_there_once(plugin, wire):
    from krita_layerfusion import history_records

    back = group("cat")
    document = KritaDocument(back)
    remembered(document, group("cat"), {"submit": submit(wire).to_map()}, made=1.0)
    remembered(document, group("dog"), {"submit": submit(wire, "3" + OLD[1:]).to_map()}, made=2.0)
    remembered(document, back, {"submit": submit(wire).to_map()}, made=3.0)
    assert [(each.title, each.there) for each in history_records.entries(document)] == [("dog", False), ("cat", True)]


def test_a_removed_picture_stays_recognised_but_is_not_listed(plugin, wire):
    from krita_layerfusion import groups, history_records

    cat = group("cat")
    document = KritaDocument(cat)
    remembered(document, cat, {"submit": submit(wire).to_map()})
    (found,) = history_records.entries(document)
    for name, text in history_records.unlisted(document, found.key).items():
        document.remember(name, text)
    assert history_records.entries(document) == []
    assert groups.recall(document, cat) is not None


@pytest.mark.parametrize("wrong", [None, 7, {}, {"job": "../x"}, {"type": "submit", "job": OLD, "width": -1}])
def test_a_submission_that_makes_no_sense_is_ignored(plugin, wrong):
    from krita_layerfusion import history_records

    document = KritaDocument()
    remembered(document, group("cat"), {"submit": wrong})
    (found,) = history_records.entries(document)
    assert found.submit is None


# ---- thumbnails ------------------------------------------------------------------------------------------------------


def test_each_thumbnail_is_asked_for_once_and_krita_shows_the_group_meanwhile(online, wire):
    online.document.pictures = [entry(wire, group="{g}"), entry(wire, key="l", values={})]
    online.controller.look(anew=True)
    online.controller.look(anew=True)
    assert online.link.sent == [wire.FetchThumbnail(job=OLD, side=128)]
    assert [each.thumbnail for each in online.view.history] == ["thumbnail of {g}", None]
    online.controller.receive(wire.Thumbnail(job=OLD, width=2, height=1, pixels=bytes(8)))
    assert online.view.history[0].thumbnail.data == bytes(8)
    online.controller.receive(greeting(wire, "two"))
    assert len(online.link.sent) == 1, "it is remembered"


def test_a_thumbnail_that_the_server_has_not_is_asked_for_again_after_it_was_started_again(online, wire):
    online.document.pictures = [entry(wire)]
    online.controller.look(anew=True)
    online.controller.receive(wire.FetchFailed(job=OLD, code="unknown_job", message="No."))
    online.controller.look(anew=True)
    assert len(online.link.sent) == 1
    assert not online.view.told
    online.controller.receive(greeting(wire, "two"))
    assert len(online.link.sent) == 2


def test_an_older_server_is_not_asked(harness, wire):
    harness.document.pictures = [entry(wire)]
    harness.controller.receive(greeting(wire, protocol=(1, 3)))
    harness.controller.look(anew=True)
    assert not harness.link.sent


# ---- one picture -----------------------------------------------------------------------------------------------------


def test_a_picture_that_is_there_is_shown(online, wire):
    online.document.pictures = [entry(wire, group="{g}")]
    online.controller.history.show("k")
    assert online.document.shown == ["k"]
    assert not online.link.submitted


def test_a_picture_whose_group_was_deleted_is_fetched_and_added_with_its_record(online, wire):
    online.document.pictures = [entry(wire)]
    online.controller.history.show("k")
    online.controller.history.show("k")
    assert [each for each in online.link.sent if isinstance(each, wire.Resume)] == [wire.Resume(job=OLD, after=0)]
    online.controller.receive(wire.Accepted(job=OLD, position=0))
    for seq, index in enumerate(range(3), 2):
        online.controller.receive(arrived(wire, OLD, index, seq))
    online.controller.receive(wire.Done(job=OLD, seq=5, layers=3, record="{}"))
    ((_, title, layers, record),) = online.document.inserted
    assert title == "a cat + a beach"
    assert [layer.begin.role for layer in layers] == ROLES
    assert record == {"foreground": "a cat", "background": "a beach", "seed": 5, "made_of": "{}"}
    assert not online.view.busy


def test_a_picture_that_the_server_no_longer_has_is_said(online, wire):
    online.document.pictures = [entry(wire)]
    online.controller.history.show("k")
    online.controller.receive(wire.Failed(job=OLD, seq=0, code="unknown_job", message="No."))
    (told,) = online.view.told
    assert told == (
        "warn",
        "The server no longer has “a cat + a beach”.",
        "Use its prompts and seed to draw it again.",
    )
    assert not online.view.busy


@pytest.mark.parametrize("changes", [{"values": {}}, {"key": "another"}])
def test_what_cannot_be_put_back_is_refused(online, wire, changes):
    online.document.pictures = [entry(wire, **changes)]
    online.controller.history.show("k" if "key" in changes else entry(wire).key)
    assert online.view.told[0][0] == "warn"
    assert not online.view.busy


def test_without_a_server_a_deleted_picture_is_refused_with_a_remedy(harness, wire):
    harness.document.pictures = [entry(wire)]
    harness.controller.history.show("k")
    assert harness.view.told[0][1] == "No server is running."
    assert harness.view.remedy.label == "Start server"


def test_a_picture_is_drawn_again_with_the_layers_that_were_kept(online, wire):
    kept = wire.Kept(layer="ab" * 32, width=64, height=48, name="Cat", prompt="a cat")
    online.document.pictures = [entry(wire, submit(wire, foregrounds=(kept,)))]
    online.controller.history.again("k", 99)
    ((again, pictures),) = online.link.submitted
    assert again.job != OLD and (again.seed, again.foregrounds, pictures) == (99, (kept,), ())
    (job,) = online.job_store.saved.values()
    assert job.record["seed"] == 99 and "layers" not in job.record


def test_the_selected_picture_is_drawn_again_as_the_fields_say_with_the_layers_that_were_kept(online, wire):
    kept = wire.Kept(layer="ab" * 32, width=64, height=48, name="Cat", prompt="a cat")
    online.document.pictures = [entry(wire, submit(wire, foregrounds=(kept,), steps=3))]
    online.controller.history.again_with(params(foreground="", background="a lake", seed=8, steps=9, negative="people"))
    ((again, _),) = online.link.submitted
    assert again.background == wire.Generated(prompt="a lake", negative_prompt="people")
    assert again.foregrounds == (kept,), "an empty field changes nothing"
    assert (again.seed, again.steps, again.model) == (8, 9, "tiny")
    (job,) = online.job_store.saved.values()
    assert job.title == "a cat + a lake"
    assert (job.record["foreground"], job.record["background"], job.record["steps"]) == ("a cat", "a lake", 9)


def test_without_a_picture_nothing_is_drawn_again(online):
    online.controller.history.again_with(params())
    assert online.view.told[0][1] == "No picture is selected."


def test_a_picture_gives_its_prompts_and_settings(online, wire):
    online.document.pictures = [entry(wire)]
    assert online.controller.history.params("k") == params(foreground="a cat", background="a beach", seed=5)


def test_a_removed_picture_is_gone_from_the_list(online, wire):
    online.document.pictures = [entry(wire)]
    online.controller.history.remove("k")
    assert online.view.history == ()


def test_a_picture_is_deleted_on_the_server_if_the_artist_says_so(online, wire):
    online.document.pictures = [entry(wire)]
    online.controller.history.remove("k", from_server=True)
    assert online.link.sent[-1] == wire.Delete(job=OLD)
    assert online.view.history == ()


def test_what_the_server_cannot_delete_now_stays_in_the_list(harness, wire):
    harness.document.pictures = [entry(wire)]
    harness.controller.history.remove("k", from_server=True)
    assert harness.view.told[0][1] == "The server cannot be told to delete it now."
    assert len(harness.document.pictures) == 1


def test_a_result_is_in_the_history_at_once(online, wire):
    job = generate(online).job
    online.document.pictures = [entry(wire, group="{g}")]
    for seq, index in enumerate(range(3), 2):
        online.controller.receive(arrived(wire, job, index, seq))
    online.controller.receive(wire.Done(job=job, seq=5, layers=3))
    assert [each.key for each in online.view.history] == ["k"]
