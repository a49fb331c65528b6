import itertools

import numpy as np
import pytest

from layerfusion.engine.image.geometry import Box, Size
from layerfusion.engine.image.placement import fitted, in_box, side_by_side, visible_box


@pytest.fixture
def picture():
    """A red bar of 40x20 px, and faint pixels far from it that do not count as visible."""
    pixels = np.zeros((100, 100, 4), np.uint8)
    pixels[30:50, 10:50] = (200, 0, 0, 255)
    pixels[90, 90] = (0, 0, 255, 5)
    return pixels


def test_only_visible_pixels_count(picture):
    assert visible_box(picture) == (10, 30, 50, 50)
    assert visible_box(np.zeros((5, 5, 4), np.uint8)) is None
    assert fitted(np.zeros((5, 5, 4), np.uint8), Box(0, 0, 16, 16)) is None


@pytest.mark.parametrize(
    ("box", "size", "place"),
    [
        (Box(100, 200, 40, 20), (40, 20), (100, 200)),
        (Box(100, 200, 80, 200), (80, 40), (100, 360)),
        (Box(100, 200, 80, 20), (40, 20), (120, 200)),
    ],
)
def test_the_result_fills_the_box_and_stands_centred_on_its_lower_edge(picture, box, size, place):
    found = fitted(picture, box)
    assert found is not None
    pixels, offset = found
    assert (pixels.shape[1], pixels.shape[0]) == size
    assert offset == place
    assert (pixels[2:-2, 2:-2] == (200, 0, 0, 255)).all()


def test_in_box_is_opaque_inside_the_box_only():
    sheet = in_box(Box(3, 4, 20, 16), Size(64, 70))
    assert sheet.shape == (70, 64, 4)
    assert sheet[..., 3].sum() == 255 * 20 * 16
    assert sheet[4, 3, 3] == sheet[19, 22, 3] == 255


def test_boxes_stand_side_by_side_in_the_order_of_their_sizes():
    boxes = side_by_side(3, Size(600, 400))
    assert all(box.lies_in(Size(600, 400)) for box in boxes)
    assert all(left.x + left.width < right.x for left, right in itertools.pairwise(boxes))
    assert [box.width * box.height for box in boxes] == sorted((box.width * box.height for box in boxes), reverse=True)
    assert len({box.y + box.height for box in boxes}) == 1


def test_boxes_lie_beside_what_has_a_place_already():
    beside = side_by_side(1, Size(600, 400), [(0, 120), (200, 330)])
    assert beside is not None
    assert [box.x > 330 for box in beside] == [True]
    before = side_by_side(1, Size(600, 400), [(0, 300), (280, 590)])
    assert before is not None
    assert [box.width > 500 for box in before] == [True], "no gap is wide enough"


def test_a_canvas_may_be_too_small_for_so_many_boxes():
    assert side_by_side(6, Size(64, 64)) is None
