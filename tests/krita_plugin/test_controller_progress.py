"""What the controller shows while it draws, and how it exports; with stand-ins for the docker, the link and Krita."""

import pytest

from controller_harness import finish, generate

# ---- while it draws --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eta", "words"),
    [
        (None, "Drawing 3 of 20"),
        (0.4, "Drawing 3 of 20"),
        (12.4, "Drawing 3 of 20 · 12 s left"),
        (130, "Drawing 3 of 20 · 2 min 10 s left"),
    ],
)
def test_progress_is_shown_in_steps_and_time(online, wire, eta, words):
    job = generate(online).job
    online.controller.receive(wire.Progress(job=job, stage="drawing", step=3, total=20, eta=eta))
    assert (online.view.job, online.view.bar) == (words, (3, 20))


def test_the_position_in_the_queue_is_shown(online, wire):
    job = generate(online).job
    online.controller.receive(wire.Accepted(job=job, position=2))
    assert online.view.job == "Waiting for 2 other jobs"
    online.controller.receive(wire.Queued(job=job, position=1, starts_in=75.2))
    assert online.view.job == "Waiting for 1 other job · starts in about 1 min 15 s"
    online.controller.receive(wire.Queued(job=job, position=0, starts_in=0.3))
    assert online.view.job == "Next in the queue"


def test_previews_of_the_whole_picture_replace_those_of_layers(online, wire):
    job = generate(online).job
    for role, value in (("foreground", 1), ("blended", 2), ("foreground", 3), ("background", 4), ("blended", 5)):
        online.controller.receive(
            wire.Preview(job=job, role=role, index=0, width=2, height=1, pixels=bytes([value]) * 8)
        )
    assert [picture.data[0] for picture in online.view.pictures] == [1, 2, 5]


def test_a_failed_job_shows_message_and_hint(online, wire):
    job = generate(online).job
    online.controller.receive(
        wire.Failed(job=job, seq=2, code="out_of_memory", message="It does not fit.", hint="Smaller.")
    )
    assert online.view.told == [("warn", "It does not fit.", "Smaller.")]
    assert not online.view.busy


def test_messages_about_a_cancelled_job_are_ignored(online, wire):
    job = generate(online).job
    online.controller.cancel()
    assert online.link.sent == [wire.Cancel(job=job)]
    assert not online.view.busy
    finish(online, wire, job)
    online.controller.receive(wire.Cancelled(job=job, seq=6))
    assert not online.document.inserted
    assert online.view.told == [("say", "Cancelled.", "")]
    assert not online.view.busy


def test_cancel_without_a_job_does_nothing(online):
    online.controller.cancel()
    assert not online.link.sent
    assert not online.view.told


def test_messages_about_other_jobs_are_ignored(online, wire):
    generate(online)
    finish(online, wire, "01234567-89ab-cdef-0123-456789abcdef")
    assert online.view.busy
    assert not online.document.inserted


# ---- export ----------------------------------------------------------------------------------------------------------


def test_export_suggests_a_valid_file_name(harness, tmp_path):
    offered = []

    def choose(path):
        offered.append(path)
        return str(tmp_path / "picture")

    harness.document.folder = tmp_path
    harness.controller.export_psd(choose)
    assert offered == [tmp_path / "an apple_ red_green_.psd"], "beside the document"
    assert harness.document.exported == [tmp_path / "picture.psd"]
    assert harness.view.told[-2:][0][:2] == ("say", "Writing “an apple: red/green?”…")
    assert harness.view.told[-1][:3] == (
        "say",
        f"“an apple: red/green?” was written to {tmp_path / 'picture.psd'}",
        "“Haze” is left out.",
    )


def test_export_never_replaces_a_file_about_which_nobody_was_asked(harness, tmp_path):
    (tmp_path / "picture.png.psd").write_text("an older export")
    harness.controller.export_psd(lambda _: str(tmp_path / "picture.png"))
    assert not harness.document.exported
    assert "picture.png.psd” is there already." in harness.view.told[-1][1]


def test_export_can_be_cancelled(harness):
    harness.controller.export_psd(lambda name: "")
    assert not harness.document.exported
    assert not harness.view.told
