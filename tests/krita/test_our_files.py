"""Files that LayerFusion has written, opened in a real Krita and harmonised there."""

import pytest

from our_document import BACKGROUND, FOREGROUND

pytestmark = [pytest.mark.krita, pytest.mark.timeout(1600)]


@pytest.mark.parametrize("name", ["ours.psd", "ours.ora"])
def test_a_file_of_ours_is_harmonised_without_a_prompt_being_typed(facts, name):
    found = facts("harmonise_our_files")[name]
    assert found["group"] == f"{FOREGROUND} + {BACKGROUND}"
    assert found["layers"] == ["Background", "Foreground", "Shadow", "Light", "Blended"]
    assert found["kept"]
