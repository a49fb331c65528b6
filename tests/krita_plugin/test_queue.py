"""The list of the pictures that wait: what is shown of them, their order, and cancelling one."""

import pytest

from controller_harness import finish, generate, greeting, kept_layer, params


@pytest.fixture
def three(online, wire):
    """Three presses; the first picture is being drawn."""
    jobs = [generate(online, foreground=each).job for each in ("an apple", "a pear", "a plum")]
    for position, job in enumerate(jobs):
        online.controller.receive(wire.Accepted(job=job, position=position, starts_in=5.0 * position))
    online.controller.receive(wire.Started(job=jobs[0], seq=1))
    return jobs


def titles(harness):
    return [each.title for each in harness.view.queue]


def test_what_waits_is_listed_with_its_document_and_time(online, three):
    assert titles(online) == ["a pear + a beach", "a plum + a beach"]
    pear, plum = online.view.queue
    assert pear.words == "Waiting for 1 other job · starts in about 5 s"
    assert (pear.document, pear.picture) == ("Sketch", None)
    assert (pear.movable, plum.movable) == (False, True), "the picture that is being drawn stays the first"


def test_a_picture_is_drawn_earlier(online, wire, three):
    apple, pear, plum = three
    online.controller.draw_earlier(plum)
    assert online.link.sent == [wire.Move(job=plum, before=pear)]
    assert titles(online) == ["a plum + a beach", "a pear + a beach"]
    online.controller.draw_earlier(plum)
    assert len(online.link.sent) == 1
    finish(online, wire, apple)
    assert titles(online) == ["a pear + a beach"]
    assert online.view.job.startswith("Waiting for 2 other jobs")


def test_one_of_them_is_cancelled(online, wire, three):
    online.controller.cancel_one(three[1])
    assert online.link.sent == [wire.Cancel(job=three[1])]
    assert titles(online) == ["a plum + a beach"]
    assert three[1] not in online.job_store.saved and three[2] in online.job_store.saved
    finish(online, wire, three[1])
    assert online.document.inserted == []
    online.controller.cancel_one(three[1])
    assert len(online.link.sent) == 1


def test_a_kept_layer_and_then_a_preview_is_the_picture_of_a_job(online, wire):
    generate(online)
    online.document.keep = kept_layer()
    online.controller.new_background(params())
    (waiting,) = online.view.queue
    assert waiting.picture is online.document.keep.picture
    job = waiting.job
    online.controller.receive(wire.Preview(job=job, role="blended", index=0, width=1, height=1, pixels=bytes(4)))
    assert online.view.queue[0].picture.data == bytes(4)
    assert online.view.pictures == [], "the large preview is that of the first job"


def test_an_older_server_cannot_change_the_order(online, wire, three):
    online.controller.receive(greeting(wire, "two", (1, 3)))
    assert [each.movable for each in online.view.queue] == [False, False]


def test_without_jobs_the_list_is_empty(online, wire):
    finish(online, wire, generate(online).job)
    assert online.view.queue == ()
