"""Several pictures from one press of a button."""

import pytest

from controller_harness import finish, generate, greeting, interrupted, kept_background, offline, params


@pytest.fixture
def three(online, wire):
    """The accepted jobs of a submission of three pictures with a kept background."""
    online.document.keep_behind = kept_background()
    online.controller.new_foreground(params(seed=2**53 - 2, pictures=3))
    ((submit, pictures),) = online.link.submitted
    assert pictures == (online.document.keep_behind.picture,)
    return [submit.job, *(variant.job for variant in submit.variants)]


def accept(harness, wire, jobs):
    for position, job in enumerate(jobs):
        harness.controller.receive(wire.Accepted(job=job, position=position))


def came_back(harness):
    return harness.document.keep_behind.picture.data, None, None


def test_each_of_several_pictures_has_a_seed_and_a_group_of_its_own(online, wire, three):
    assert list(online.job_store.saved) == three
    accept(online, wire, three)
    assert online.view.job == "Next in the queue · 2 more"
    for job in three:
        assert online.view.busy
        finish(online, wire, job, came_back(online))
    assert not online.view.busy
    assert [record["seed"] for *_, record in online.document.inserted] == [2**53 - 2, 2**53 - 1, 0]
    assert [message.job for message in online.link.sent] == three, "each is acknowledged"
    assert not online.job_store.saved


def test_they_are_variants_of_each_other_and_a_single_picture_is_none(online, wire, three):
    from krita_layerfusion.groups import variant_of

    accept(online, wire, three)
    for job in three:
        finish(online, wire, job, came_back(online))
    variants = [variant_of(record) for *_, record in online.document.inserted]
    assert variants == [(three[0], 1), (three[0], 2), (three[0], 3)]
    assert variant_of(generate(online).to_map()) is None


def test_the_artist_pages_through_variants_and_keeps_one(online):
    online.controller.variants.step(1)
    assert online.view.told == [], "there are none"
    online.document.set = 0, 3
    online.controller.look(anew=True)
    assert online.view.variants == (0, 3)
    online.controller.variants.step(-1)
    assert online.view.variants == (2, 3)
    online.controller.variants.keep()
    assert online.view.variants == (0, 0)
    assert online.view.told == [("say", "Kept this one.", "The others are in the history.")]


def test_cancel_ends_all_of_them(online, wire, three):
    accept(online, wire, three)
    finish(online, wire, three[0], came_back(online))
    online.controller.cancel()
    assert online.link.sent[1:] == [wire.Cancel(job=three[1]), wire.Cancel(job=three[2])]
    assert not online.view.busy
    assert online.view.told[-1] == ("say", "Cancelled.", "")
    finish(online, wire, three[1], came_back(online))
    assert len(online.document.inserted) == 1


def test_a_refused_submission_ends_all_its_pictures(online, wire, three):
    online.controller.receive(wire.Failed(job=three[0], seq=0, code="queue_full", message="Too many.", hint=""))
    assert online.view.told == [("warn", "Too many.", "")]
    assert not online.view.busy
    assert not online.job_store.saved


def test_one_that_fails_leaves_the_others(online, wire, three):
    accept(online, wire, three)
    online.controller.receive(wire.Failed(job=three[0], seq=1, code="out_of_memory", message="No.", hint=""))
    assert online.view.busy
    for job in three[1:]:
        finish(online, wire, job, came_back(online))
    assert len(online.document.inserted) == 2
    assert not online.view.busy


def test_after_a_lost_connection_the_submission_is_sent_once_and_accepted_jobs_are_resumed(online, wire, three):
    online.controller.receive(offline(resumable=True))
    online.controller.receive(greeting(wire))
    assert [submit.job for submit, _ in online.link.submitted] == [three[0]] * 2
    accept(online, wire, three)
    online.controller.receive(offline(resumable=True))
    online.controller.receive(greeting(wire))
    assert online.link.sent == [wire.Resume(job=job, after=0) for job in three]


def test_an_interrupted_one_of_them_is_drawn_again_after_the_others(online, wire, three):
    accept(online, wire, three)
    online.controller.receive(interrupted(wire, three[0], 1))
    (again,) = online.link.sent
    assert (type(again).__name__, again.of) == ("Resubmit", three[0])
    online.controller.receive(offline(resumable=True))
    online.controller.receive(greeting(wire))
    ((submit, pictures),) = online.link.submitted[1:]
    assert (submit.job, submit.variants, len(pictures)) == (again.job, (), 1)
    for job in (*three[1:], again.job):
        assert online.view.busy
        finish(online, wire, job, came_back(online))
    assert [record["seed"] for *_, record in online.document.inserted] == [2**53 - 1, 0, 2**53 - 2]
    assert not online.view.busy
