import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.image.geometry import Box, Framing, Size, check_canvas, draft_size, working_size
from layerfusion.engine.models.catalog.registry import find_model

MODELS = [(32, 128), (64, 1024), (8, 64)]


@st.composite
def canvases(draw):
    width = draw(st.integers(64, 4096))
    return Size(width, draw(st.integers(max(64, -(-width // 4)), min(4096, 4 * width))))


@pytest.mark.parametrize(("stride", "native", "longest"), [*((*model, 1.0) for model in MODELS), (64, 256, 2.0)])
@given(canvas=canvases())
def test_the_working_size_covers_any_canvas_without_stretching(stride, native, longest, canvas):
    framing = working_size(canvas, stride=stride, native_area=native**2, native_aspect=longest)
    working = framing.working
    assert working.width % stride == working.height % stride == 0
    aspect = max(canvas.width, canvas.height) / min(canvas.width, canvas.height)
    assert 0.6 <= working.area / native**2 / min(aspect, longest) <= 1.6

    left, top, right, bottom = framing.window
    assert (right - left) / (bottom - top) == pytest.approx(canvas.width / canvas.height)
    assert left == pytest.approx(working.width - right)
    assert (bottom if longest > 1 else top + bottom) == pytest.approx(working.height)
    cropped = working.width - (right - left), working.height - (bottom - top)
    assert min(cropped) == pytest.approx(0, abs=1e-6)
    assert max(cropped) < stride


@pytest.mark.parametrize(
    ("canvas", "working"),
    [
        (Size(512, 512), Size(256, 256)),
        (Size(64, 64), Size(256, 256)),
        (Size(1024, 768), Size(320, 256)),
        (Size(1920, 1080), Size(448, 256)),
        (Size(1080, 1920), Size(256, 448)),
        (Size(1024, 512), Size(512, 256)),
        (Size(2048, 512), Size(768, 192)),
    ],
)
def test_sizes_of_the_embedded_model(canvas, working):
    assert find_model("tiny").framing(canvas).working == working


def test_objects_of_the_embedded_model_keep_their_feet():
    assert find_model("tiny").framing(Size(640, 480)).window == (0, 16, 320, 256)
    assert find_model("tiny").draft_size(Box(0, 0, 400, 300)) == Size(320, 256)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        (Box(0, 0, 140, 140), Size(1024, 1024)),
        (Box(5, 9, 16, 16), Size(1024, 1024)),
        (Box(0, 0, 300, 400), Size(896, 1216)),
        (Box(0, 0, 30, 4000), Size(896, 1216)),
        (Box(0, 0, 4000, 30), Size(1216, 896)),
    ],
)
def test_a_draft_has_the_boxs_shape_within_limits_and_the_models_area(box, size):
    assert draft_size(box, stride=64, native_area=1024 * 1024) == size


def test_a_canvas_of_the_native_size_is_drawn_at_that_size():
    framing = working_size(Size(1024, 1024), stride=64, native_area=1024 * 1024)
    assert framing == Framing(Size(1024, 1024), Size(1024, 1024))
    assert framing.scale == 1
    assert framing.window == (0, 0, 1024, 1024)


def test_sizes_are_whole_and_positive(subtests):
    for sides in [(0, 5), (5, -1), (1.5, 2), (True, 2), ("5", 5)]:
        with subtests.test(sides=sides), pytest.raises(InvalidRequest, match="whole number of pixels"):
            Size(*sides)


def test_canvases_that_cannot_be_drawn_are_named(subtests):
    for sides, named in [((63, 512), "63"), ((512, 4097), "4097"), ((4096, 64), "4096x64"), ((64, 257), "64x257")]:
        with subtests.test(sides=sides, named=named), pytest.raises(InvalidRequest, match=named):
            check_canvas(Size(*sides))


def test_the_size_limits_themselves_are_allowed(subtests):
    for sides in [(64, 64), (4096, 1024), (64, 256), (4096, 4096)]:
        with subtests.test(sides=sides):
            check_canvas(Size(*sides))


def test_an_inset_box_keeps_the_smallest_allowed_side():
    assert Box(10, 20, 100, 50).inset(0.1) == Box(20, 25, 80, 40)
    assert Box(10, 20, 18, 16).inset(0.1) == Box(11, 20, 16, 16)


def test_a_box_lies_in_a_canvas_up_to_its_last_pixel():
    canvas = Size(100, 80)
    assert Box(36, 20, 64, 60).lies_in(canvas)
    assert not Box(37, 20, 64, 60).lies_in(canvas)
    assert not Box(36, 21, 64, 60).lies_in(canvas)
