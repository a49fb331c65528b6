"""A test in a real Krita of pressing again while a picture is drawn."""

import pytest

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]

BEACH, FOREST, MOON = (f"a red apple + {each}" for each in ("a beach at sunset", "a forest", "the moon at night"))


def test_what_waits_is_listed_reordered_and_cancelled_and_each_picture_lands_in_its_document(facts):
    found = facts("press_again_and_again")
    assert [text.split("\n")[0] for text in found["waiting"]] == [BEACH, FOREST, MOON]
    assert any(" · 3 more" in text for text in found["words"])
    assert [text.split("\n")[0] for text in found["moved"]] == [MOON, BEACH, FOREST]
    assert [text.split("\n")[0] for text in found["cancelled"]] == [MOON, BEACH]
    assert found["still drawing"]
    assert found["one"] == ["Background", BEACH]
    assert found["two"] == ["Background", MOON, BEACH], "the one that was moved came first"
    assert found["rows after"] == []
