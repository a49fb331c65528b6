"""Files that LayerFusion has written, opened in a real Krita and harmonised there."""

import pytest

from our_document import BACKGROUND, FOREGROUND

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]


@pytest.mark.parametrize("name", ["ours.psd", "ours.ora"])
def test_a_file_of_ours_is_harmonised_without_a_prompt_being_typed(facts, name):
    found = facts("harmonise_our_files")[name]
    assert found["group"] == f"{FOREGROUND} + {BACKGROUND}"
    assert found["layers"] == ["Background", "Foreground", "Shadow", "Light", "Blended"]
    assert found["kept"]


def test_a_picture_waits_until_its_file_is_opened_again(facts):
    found = facts("open_a_file_for_which_a_picture_waits")
    assert any("The layers are added when you open the file again." in text for text in found["closed"])
    assert found["saved"] == ["Background"]
    assert found["tree"] == ["Background", "a red apple + a beach at sunset"]
    assert found["layers"] == ["Background", "Foreground", "Shadow", "Light", "Blended"]
