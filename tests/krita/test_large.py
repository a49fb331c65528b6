"""Tests in a real Krita of large sheets, and of a window that goes on reacting while layers come and go."""

import pytest
from psd_tools import PSDImage
from psd_tools.constants import Resource

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]

STACK = ["Background", "Foreground", "Shadow", "Light", "Blended"]
MOST = 150
"""Milliseconds of CPU time without a turn of the event loop. Our aim is 100; the rest is for slower processors."""


@pytest.mark.parametrize("name", ["768x512", "4000x3000"])
@pytest.mark.parametrize("what", ["insertion", "export"])
def test_krita_goes_on_reacting_while_layers_are_added_and_exported(facts, name, what):
    found = facts("go_on_while_layers_come_and_go")[name]
    assert found["tree"] == ["Background", "a red apple + a beach at sunset"]
    assert found[what]["longest"] <= MOST, found


def test_a_large_export_is_whole(facts, session):
    assert facts("go_on_while_layers_come_and_go")
    psd = PSDImage.open(session[0] / "4000x3000.psd")
    assert (psd.width, psd.height, [layer.name for layer in psd]) == (4000, 3000, STACK)


def test_krita_goes_on_reacting_while_a_large_layer_with_a_mask_is_kept_and_put_back(facts):
    found = facts("keep_a_large_layer_with_a_mask")
    assert found["same"] and found["masks"] == 1, "byte for byte"
    assert found["keeping"]["longest"] <= MOST, found
    assert found["putting back"]["longest"] <= max(MOST, 2 * found["opening"]), found


def test_a_sheet_of_a3_is_drawn_smaller_and_enlarged(facts, session):
    found = facts("draw_on_a_sheet_of_a3")
    assert found["background"] == [0, 0, 4961, 3508]
    left, top, width, height = found["foreground"]
    assert 2500 < left < left + width < 4500 and 1700 < top < top + height < 3300, "it is in the selection"
    assert any("it draws 4096x2896 px, and Krita enlarges them." in text for text in found["texts"])
    psd = PSDImage.open(session[0] / "a3.psd")
    assert (psd.width, psd.height, len(list(psd))) == (4961, 3508, 5)
    assert psd.image_resources.get_data(Resource.RESOLUTION_INFO).horizontal == 300 * 65536
