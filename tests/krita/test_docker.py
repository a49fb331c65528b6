"""Tests of the docker in a real Krita: windows, sizes, keys, and what it shows before a button is pressed."""

import subprocess
import zipfile

import pytest

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]

FIRST = "a red apple + a beach at sunset"


def said(facts, words):
    return any(words in text for text in facts["texts"])


def test_at_its_first_start_the_docker_can_be_used_on_a_small_screen(session):
    if not session[1]["krita"].startswith("5.1"):
        pytest.skip("this Krita has a start page, and shows no dockers before a document is open")
    found = session[1]["first look"]
    assert found["visible"]
    assert found["window"] == [1280, 800], "it asks for no more than there is"
    assert found["in sight"] == ["Generate", "Export PSD…"], found
    assert found["size"][0] >= 280 and found["size"][1] >= 240, "prompts and messages can be read"


def test_a_window_that_is_closed_takes_no_picture_with_it(facts):
    found = facts("close_the_second_window")
    assert found["dockers"] == 2
    assert found["ready"], "a new window knows the server"
    assert found["first window shows it"]
    assert found["tree"] == ["Background", FIRST]
    assert said(found, "Drawn into “Two windows”.")
    assert not found["errors"]
    assert "Foreground" in found["again"]


def test_the_menu_entry_shows_the_docker_again(facts):
    assert facts("work_in_a_small_docker")["shown again"]


def test_job_and_cancel_are_in_sight_however_low_the_docker_is(facts):
    found = facts("work_in_a_small_docker")
    assert found["height"] < 400
    assert found["cancel in sight"]


def test_ctrl_enter_generates_and_escape_cancels(facts):
    found = facts("use_the_keyboard")
    assert found["busy after ctrl+enter"]
    assert found["text"], "it is no new line"
    assert not found["busy after escape"]
    assert said(found, "Cancelled.")
    assert found["lines after enter"] == 1
    assert not found["busy after enter"]


def test_every_button_has_an_action_to_which_a_shortcut_can_be_given(facts):
    found = facts("use_shortcuts")
    assert found["missing"] == []
    assert found["busy"]
    assert found["tree"] == ["Background", FIRST, FIRST]
    assert not said(found, "Cancelled."), "there was nothing to cancel"
    assert not found["errors"]


def test_a_problem_is_solved_by_the_button_below_it(facts):
    found = facts("solve_a_problem_by_its_button")
    assert said(found, "The layer “Foreground” is hidden.")
    assert found["in sight"]
    assert found["visible"]
    assert found["tree"] == ["Background", FIRST, FIRST]


def test_the_docker_shows_and_changes_what_the_next_button_works_on(facts):
    found = facts("choose_layers_in_the_docker")
    assert found["empty"] == ["Foreground: none yet", "Background"]
    assert found["drawn"] == ["Foreground", "Background"], "no word twice"
    assert found["thumbnails"] == [True, True]
    assert found["own layer"] == "Foreground: R&&D"
    assert found["entries"] == [
        "As the selected layer says",
        "R&&D",
        f"Foreground · {FIRST}",
        "Foreground · The first one",
        "Background",
    ]
    assert found["chosen"] == "Foreground (chosen)"
    assert found["second is another"]
    assert found["foreground of the first"], "the chosen one was kept, not the selected one"
    assert "chosen" not in found["after"], "the result has a copy of it"


HIDPI = """
import sys
sys.path.insert(0, sys.argv[1])
from PyQt5.QtWidgets import QApplication
application = QApplication([])
from layerfusion.images import Picture
from layerfusion.widgets import PreviewBox
preview = PreviewBox()
preview.show_picture(Picture(0, 0, 256, 128, bytes((9, 99, 199, 255)) * (256 * 128)))
pixmap = preview.pixmap()
print(preview.devicePixelRatioF(), pixmap.devicePixelRatio(), pixmap.width(), pixmap.height())
print(preview.sizeHint().width())
"""


@pytest.mark.parametrize(("factor", "shown"), [("1", "1.0 1.0 160 80 160"), ("2", "2.0 2.0 320 160 160")])
def test_a_preview_is_as_large_and_sharper_on_a_screen_of_high_resolution(plugin_zip, tmp_path, factor, shown):
    with zipfile.ZipFile(plugin_zip) as archive:
        archive.extractall(tmp_path)
    environment = {"PATH": "/usr/bin", "QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": factor}
    command = ["/usr/bin/python3", "-c", HIDPI, str(tmp_path)]  # the Python and the PyQt with which Krita comes
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout.split() == shown.split(), done.stderr
