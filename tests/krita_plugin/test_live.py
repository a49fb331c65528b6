"""Live: which jobs are drawn while the artist works, and what is shown of them."""

from dataclasses import replace

import pytest

from controller_harness import HEIGHT, WIDTH, arrived, generate, greeting, kept_background, kept_layer, offline, params


class Scratch:
    """Stands for the scratch layers in a document, whose content is a number that the test changes."""

    id = "{doc}"

    def __init__(self):
        from krita_layerfusion.jobs import Choice

        self.choice = Choice("{front}", "{behind}")
        self.content, self.shown, self.ended, self.painted = 0, [], False, False
        self.pen_is_down = False

    def waits(self):
        return self.pen_is_down

    def look(self):
        return self.content

    def touched(self):
        return self.painted

    def show(self, layers, size):
        self.shown.append(([layer.begin.role for layer in layers], size))

    def end(self):
        self.ended = True


@pytest.fixture
def live(online):
    """A controller whose Live has just begun."""
    online.document.keep, online.document.keep_behind = kept_layer(), kept_background()
    online.document.scratch = Scratch()
    online.controller.live.begin(params(steps=30))
    return online


@pytest.fixture
def online(harness, wire):
    harness.controller.receive(greeting(wire, protocol=(1, 6)))
    harness.link.sent.clear()
    return harness


def submits(harness):
    return [submit for submit, _ in harness.link.submitted]


def finish(harness, wire):
    job = submits(harness)[-1].job
    harness.controller.receive(wire.Accepted(job=job, position=0, notice="a demo model"))
    for seq, index in enumerate(range(3), 1):
        harness.controller.receive(arrived(wire, job, index, seq))
    harness.controller.receive(wire.Done(job=job, seq=4, layers=3))
    return job


def test_what_is_there_is_harmonised_quickly(live, wire):
    ((submit, pictures),) = live.link.submitted
    assert isinstance(submit.background, wire.Kept) and isinstance(submit.foregrounds[0], wire.Kept)
    assert (submit.preset, submit.steps, submit.variants, submit.passing) == ("fast", None, (), True)
    assert pictures == (live.document.keep.picture, live.document.keep_behind.picture)
    assert live.document.choice == live.document.scratch.choice, "whichever layer is active"
    assert live.view.live and not live.view.busy
    assert not live.job_store.saved, "nobody wants it after Krita was closed"


def test_its_layers_are_shown_and_the_server_forgets_the_job(live, wire):
    job = finish(live, wire)
    assert live.document.scratch.shown == [(["background", "foreground", "shadow"], (WIDTH, HEIGHT))]
    assert live.link.sent[-1] == wire.Delete(job=job)
    assert live.document.inserted == [] and live.view.notes == []
    assert len(submits(live)) == 1, "nothing has changed"


def test_the_latest_change_is_drawn_after_what_is_being_drawn(live, wire):
    for content in (1, 2, 3):
        live.document.scratch.content = content
        live.controller.look()
    assert len(submits(live)) == 1
    finish(live, wire)
    assert len(submits(live)) == 2
    finish(live, wire)
    assert len(submits(live)) == 2


def test_nothing_is_shown_or_begun_while_the_artist_is_in_the_middle_of_a_stroke(live, wire):
    scratch = live.document.scratch
    scratch.pen_is_down = True
    finish(live, wire)
    scratch.content = 1
    live.controller.look()
    assert scratch.shown == [] and len(submits(live)) == 1
    scratch.pen_is_down = False
    live.controller.look()
    assert len(scratch.shown) == 1 and len(submits(live)) == 2
    live.controller.look()
    assert len(scratch.shown) == 1, "once"


def test_what_the_artist_has_painted_on_shadow_meanwhile_is_not_drawn_over(live, wire):
    live.document.scratch.painted = True
    finish(live, wire)
    assert live.document.scratch.shown == [] and live.document.scratch.ended


def test_a_large_canvas_is_drawn_small(online, wire):
    online.document.keep, online.document.keep_behind = kept_layer(), kept_background()
    online.document.scratch, online.document.size = Scratch(), (4000, 3000)
    online.controller.live.begin(params())
    (submit,) = submits(online)
    assert (submit.width, submit.height) == (512, 384)


def test_it_waits_while_another_document_is_shown(live, wire):
    finish(live, wire)
    live.document.scratch.content = 1
    live.documents.document = replace(live.document, id="{other}")
    live.controller.look()
    assert len(submits(live)) == 1


@pytest.mark.parametrize("how", ["end", "failed", "offline", "gone"])
def test_it_ends_and_removes_its_layers(live, wire, how):
    job = submits(live)[-1].job
    if how == "end":
        live.controller.live.end()
    elif how == "failed":
        live.controller.receive(wire.Failed(job=job, seq=1, code="out_of_memory", message="No.", hint="Less."))
        assert live.view.told[-1] == ("warn", "No.", "Less.")
    elif how == "offline":
        live.controller.receive(offline(resumable=True))
    else:
        finish(live, wire)
        live.document.scratch.content = None
        live.controller.look()
    assert live.document.scratch.ended and not live.view.live
    live.document.scratch.content = 9
    live.controller.look()
    assert len(submits(live)) == 1


def test_without_a_server_it_does_not_begin(harness, wire):
    harness.document.scratch = Scratch()
    harness.controller.live.begin(params())
    assert harness.view.told[0][1] == "No server is running."
    assert not harness.view.live
    harness.controller.receive(greeting(wire))
    harness.controller.look()
    assert not harness.link.submitted


def test_what_was_being_drawn_is_cancelled(live, wire):
    job = submits(live)[-1].job
    live.controller.live.end()
    assert live.link.sent[-1] == wire.Cancel(job=job)
    live.controller.receive(wire.Cancelled(job=job, seq=2))
    assert live.link.sent[-1] == wire.Cancel(job=job), "the server deletes it"
    assert live.view.told == []


def test_an_older_server_would_keep_each_glance_as_a_picture(harness, wire):
    harness.document.keep, harness.document.keep_behind = kept_layer(), kept_background()
    harness.document.scratch = Scratch()
    harness.controller.receive(greeting(wire, protocol=(1, 5)))
    harness.controller.live.begin(params())
    assert "older than this plugin" in harness.view.told[-1][1]
    assert harness.link.submitted == [] and harness.document.scratch.ended and not harness.view.live


def test_other_jobs_go_on_beside_it(live, wire):
    other = generate(live).job
    live.controller.receive(wire.Accepted(job=other, position=1))
    assert live.view.busy and live.view.job.startswith("Waiting for 1 other job")


def test_it_ends_when_the_artist_paints_on_shadow_or_light(live, wire):
    finish(live, wire)
    live.document.scratch.painted = True
    live.controller.look()
    assert live.document.scratch.ended and not live.view.live
    assert live.view.told[-1][:2] == ("warn", "You have changed Shadow or Light, so Live has ended.")
    assert len(submits(live)) == 1
