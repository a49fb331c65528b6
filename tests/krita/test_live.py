"""A test in a real Krita of Shadow and Light that follow."""

import pytest

pytestmark = [pytest.mark.krita, pytest.mark.timeout(1600)]

STACK = ["Background", "Foreground", "Shadow", "Light", "Blended"]


def test_shadow_and_light_follow_in_scratch_layers_until_live_is_switched_off(facts):
    found = facts("follow_with_shadow_and_light")
    assert found["layers"] == [*STACK, "Live preview"]
    assert found["blends"] == ["multiply", "add", "Live preview"]
    assert found["hidden"] == [False, False], "the group's own Shadow and Light"
    assert found["active"] == "Foreground"
    assert found["differ"] == 4, "each change was followed"
    assert found["entries"] == [1, 0], "beginning is an entry; following adds none"
    assert not found["busy"]
    assert found["layers after"] == STACK and not found["pressed"]
    assert found["same"] == [True, False, True, True, True], "only the artist has changed something"


def test_harmonise_settles_what_was_followed(facts):
    found = facts("follow_with_shadow_and_light")
    assert found["tree"] == ["Background", *["a red apple + a beach at sunset"] * 2]
    assert found["in the result"] == STACK
    assert found["layers at the end"] == STACK
