import numpy as np
import pytest

from layerfusion.engine.errors import InvalidLayer
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role
from layerfusion.engine.image.shadow_light import clean_layers, exact_layers, recompose

SIDE = 192


def opaque(unit):
    colours = np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)
    return np.concatenate([colours, np.full((*colours.shape[:2], 1), 255, np.uint8)], axis=-1)


def texture(seed, strength=0.15):
    """Grey noise with grains of a few pixels, as float (SIDE, SIDE, 3), around 0."""
    grains = np.random.default_rng(seed).normal(size=(SIDE // 3, SIDE // 3, 1))
    return strength * np.kron(grains, np.ones((3, 3, 3)))


def spot(x, y, radius):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2))[..., None]


def every_pair():
    """Each of the 65,536 pairs of a flat and a blended value, in all three channels."""
    flat, blended = (np.repeat(values[..., None], 3, -1) / 255 for values in np.mgrid[:256, :256])
    return opaque(flat), opaque(blended)


def test_exact_layers_turn_every_flat_value_into_every_blended_value():
    flat, blended = every_pair()
    shadow, light = exact_layers(blended, flat)
    assert np.array_equal(recompose(flat, shadow, light), blended)
    assert shadow[..., 3].min() == light[..., 3].min() == 255


def test_exact_layers_follow_the_definition():
    flat, blended = (np.array([[(c, c, c, 255)]], np.uint8) for c in (200, 50))
    shadow, light = exact_layers(blended, flat)
    assert (shadow[0, 0, 0], light[0, 0, 0]) == (64, 0)
    shadow, light = exact_layers(flat, blended)
    assert (shadow[0, 0, 0], light[0, 0, 0]) == (255, 150)


def test_a_stack_with_exact_layers_composites_to_the_blended_picture():
    rng = np.random.default_rng(0)
    background, blended = opaque(rng.random((32, 32, 3))), opaque(rng.random((32, 32, 3)))
    foreground = rng.integers(0, 256, (20, 50, 4), dtype=np.uint8)
    below = (
        Layer(name="Background", role=Role.BACKGROUND, pixels=background),
        Layer(name="Foreground", role=Role.FOREGROUND, pixels=foreground, offset=(-5, 9)),
    )
    stack = LayeredImage(name="picture", size=Size(32, 32), layers=below)
    shadow, light = exact_layers(blended, flatten(stack))
    stack = stack.with_layer(Layer(name="Shadow", role=Role.SHADOW, pixels=shadow, blend=BlendMode.MULTIPLY))
    stack = stack.with_layer(Layer(name="Light", role=Role.LIGHT, pixels=light, blend=BlendMode.ADD))
    assert np.array_equal(flatten(stack), blended)


@pytest.mark.parametrize("make", [exact_layers, clean_layers])
def test_images_of_different_sizes_or_with_alpha_are_refused(make):
    picture = opaque(np.zeros((8, 8, 3)))
    with pytest.raises(InvalidLayer, match="8x8"):
        make(picture, picture[:4])
    holes = picture.copy()
    holes[3, 3, 3] = 254
    with pytest.raises(InvalidLayer, match="transparent pixels"):
        make(picture, holes)


def test_clean_layers_are_empty_where_nothing_changed():
    flat = opaque(0.5 + texture(1))
    noisy = opaque(0.5 + texture(1) + np.random.default_rng(2).normal(0, 0.01, (SIDE, SIDE, 3)))
    for blended in (flat, noisy):
        shadow, light = clean_layers(blended, flat)
        assert not shadow.any()
        assert not light.any()


def test_a_soft_shadow_on_a_textured_ground_is_found():
    ground = 0.6 + texture(3, 0.05)
    blended, flat = opaque(ground * (1 - 0.4 * spot(96, 96, 25))), opaque(ground)
    shadow, light = clean_layers(blended, flat)
    assert not light.any()
    assert 0.3 < shadow[96, 96, 3] / 255 < 0.42
    assert shadow[10, 10, 3] == 0
    before = np.abs(flat.astype(int) - blended).mean()
    assert np.abs(recompose(flat, shadow, light).astype(int) - blended).mean() < before / 4


def test_a_soft_light_is_found_with_its_colour():
    ground = np.full((SIDE, SIDE, 3), 0.4)
    blended = opaque(ground + spot(60, 60, 30) * (0.3, 0.25, 0.15))
    shadow, light = clean_layers(blended, opaque(ground))
    assert not shadow.any()
    red, green, blue, alpha = light[60, 60].astype(int)
    assert alpha > 50
    assert red > green > blue
    lit = recompose(opaque(ground), shadow, light)[60, 60, :3].astype(int)
    assert np.abs(lit - blended[60, 60, :3]).max() < 20


@pytest.mark.parametrize(
    "blended",
    [
        pytest.param(0.5 + texture(5), id="another texture"),
        pytest.param(
            np.where(np.hypot(*(np.mgrid[:SIDE, :SIDE] - 96))[..., None] < 30, (0.8, 0.1, 0.1), 0.5 + texture(4)),
            id="an object the layers do not show",
        ),
    ],
)
def test_differing_drawings_leave_no_trace_in_clean_layers(blended):
    flat = opaque(0.5 + texture(4))
    shadow, light = clean_layers(opaque(blended), flat)
    for layer in (shadow, light):
        assert layer[..., 3].max() < 60
        assert (layer[..., 3] > 12).mean() < 0.02


def test_effects_far_from_every_object_are_removed():
    ground = np.full((SIDE, SIDE, 3), 0.6)
    blended = opaque(ground * (1 - 0.3 * spot(40, 150, 8) - 0.3 * spot(160, 30, 8)))
    alpha = np.zeros((SIDE, SIDE))
    alpha[110:140, 25:55] = 1
    everywhere, near = clean_layers(blended, opaque(ground))[0], clean_layers(blended, opaque(ground), alpha)[0]
    assert abs(int(near[150, 40, 3]) - int(everywhere[150, 40, 3])) <= 1 and near[150, 40, 3] > 40
    assert everywhere[30, 160, 3] > 40 and not near[:60, 120:].any()
    assert not clean_layers(blended, opaque(ground), np.zeros((SIDE, SIDE)))[0].any()


def test_clean_layers_are_soft():
    """Neighbouring pixels differ too little to look like an outline, although the blended picture has hard edges."""
    flat = opaque(np.full((SIDE, SIDE, 3), 0.6))
    half = flat.copy()
    half[:, 96:, :3] //= 2
    shadow, _ = clean_layers(half, flat)
    assert shadow[..., 3].max() > 60
    assert np.abs(np.diff(shadow[..., 3].astype(int), axis=1)).max() < 30


def test_clean_layers_of_a_large_canvas_have_its_size():
    flat = opaque(np.full((1100, 30, 3), 0.6))
    dark = flat.copy()
    dark[..., :3] //= 2
    shadow, light = clean_layers(dark, flat)
    assert shadow.shape == light.shape == flat.shape
    assert np.abs(recompose(flat, shadow, light).astype(int) - dark).max() < 25
