import numpy as np
import pytest

from layerfusion.engine.image.geometry import Framing, Size, working_size
from layerfusion.engine.image.resampling import resize, to_canvas, to_working


def disc(side, radius, colour=(200, 60, 20), under=(0, 255, 0)):
    """A disc in the middle with a soft edge of one pixel; the transparent pixels around it have another colour."""
    rows, columns = np.mgrid[:side, :side] + 0.5
    alpha = np.clip(radius - np.hypot(rows - side / 2, columns - side / 2) + 0.5, 0, 1)
    pixels = np.zeros((side, side, 4), np.uint8)
    pixels[..., :3] = np.where(alpha[..., None] > 0, colour, under)
    pixels[..., 3] = np.rint(alpha * 255)
    return pixels


def centre(alpha):
    """The centre of mass of alpha, (x, y) in pixels."""
    rows, columns = np.mgrid[: alpha.shape[0], : alpha.shape[1]] + 0.5
    total = alpha.sum(dtype=float)
    return (columns * alpha).sum() / total, (rows * alpha).sum() / total


@pytest.mark.parametrize("channels", [3, 4])
def test_the_same_size_is_the_same_bytes(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, channels), dtype=np.uint8)
    assert np.array_equal(resize(pixels, Size(7, 9)), pixels)


@pytest.mark.parametrize("side", [24, 96, 401])
def test_the_colour_under_alpha_0_never_shows(side):
    result = resize(disc(96, 30), Size(side, side))
    visible = result[..., 3] > 0
    assert np.abs(result[visible][:, :3].astype(int) - (200, 60, 20)).max() <= 1


@pytest.mark.parametrize("side", [48, 384])
def test_alpha_does_not_ring(side):
    result = resize(disc(96, 30), Size(side, side))[..., 3]
    scale = side / 96
    rows, columns = np.mgrid[:side, :side] + 0.5
    distance = np.hypot(rows - side / 2, columns - side / 2)
    reach = 2 * max(scale, 1)
    assert (result[distance > 30 * scale + reach] == 0).all()
    assert (result[distance < 30 * scale - reach] == 255).all()


def test_an_enlarged_edge_is_monotonic():
    row = resize(disc(96, 30), Size(384, 384))[192, :, 3].astype(int)
    left = row[:192]
    assert (np.diff(left) >= 0).all()
    assert 4 <= np.count_nonzero((left > 0) & (left < 255)) <= 12


def test_colours_are_resampled_sharply_and_clipped():
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 255
    result = resize(edge, Size(32, 32))
    assert result[:, :12].max() < 30
    assert result[:, 20:].min() > 225


CANVASES = [Size(512, 512), Size(513, 511), Size(64, 64), Size(1920, 1080), Size(300, 1200), Size(97, 65)]


def test_a_circle_stays_a_circle_in_the_middle(subtests):
    for canvas in CANVASES:
        with subtests.test(canvas=canvas):
            framing = working_size(canvas, stride=32, native_area=128 * 128)
            side = min(framing.working.width, framing.working.height)
            working = np.zeros((framing.working.height, framing.working.width, 4), np.uint8)
            top, left = (framing.working.height - side) // 2, (framing.working.width - side) // 2
            working[top : top + side, left : left + side] = disc(side, side / 4)
            alpha = to_canvas(working, framing)[..., 3]
            assert alpha.shape == (canvas.height, canvas.width)
            x, y = centre(alpha)
            assert abs(x - canvas.width / 2) < 0.5
            assert abs(y - canvas.height / 2) < 0.5
            width, height = (alpha.max(axis=axis) / 255 for axis in (0, 1))
            assert width.sum() == pytest.approx(height.sum(), rel=0.02, abs=0.6)
            assert width.sum() == pytest.approx(side / 2 * framing.scale, rel=0.05, abs=1)


def test_to_working_is_the_inverse_of_to_canvas(subtests):
    for canvas in CANVASES:
        with subtests.test(canvas=canvas):
            framing = working_size(canvas, stride=32, native_area=128 * 128)
            radius = min(canvas.width, canvas.height) / 5
            side = 2 * round(radius) + 4
            offset = (canvas.width // 2 - side // 2 + 5, canvas.height // 2 - side // 2 - 3)
            working = to_working(disc(side, radius), offset, framing)
            assert working.shape == (framing.working.height, framing.working.width, 4)
            x, y = centre(to_canvas(working, framing)[..., 3])
            assert abs(x - (offset[0] + side / 2)) < max(1, framing.scale / 4)
            assert abs(y - (offset[1] + side / 2)) < max(1, framing.scale / 4)
            colours = working[working[..., 3] > 0][:, :3].astype(int)
            assert np.abs(colours - (200, 60, 20)).max() <= 1


def test_the_working_image_includes_what_lies_beside_a_cropped_canvas():
    framing = Framing(Size(100, 80), Size(32, 32))
    layer = np.full((200, 200, 4), 255, np.uint8)
    assert to_working(layer, (-50, -60), framing)[..., 3].min() == 255
    alpha = to_working(layer[:80, :100], (0, 0), framing)[..., 3]
    assert alpha[0].max() == alpha[-1].max() == 0
    assert alpha[16].min() == 255


def test_a_layer_outside_the_canvas_is_invisible():
    framing = Framing(Size(64, 64), Size(32, 32))
    assert not to_working(np.full((8, 8, 4), 255, np.uint8), (500, -300), framing).any()
