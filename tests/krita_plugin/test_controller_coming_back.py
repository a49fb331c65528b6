"""Pictures whose server, connection, document or Krita ends while they are drawn, and comes back."""

from controller_harness import (
    HEIGHT,
    LAST,
    OLD,
    ROLES,
    WIDTH,
    arrived,
    finish,
    generate,
    greeting,
    interrupted,
    offline,
)


def test_a_job_waits_for_a_server_that_is_gone(online, wire):
    submit = generate(online)
    online.controller.receive(wire.Accepted(job=submit.job, position=0))
    online.controller.receive(offline(resumable=False))
    assert (online.view.online, online.view.startable, online.view.busy) == (False, True, True)
    assert online.view.job == "Waiting for the server"
    online.controller.receive(greeting(wire, instance="two"))
    assert online.link.sent == [wire.Resume(job=submit.job, after=0)]


def test_a_lost_connection_is_resumed_after_the_last_event(online, wire):
    job = generate(online).job
    online.controller.receive(wire.Accepted(job=job, position=0))
    online.controller.receive(wire.Started(job=job, seq=1))
    online.controller.receive(arrived(wire, job, 2, 2))
    online.controller.receive(offline(resumable=True, message="The connection was lost.", hint=""))
    assert online.view.busy
    online.controller.receive(greeting(wire))
    assert online.link.sent == [wire.Resume(job=job, after=2)]
    for seq, index in ((3, 0), (4, 1)):
        online.controller.receive(arrived(wire, job, index, seq))
    online.controller.receive(wire.Done(job=job, seq=5, layers=3))
    assert len(online.document.inserted) == 1


def test_a_job_that_was_not_accepted_is_sent_again(online, wire):
    submit = generate(online)
    online.controller.receive(offline(resumable=True, message="The connection was lost.", hint=""))
    online.controller.receive(greeting(wire))
    assert [again for again, _ in online.link.submitted] == [submit, submit]
    assert not online.link.sent


def test_a_job_that_the_server_does_not_know_is_reported(online, wire):
    submit = generate(online)
    online.controller.receive(wire.Accepted(job=submit.job, position=0))
    online.controller.receive(greeting(wire, instance="two"))
    online.controller.receive(
        wire.Failed(job=submit.job, seq=0, code="unknown_job", message="There is no job.", hint="Submit it again.")
    )
    assert online.view.told[-1] == ("warn", "There is no job.", "Submit it again.")
    assert not online.view.busy
    assert not online.job_store.saved


def test_an_interrupted_job_is_drawn_again_once(online, wire):
    old = generate(online)
    online.controller.receive(wire.Accepted(job=old.job, position=0))
    online.controller.receive(wire.Started(job=old.job, seq=1))
    online.controller.receive(arrived(wire, old.job, 0, 2))
    online.controller.receive(interrupted(wire, old.job, 3))
    (again,) = online.link.sent
    assert (type(again).__name__, again.of) == ("Resubmit", old.job)
    assert online.view.busy
    assert list(online.job_store.saved) == [again.job]
    online.controller.receive(wire.Accepted(job=again.job, position=0))
    finish(online, wire, again.job)
    assert len(online.document.inserted) == 1
    assert len(online.document.inserted[0][2]) == len(ROLES)


def test_a_job_that_is_interrupted_twice_is_not_drawn_a_third_time(online, wire):
    old = generate(online)
    online.controller.receive(interrupted(wire, old.job, 2))
    (again,) = online.link.sent
    online.controller.receive(interrupted(wire, again.job, 2))
    assert online.view.told[-1][1] == "The server stopped."
    assert online.link.sent[1:] == [wire.Ack(job=again.job, seq=2)]
    assert not online.view.busy


def test_a_job_refused_by_a_stopping_server_is_sent_to_the_next_one(online, wire):
    submit = generate(online)
    online.controller.receive(wire.Failed(job=submit.job, seq=0, code="server_stopping", message="Stopping.", hint=""))
    assert not online.view.told
    online.controller.receive(offline(resumable=False))
    online.controller.receive(greeting(wire, instance="two"))
    assert [sent for sent, _ in online.link.submitted] == [submit, submit]


def test_layers_are_acknowledged_once_they_are_in_the_document(online, wire):
    job = generate(online).job
    assert list(online.job_store.saved) == [job]
    finish(online, wire, job)
    assert online.link.sent == [wire.Ack(job=job, seq=LAST)]
    assert not online.job_store.saved


def test_layers_whose_document_was_never_saved_stay_with_the_server(online, wire):
    job = generate(online).job
    online.documents.open = False
    finish(online, wire, job)
    assert online.view.told[-1][1] == "“Sketch” was closed before its layers arrived."
    assert online.view.remedy.label == "Open as a document"
    assert not online.link.sent
    assert not online.job_store.saved


def test_layers_whose_document_was_closed_wait_for_it(online, wire):
    online.document.saved = True
    job = generate(online).job
    online.documents.open = False
    finish(online, wire, job)
    assert "when you open the file again" in online.view.told[-1][2]
    assert not online.link.sent
    assert list(online.job_store.saved) == [job]
    online.controller.document_shown()
    assert not online.document.inserted
    online.documents.open = True
    online.controller.document_shown()
    online.controller.document_shown()
    assert len(online.document.inserted) == 1
    assert online.link.sent == [wire.Ack(job=job, seq=LAST)]
    assert not online.job_store.saved


def left_behind(harness, wire):
    """A saved job of a Krita process that has ended."""
    from krita_layerfusion.jobs import PendingJob

    submit = wire.Submit(
        job=OLD,
        width=WIDTH,
        height=HEIGHT,
        background=wire.Generated(prompt="b"),
        foregrounds=(wire.Generated(prompt="a"),),
        model="tiny",
    )
    return PendingJob(submit, harness.document.placement(), "a + b", {}, (), "mind the profile", accepted=True)


def test_layers_of_jobs_from_an_ended_krita_are_inserted(harness, wire):
    left = left_behind(harness, wire)
    harness.job_store.left.append(left)
    harness.controller.take_left()
    assert harness.view.job == "Waiting for the server", "the artist sees it before a server runs"
    harness.controller.receive(greeting(wire))
    assert harness.link.sent == [wire.Resume(job=OLD, after=0)]
    assert harness.view.busy, "the artist sees that a picture is still being drawn"
    assert harness.view.notes == ["Mind the profile."]
    submit = generate(harness)
    finish(harness, wire, OLD)
    assert [title for _, title, _, _ in harness.document.inserted] == ["a + b"]
    assert harness.link.sent[1:] == [wire.Ack(job=OLD, seq=LAST)]
    assert harness.view.busy
    finish(harness, wire, submit.job)
    assert len(harness.document.inserted) == 2
    assert not harness.view.busy


def test_a_job_of_an_ended_krita_that_the_server_deleted_is_deleted(harness, wire):
    left = left_behind(harness, wire)
    harness.job_store.left.append(left)
    harness.job_store.save(left)
    harness.controller.take_left()
    harness.controller.receive(greeting(wire))
    harness.controller.receive(wire.Failed(job=OLD, seq=0, code="unknown_job", message="There is no job.", hint=""))
    assert not harness.view.told
    assert not harness.job_store.saved


def test_start_server_starts_it_once_and_reports_its_end(harness, monkeypatch):
    from krita_layerfusion import launcher

    started = []
    monkeypatch.setattr(launcher, "start", lambda arguments, deliver: started.append((arguments, deliver)))
    harness.controller.start_server()
    assert started == [(launcher.command(), harness.posted.append)]
    assert (harness.view.server, harness.view.startable) == ("Starting the server…", False)
    harness.controller.receive(offline(resumable=False))
    assert harness.view.server == "Starting the server…"
    harness.controller.receive(launcher.ServerExited(1, "the port is taken"))
    assert harness.view.told[-1][1] == "The server stopped while starting: the port is taken"
    assert (harness.view.server, harness.view.startable) == ("No server is running", True)


def test_the_end_of_a_ready_server_is_reported_by_the_link_only(harness, wire, monkeypatch):
    from krita_layerfusion import launcher

    monkeypatch.setattr(launcher, "start", lambda *_: None)
    harness.controller.start_server()
    harness.controller.receive(greeting(wire))
    harness.controller.receive(launcher.ServerExited(0, "stopped"))
    assert not harness.view.told
    assert harness.view.online


def test_a_program_that_cannot_be_started_is_named(harness, monkeypatch, tmp_path):
    from krita_layerfusion import launcher

    monkeypatch.setattr(launcher, "command", lambda: [str(tmp_path / "layerfusion"), "serve"])
    harness.controller.start_server()
    ((kind, message, hint),) = harness.view.told
    assert kind == "warn"
    assert str(tmp_path / "layerfusion") in message
    assert "layerfusion plugin install" in hint
