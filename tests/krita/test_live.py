"""A test in a real Krita of Shadow and Light that follow."""

import pytest

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]

STACK = ["Background", "Foreground", "Shadow", "Light", "Blended"]


def test_shadow_and_light_follow_what_is_moved_scaled_and_painted_until_live_is_switched_off(facts):
    found = facts("follow_with_shadow_and_light")
    assert found["layers"] == STACK, "no layer is added"
    assert found["active"] == "Foreground"
    assert found["differ"] == 4, "each change was followed"
    assert not found["busy"]
    assert found["layers after"] == STACK and not found["pressed"]
    assert found["same"] == [True, False, True, True, True], "only the artist has changed something"


def test_an_update_is_little_work(facts):
    """Our aim is an update in 1.5 s on two cores, of which most is the work of one; twice that is for slower ones."""
    assert max(facts("follow_with_shadow_and_light")["work"]) <= 3.0


def test_only_the_artist_and_harmonise_add_to_the_undo_history(facts):
    begun, followed, ended, harmonised = facts("follow_with_shadow_and_light")["entries"]
    assert begun == 0
    assert followed == ended == 1, "scaling is the artist's"
    assert harmonised == 1


def test_harmonise_settles_what_was_followed(facts):
    found = facts("follow_with_shadow_and_light")
    assert found["tree"] == ["Background", *["a red apple + a beach at sunset"] * 2]
    assert found["in the result"] == STACK
    assert found["shadow at the end"], "the group that was followed is as it was"


def test_what_the_artist_paints_on_shadow_stays(facts):
    found = facts("follow_with_shadow_and_light")
    assert found["painted"] == "000000ff"
    assert not found["still pressed"]
