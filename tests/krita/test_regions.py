"""A test in a real Krita of foregrounds in selections that are no rectangles."""

import pytest

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]


def test_a_foreground_is_drawn_in_a_lasso_and_fades_where_that_is_feathered(facts):
    found = facts("draw_in_a_lasso")
    assert found["outside"] == 0
    assert found["more than the selection"] <= 3, "the shape reaches the server with 256 px a side"
    assert found["solid"] > 1000


def test_the_place_of_another_foreground_has_the_shape_of_the_selection(facts):
    found = facts("draw_in_a_lasso")
    assert found["place"] == ["99x119 at 131, 21"], "the ellipse touches no side of its box"
    assert found["inside"] > 0.98
    assert found["all"] > 1000
