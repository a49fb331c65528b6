from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from layerfusion.engine.image.compositing import bleed, composite, flatten, premultiply, unpremultiply
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role


def random_pixels(height, width, seed, alpha=None):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    if alpha is not None:
        pixels[..., 3] = alpha
    return pixels


def fill(*rgba, size=(4, 4)):
    return np.full((*size, 4), rgba, np.uint8)


def layer(pixels, **values):
    return Layer(**{"name": "layer", "role": Role.FOREGROUND, "pixels": pixels, **values})


def stack(*layers, size=(4, 4)):
    return LayeredImage(name="stack", size=Size(size[1], size[0]), layers=layers)


def exactly(backdrop, source, blend, opacity):
    """Composite one pixel in rational numbers, from the areas that one or both of the two pixels cover."""
    *b, beta = (Fraction(int(value), 255) for value in backdrop)
    *s, alpha = (Fraction(int(value), 255) for value in source)
    alpha *= opacity
    both, only_source, only_backdrop = alpha * beta, alpha * (1 - beta), beta * (1 - alpha)
    total = both + only_source + only_backdrop
    if total == 0:
        return [0, 0, 0, 0]
    mix = {
        BlendMode.NORMAL: lambda below, above: above,
        BlendMode.MULTIPLY: lambda below, above: below * above,
        BlendMode.ADD: lambda below, above: min(below + above, Fraction(1)),
    }[blend]
    colour = [
        (both * mix(below, above) + only_source * above + only_backdrop * below) / total
        for below, above in zip(b, s, strict=True)
    ]
    return [float(255 * value) for value in (*colour, total)]


def test_every_blend_mode_is_the_pdf_formula_rounded_once(subtests):
    for blend in BlendMode:
        for opacity in [1.0, 128 / 255, 1 / 255]:
            with subtests.test(blend=blend, opacity=opacity):
                backdrop, source = random_pixels(20, 20, 1), random_pixels(20, 20, 2)
                backdrop[:5, :, 3], source[3:8, :, 3] = 0, 255
                result = composite(backdrop, source, blend, opacity).astype(float)
                expected = np.array(
                    [
                        [
                            exactly(below, above, blend, Fraction(round(opacity * 255), 255))
                            for below, above in zip(*rows, strict=True)
                        ]
                        for rows in zip(backdrop, source, strict=True)
                    ]
                )
                seen = result[..., 3] > 0
                assert np.abs(result - expected)[..., 3].max() <= 0.501
                assert np.abs(result - expected)[seen].max() <= 0.501


def test_over_an_opaque_backdrop_the_formula_is_rounded_exactly(subtests):
    values = np.arange(256, dtype=np.uint8)
    below, above = (values[part].reshape(-1, 16) for part in (slice(None), slice(None, None, -1)))
    for blend in BlendMode:
        for opacity in (255, 100, 1):
            with subtests.test(blend=blend, opacity=opacity):
                for alpha in (0, 1, 77, 128, 254, 255):
                    backdrop, source = (np.repeat(plane[..., None], 4, axis=-1) for plane in (below, above))
                    backdrop[..., 3], source[..., 3] = 255, alpha
                    b, s = below.astype(np.int64), above.astype(np.int64)
                    mixed = {"normal": 255 * s, "multiply": b * s, "add": 255 * np.minimum(b + s, 255)}[blend.value]
                    numerator = 255 * b * (255 * 255 - alpha * opacity) + mixed * alpha * opacity
                    expected = (2 * numerator + 255**3) // (2 * 255**3)
                    result = composite(backdrop, source, blend, opacity / 255)
                    assert np.array_equal(result[..., :3], np.repeat(expected[..., None], 3, axis=-1))
                    assert (result[..., 3] == 255).all()


def test_over_agrees_with_pillow():
    backdrop, source = random_pixels(64, 64, 3), random_pixels(64, 64, 4)
    theirs = np.asarray(Image.alpha_composite(Image.fromarray(backdrop), Image.fromarray(source)))
    assert np.abs(composite(backdrop, source).astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("blend", BlendMode)
def test_an_invisible_source_leaves_the_backdrop_byte_for_byte(blend):
    backdrop = random_pixels(16, 16, 5)
    backdrop[:8, :, 3] = 0
    assert np.array_equal(composite(backdrop, random_pixels(16, 16, 6, alpha=0), blend), backdrop)
    assert np.array_equal(composite(backdrop, random_pixels(16, 16, 6), blend, opacity=0.0), backdrop)


@pytest.mark.parametrize("blend", BlendMode)
def test_over_a_transparent_backdrop_every_blend_mode_shows_the_source(blend):
    source = random_pixels(16, 16, 7, alpha=np.arange(1, 257, dtype=np.uint8).reshape(16, 16).clip(1))
    assert np.array_equal(composite(np.zeros_like(source), source, blend), source)


def test_compositing_in_bands_changes_nothing():
    backdrop, source = random_pixels(600, 3, 8), random_pixels(600, 3, 9)
    whole = composite(backdrop, source)
    rows = [composite(backdrop[y : y + 1], source[y : y + 1]) for y in range(600)]
    assert np.array_equal(whole, np.concatenate(rows))


def test_premultiplying_and_unpremultiplying_is_exact_where_alpha_is_above_0():
    pixels = random_pixels(64, 64, 10)
    pixels[:4, :, 3] = 0
    back = unpremultiply(premultiply(pixels))
    visible = pixels[..., 3] > 0
    assert np.array_equal(back[visible], pixels[visible])
    assert not back[~visible].any()


def test_only_pixels_on_the_canvas_are_composited(subtests):
    for offset, shown in [
        ((-2, -1), (slice(0, 3), slice(0, 2))),
        ((3, 2), (slice(2, 4), slice(3, 4))),
        ((9, 0), None),
        ((0, -4), None),
    ]:
        with subtests.test(offset=offset, shown=shown):
            expected = fill(0, 0, 0, 0)
            if shown is not None:
                expected[shown] = (10, 20, 30, 255)
            assert np.array_equal(flatten(stack(layer(fill(10, 20, 30, 255), offset=offset))), expected)


def test_hidden_layers_are_ignored():
    assert not flatten(stack(layer(fill(1, 2, 3, 255), visible=False))).any()


def test_layers_are_composited_from_the_bottom_up():
    red, blue = layer(fill(255, 0, 0, 255)), layer(fill(0, 0, 255, 255))
    assert np.array_equal(flatten(stack(red, blue)), blue.pixels)
    half = layer(fill(0, 0, 255, 255), opacity=0.5)
    assert np.array_equal(flatten(stack(red, half)), fill(127, 0, 128, 255))


def test_shadow_and_light_over_transparent_pixels_stay_visible():
    shadow = layer(fill(0, 0, 0, 100), role=Role.SHADOW, blend=BlendMode.MULTIPLY)
    assert np.array_equal(flatten(stack(shadow)), fill(0, 0, 0, 100))
    ground = fill(200, 100, 50, 255)
    assert np.array_equal(flatten(stack(layer(ground), shadow)), fill(122, 61, 30, 255))


def disc(size=256, radius=20):
    y, x = np.mgrid[:size, :size] - size / 2
    pixels = np.zeros((size, size, 4), np.uint8)
    pixels[np.hypot(x, y) < radius] = (200, 60, 20, 255)
    return pixels, np.hypot(x, y)


def test_bleeding_changes_only_invisible_pixels_beside_an_edge():
    pixels, distance = disc()
    result = bleed(pixels, reach=16)
    assert np.array_equal(result[..., 3], pixels[..., 3])
    assert (result[distance < 35, :3] == (200, 60, 20)).all()
    assert not result[:1].any()
    visible = random_pixels(32, 32, 11)
    visible[::3, :, 3] = 0
    kept = visible[..., 3] > 0
    assert np.array_equal(bleed(visible)[kept], visible[kept])


def test_bleeding_in_parts_changes_nothing():
    """Rows and columns of squares before the picture change which squares are bled together."""
    pixels = random_pixels(203, 333, 12)
    pixels[..., 3] *= np.random.default_rng(13).random((203, 333)) < 0.002
    for reach in (1, 5, 16, 20):
        expected = bleed(pixels, reach)
        assert expected[pixels[..., 3] == 0].any()
        for rows, columns in ((64, 0), (0, 192), (128, 64)):
            moved = bleed(np.pad(pixels, ((rows, 0), (columns, 0), (0, 0))), reach)
            assert np.array_equal(moved[rows:, columns:], expected)


def test_bleeding_takes_the_nearest_colour():
    pixels = np.zeros((8, 40, 4), np.uint8)
    pixels[:, :4], pixels[:, -4:] = (255, 0, 0, 255), (0, 0, 255, 255)
    result = bleed(pixels)
    assert (result[:, 4:12, 0] > 200).all()
    assert (result[:, -12:-4, 2] > 200).all()


def test_bleeding_an_empty_image_changes_nothing():
    assert not bleed(np.zeros((5, 7, 4), np.uint8)).any()


@pytest.mark.parametrize("backdrop", [(0, 255, 0), (255, 255, 255), (0, 0, 0), (255, 0, 255)])
def test_scaling_bled_straight_alpha_shows_no_fringe(backdrop):
    """A red disc with bled colours is halved as naive viewers do it (colour and alpha separately) and composited over a
    strong colour: every pixel is a mixture of red and the backdrop. Without the bleeding this is not so."""
    rows, columns = np.mgrid[:96, :96]
    alpha = np.clip(36.5 - np.hypot(rows - 47.5, columns - 47.5), 0, 1)
    disc = np.zeros((96, 96, 4), np.uint8)
    disc[..., 3] = np.rint(alpha * 255)
    disc[disc[..., 3] > 0, :3] = (255, 0, 0)

    def fringe(pixels):
        halved = pixels.reshape(48, 2, 48, 2, 4).mean(axis=(1, 3))
        cover = halved[..., 3:] / 255
        shown = halved[..., :3] * cover + np.array(backdrop) * (1 - cover)
        expected = np.array((255, 0, 0)) * cover + np.array(backdrop) * (1 - cover)
        return np.abs(shown - expected).max()

    assert fringe(bleed(disc)) < 1
    assert fringe(disc) > 20
