"""The user's pictures on the server: those that wait elsewhere, those that are finished, and taking one of them."""

from dataclasses import replace

import pytest

from controller_harness import HEIGHT, OLD, WIDTH, finish, generate, greeting, offline

NEW, OTHER = "3" + OLD[1:], "4" + OLD[1:]


@pytest.fixture
def online(harness, wire):
    harness.controller.receive(greeting(wire, protocol=(1, 5)))
    harness.link.sent.clear()
    return harness


def summary(wire, job=OLD, state="finished", **changes):
    values = {"title": "a cat + a beach", "width": WIDTH, "height": HEIGHT, "layers": 3, "submitted": 1.0, "ended": 2.0}
    return wire.JobSummary(**{"job": job, "state": state, "fetched": False, **values, **changes})


def lists(wire, *summaries):
    return wire.JobList(jobs=summaries)


def submit(wire, job=OLD, **values):
    drawn = {"background": wire.Generated(prompt="a beach"), "foregrounds": (wire.Generated(prompt="a cat"),)}
    return wire.Submit(**{"job": job, "width": WIDTH, "height": HEIGHT, "model": "tiny", "seed": 5, **drawn, **values})


def sent(harness, kind):
    return [message for message in harness.link.sent if isinstance(message, kind)]


def opened(harness, wire, *summaries):
    assert harness.controller.stored.open()
    harness.controller.receive(lists(wire, *summaries))


def took(harness, wire, **values):
    """Click on a picture, and deliver the server's answer."""
    harness.controller.stored.take(OLD)
    assert sent(harness, wire.FetchSubmission) == [wire.FetchSubmission(job=OLD)]
    harness.controller.receive(wire.Submission(job=OLD, submit=submit(wire, **values)))


# ---- the list --------------------------------------------------------------------------------------------------------


def test_the_users_own_finished_pictures_are_shown_with_names_and_thumbnails(online, wire):
    online.controller.receive(lists(wire, summary(wire)))
    assert not hasattr(online.view, "stored"), "nobody looks at them"
    opened(online, wire, summary(wire, NEW, "running", ended=None), summary(wire, name="Cats"), summary(wire, OTHER))
    assert wire.ListJobs(newest=200, own=True) in online.link.sent
    pictures, more = online.view.stored
    assert [(each.job, each.title, each.size, each.made) for each in pictures] == [
        (OLD, "Cats", (WIDTH, HEIGHT), 2.0),
        (OTHER, "a cat + a beach", (WIDTH, HEIGHT), 2.0),
    ]
    assert not more
    assert sent(online, wire.FetchThumbnail) == [wire.FetchThumbnail(job=job, side=128) for job in (OLD, OTHER)]
    online.controller.receive(wire.Thumbnail(job=OLD, width=2, height=1, pixels=bytes(8)))
    assert online.view.stored[0][0].thumbnail.data == bytes(8)
    online.controller.stored.close()
    online.controller.receive(lists(wire))
    assert online.view.stored[0] == (replace(pictures[0], thumbnail=online.view.stored[0][0].thumbnail), pictures[1])


def test_they_come_in_pages_and_only_thumbnails_of_pages_are_asked_for(online, wire):
    jobs = [summary(wire, f"{number:08x}{OLD[8:]}") for number in range(200)]
    opened(online, wire, *jobs)
    assert (len(online.view.stored[0]), online.view.stored[1]) == (24, True)
    for page in range(2, 9):
        online.controller.stored.more()
        assert len(online.view.stored[0]) == 24 * page
        assert len(sent(online, wire.FetchThumbnail)) == 24 * page
    assert wire.ListJobs(newest=400, own=True) not in online.link.sent
    online.controller.stored.more()
    assert wire.ListJobs(newest=400, own=True) in online.link.sent, "the list ends before the page"
    online.controller.receive(lists(wire, *jobs))
    assert (len(online.view.stored[0]), online.view.stored[1]) == (200, False)


@pytest.mark.parametrize("protocol", [(1, 4), None])
def test_without_a_server_that_tells_them_the_artist_is_told_so(harness, wire, protocol):
    if protocol is not None:
        harness.controller.receive(greeting(wire, protocol=protocol))
    assert not harness.controller.stored.open()
    ((kind, message, _),) = harness.view.told
    assert kind == "warn"
    assert message == (
        "The running server is older than this plugin and does not support this."
        if protocol
        else "No server is running."
    )


# ---- taking one ------------------------------------------------------------------------------------------------------


def test_a_click_adds_a_picture_to_the_document_as_the_server_has_it(online, wire):
    opened(online, wire, summary(wire, name="Cats"))
    took(online, wire, foregrounds=(wire.Generated(prompt="a cat", negative_prompt="fog"),), steps=4, preset="exact")
    assert sent(online, wire.Resume) == [wire.Resume(job=OLD, after=0)]
    assert online.view.busy and OLD in online.job_store.saved
    finish(online, wire, OLD)
    ((_, title, stack, record),) = online.document.inserted
    assert (title, len(stack)) == ("Cats", 3)
    assert {name: record[name] for name in ("foreground", "background", "negative", "seed", "steps", "preset")} == {
        "foreground": "a cat",
        "background": "a beach",
        "negative": "fog",
        "seed": 5,
        "steps": 4,
        "preset": "exact",
    }
    assert not sent(online, wire.Ack), "whether the picture was saved is another program's to say"
    assert not online.view.busy and not online.job_store.saved


def test_further_foregrounds_and_what_was_relit_come_into_the_fields(plugin, wire):
    from krita_layerfusion import actions
    from krita_layerfusion.settings import params_of

    pixels = {"layer": "0" * 64, "width": 2, "height": 2, "name": "cat", "prompt": "a cat"}
    dog = wire.Generated(prompt="a dog", seed=9, box=wire.Box(x=1, y=2, width=3, height=4), shape="1x1:eJz7DwABAQEA")
    relit = wire.Relit(**pixels, strength=0.7, negative_prompt="fog")
    found = params_of(actions.described(submit(wire, foregrounds=(relit, dog), blended_prompt="both")))
    assert (found.foreground, found.strength, found.negative, found.blended) == ("a cat", 0.7, "fog", "both")
    (other,) = found.others
    assert (other.prompt, other.seed, other.box, other.shape) == ("a dog", 9, (1, 2, 3, 4), dog.shape)
    kept = wire.Kept(**pixels)
    alone = params_of(actions.described(submit(wire, foregrounds=(kept,), background=kept)))
    assert (alone.foreground, alone.negative) == ("a cat", "")


def test_without_a_document_it_gets_one_of_its_size(online, wire):
    opened(online, wire, summary(wire))
    online.documents.open = False
    took(online, wire, width=96, height=128)
    created = online.documents.created
    assert (created.name, created.size) == ("a cat + a beach", (96, 128))
    assert online.view.notes == []


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((WIDTH, HEIGHT), None),
        ((2 * WIDTH, 2 * HEIGHT), "The picture is 128x96 px; Krita scales its layers to the canvas."),
        ((WIDTH, 2 * HEIGHT), "The picture is 64x96 px, another shape than the canvas: its layers start at"),
    ],
)
def test_a_canvas_of_another_size_is_named(online, wire, size, words):
    placement = online.document.placement()
    online.document.placement = lambda: replace(placement, canvas=(WIDTH, HEIGHT))
    opened(online, wire, summary(wire))
    took(online, wire, width=size[0], height=size[1])
    assert [note.startswith(words) for note in online.view.notes] == ([True] if words else [])


def test_clicking_again_adds_nothing_twice(online, wire):
    opened(online, wire, summary(wire))
    took(online, wire)
    online.controller.stored.take(OLD)
    online.controller.receive(wire.Submission(job=OLD, submit=submit(wire)))
    assert len(sent(online, wire.Resume)) == 1


def test_a_picture_that_the_document_has_is_shown(online, wire):
    from krita_layerfusion.history_entry import Entry

    record = {"submit": submit(wire).to_map()}
    online.document.pictures = [Entry(key=OLD, title="a cat", values=record, made=1.0, group="{g}", seen=False)]
    opened(online, wire, summary(wire))
    assert online.view.stored[0][0].there
    online.controller.stored.take(OLD)
    assert online.document.shown == [OLD]
    assert not sent(online, wire.FetchSubmission)


def test_a_picture_that_was_deleted_meanwhile_is_a_message_and_can_be_clicked_again(online, wire):
    opened(online, wire, summary(wire))
    for _ in range(2):
        online.controller.stored.take(OLD)
        online.controller.receive(wire.FetchFailed(job=OLD, code="unknown_job", message="There is no job.", hint=""))
    assert online.view.told == [("warn", "There is no job.", "")] * 2
    online.controller.receive(wire.Submission(job=OLD, submit=submit(wire)))
    assert not online.view.busy, "nobody has asked for it"


# ---- what other programs let the server draw -------------------------------------------------------------------------


def test_a_picture_of_another_program_is_in_the_queue(online, wire):
    foreign = summary(wire, NEW, "running", ended=None, name="Cats")
    online.controller.receive(lists(wire, foreign))
    online.controller.receive(lists(wire, foreign, summary(wire)))
    assert sent(online, wire.Resume) == [wire.Resume(job=NEW, after=2**53 - 1)]
    online.controller.receive(wire.Accepted(job=NEW, position=2))
    (row,) = online.view.queue
    assert (row.job, row.title, row.document, row.movable) == (NEW, "Cats", None, False)
    assert row.words == "In another program · Waiting for 2 other jobs"
    online.controller.receive(wire.Progress(job=NEW, stage="drawing", step=1, total=4))
    online.controller.receive(wire.Preview(job=NEW, role="blended", index=0, width=1, height=1, pixels=bytes(4)))
    (row,) = online.view.queue
    assert (row.words, row.picture.data) == ("In another program · Drawing 1 of 4", bytes(4))
    assert not online.view.busy
    online.controller.cancel_one(NEW)
    assert online.link.sent[-1] == wire.Cancel(job=NEW)
    online.controller.receive(wire.Cancelled(job=NEW, seq=2))
    assert online.view.queue == ()


def test_the_jobs_of_this_krita_are_not_another_programs(online, wire):
    own = generate(online)
    for _ in range(3):
        online.controller.receive(lists(wire, summary(wire, own.job, "running", ended=None)))
    assert online.view.queue == ()
    finish(online, wire, own.job)
    assert online.view.queue == ()


def test_the_list_is_looked_at_from_time_to_time_while_there_is_a_server_that_has_it(online, wire):
    for _ in range(17):
        online.controller.look()
    assert sent(online, wire.ListJobs) == [wire.ListJobs(newest=30, own=True)] * 3
    online.controller.receive(lists(wire, *[summary(wire, NEW, "queued", ended=None)] * 1))
    online.controller.receive(lists(wire, summary(wire, NEW, "queued", ended=None)))
    assert len(online.view.queue) == 1
    online.controller.receive(offline(resumable=False))
    assert online.view.queue == ()
    online.link.sent.clear()
    for _ in range(17):
        online.controller.look()
    assert not sent(online, wire.ListJobs)
