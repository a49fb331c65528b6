"""Tests in a real Krita with the pen on the canvas: no stroke of the artist is cut."""

import pytest

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]

GROUP = "a red apple + a beach at sunset"


def test_layers_arrive_when_the_stroke_is_finished(facts):
    found = facts("paint_while_layers_arrive")
    assert "Waiting until your stroke or dialog is finished" in found["texts"]
    assert found["meanwhile"] == ["Background"]
    assert found["tree"] == ["Background", GROUP]
    assert found["entries"] == ["Freehand Brush Stroke", "Add Layer"], "the stroke is one"
    left, right = found["painted"]
    assert right - left > 300, "and whole"


def test_nothing_is_changed_while_a_dialog_waits_for_an_answer(facts):
    found = facts("answer_a_dialog_while_layers_arrive")
    assert found["waits"], "the dialog may be about closing the document"
    assert (found["meanwhile"], found["tree"]) == (["Background"], ["Background", GROUP])


def test_live_cuts_no_stroke(facts):
    found = facts("paint_and_drag_while_shadow_and_light_follow")["KritaShape/KisToolBrush"]
    assert found["meanwhile"], "nothing follows before the pen is lifted"
    assert found["entries"] == ["Freehand Brush Stroke"]
    left, right = found["painted"]
    assert right - left > 160


def test_live_lets_go_of_nothing_that_is_dragged(facts):
    found = facts("paint_and_drag_while_shadow_and_light_follow")["KritaTransform/KisToolMove"]
    assert found["meanwhile"] and found["moved"] == 160 and found["entries"] == ["Move"]


def test_live_waits_until_a_transformation_is_applied(facts):
    found = facts("paint_and_drag_while_shadow_and_light_follow")["KisToolTransform"]
    assert found["meanwhile"] and found["before it is applied"] == [0, True]
    assert len(found["entries"]) == 1
