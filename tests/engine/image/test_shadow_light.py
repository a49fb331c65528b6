import numpy as np
import pytest

from layerfusion.engine.errors import InvalidLayer
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.filters import gaussian_blur
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


def every_pair():
    """Each of the 65,536 pairs of a flat and a blended value, in all three channels."""
    flat, blended = (np.repeat(values[..., None], 3, -1) / 255 for values in np.mgrid[:256, :256])
    return opaque(flat), opaque(blended)


def test_exact_layers_bring_every_flat_value_to_every_blended_one():
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


def test_the_whole_stack_with_exact_layers_is_the_blended_picture():
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


def disc(x=96, y=110, radius=40):
    """An object's alpha, float (SIDE, SIDE), with a soft outline of two pixels."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.clip((radius - np.hypot(columns - x, rows - y)) / 2 + 0.5, 0, 1)


def painted(alpha, colour, ground):
    """An object of one colour, with stripes and a gradient, before a ground; float (SIDE, SIDE, 3)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    shading = (1.1 - 0.3 * rows / SIDE + 0.04 * np.sin(columns / 3))[..., None]
    return ground * (1 - alpha[..., None]) + alpha[..., None] * np.asarray(colour) * shading


def cast(x=140, y=146, strength=0.45, width=26, height=9):
    """What is left of the ground's stored value in an ellipse of shadow, float (SIDE, SIDE, 1)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return 1 - strength * np.exp(-(((columns - x) / width) ** 2 + ((rows - y) / height) ** 2) / 2)[..., None]


def changes(flat, made):
    """How far the stack is from the flat image, int (SIDE, SIDE, 3)."""
    return recompose(flat, made.shadow, made.light)[..., :3].astype(int) - flat[..., :3]


GROUND = 0.6 + texture(3, 0.05)
OBJECT = disc()
FLAT = opaque(painted(OBJECT, (0.75, 0.3, 0.25), GROUND))


def test_pictures_that_do_not_belong_together_are_refused():
    picture = opaque(np.zeros((8, 8, 3)))
    holes = picture.copy()
    holes[3, 3, 3] = 254
    for make in (exact_layers, lambda blended, flat: clean_layers(blended, flat, [])):
        with pytest.raises(InvalidLayer, match="8x8"):
            make(picture, picture[:4])
        with pytest.raises(InvalidLayer, match="transparent"):
            make(picture, holes)


def test_clean_layers_are_empty_where_nothing_changed():
    noise = np.random.default_rng(2).normal(0, 2, FLAT.shape)
    noisy = np.clip(FLAT + noise, 0, 255).astype(np.uint8)
    noisy[..., 3] = 255
    for blended in (FLAT, noisy):
        made = clean_layers(blended, FLAT, [OBJECT])
        assert made.trust[0] > 0.9
        assert np.abs(changes(FLAT, made)).max() <= 1


def test_without_an_object_there_is_neither_shadow_nor_light():
    for objects in ([], [np.zeros((SIDE, SIDE))]):
        made = clean_layers(opaque(GROUND * cast()), opaque(GROUND), objects)
        assert not made.shadow.any()
        assert not made.light[..., :3].any()


def test_a_shadow_that_touches_an_object_is_found_and_nothing_else_changes():
    blended = opaque(painted(OBJECT, (0.75, 0.3, 0.25), GROUND * cast()))
    made = clean_layers(blended, FLAT, [OBJECT])
    change = changes(FLAT, made)
    seen, away = OBJECT < 0.01, cast()[..., 0] > 0.97
    true = (blended[..., :3].astype(int) - FLAT[..., :3])[seen & ~away]
    assert 0.7 < change[seen & ~away].sum() / true.sum() < 1.2
    assert (np.abs(change[seen & away]).max(axis=-1) > 4).mean() < 0.01
    assert not made.light[..., :3].any()
    assert made.shadow[seen & (made.shadow[..., 3] > 0)][:, :3].max() == 0  # black: a painter can paint it on


@pytest.mark.parametrize(
    "ground",
    [
        pytest.param(GROUND * cast(x=40, y=30), id="darkness that touches no object"),
        pytest.param(GROUND * cast() ** np.array([0.1, 1.2, 2.0]), id="a thing of another colour"),
        pytest.param(0.55 + texture(9, 0.2), id="another ground"),
        pytest.param(GROUND * 0.7, id="a darker picture"),
        pytest.param(GROUND * 0.8 + 0.2, id="fog"),
    ],
)
def test_what_no_object_causes_is_no_shadow(ground):
    made = clean_layers(opaque(painted(OBJECT, (0.75, 0.3, 0.25), ground)), FLAT, [OBJECT])
    change = np.abs(changes(FLAT, made)).max(axis=-1)
    assert (change[OBJECT < 0.01] > 4).mean() < 0.01


def high_pass(change, alpha):
    """What is left of a change on an object after a blur of 2 % of the frame is taken off it."""
    inside = alpha > 0.98
    weight = inside[..., None].astype(np.float32)
    smooth = gaussian_blur(change * weight, 0.02) / (gaussian_blur(weight, 0.02) + 1e-6)
    return np.abs(change - smooth)[inside]


def test_a_light_that_falls_on_an_object_changes_its_tone_and_nothing_finer():
    rows = np.mgrid[:SIDE, :SIDE][0][..., None]
    lit = np.array([0.85, 0.75, 0.7]) * (1.1 - 0.2 * rows / SIDE)
    blended = opaque(painted(OBJECT, (0.75, 0.3, 0.25), GROUND) * np.where(OBJECT[..., None] > 0.5, lit, 1))
    made = clean_layers(blended, FLAT, [OBJECT])
    inside = OBJECT > 0.98
    change, true = changes(FLAT, made)[inside], (blended[..., :3].astype(int) - FLAT[..., :3])[inside]
    assert made.trust == (1.0,)
    assert np.abs(change.mean(axis=0) - true.mean(axis=0)).max() < 8
    assert (change * true).sum() / np.sqrt((change**2).sum() * (true**2).sum()) > 0.95
    left = high_pass(changes(FLAT, made).astype(np.float32), OBJECT)
    assert left.mean() < 1
    assert np.percentile(left, 99) < 4


def test_the_tone_is_bounded():
    blended = opaque(painted(OBJECT, (0.75, 0.3, 0.25), GROUND) * np.where(OBJECT[..., None] > 0.5, 0.3, 1))
    change = np.abs(changes(FLAT, clean_layers(blended, FLAT, [OBJECT])))[OBJECT > 0.98]
    assert 30 < np.percentile(change.max(axis=-1), 99) <= 41


def test_the_contrasts_of_a_textured_object_stay_what_they_are():
    """A multiplied shadow makes contrasts smaller: a bold pattern takes less of it than a plain object."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pattern = np.where(((rows // 3 + columns // 3) % 2)[..., None], (0.9, 0.9, 0.8), (0.2, 0.3, 0.25))
    flat = opaque(painted(OBJECT, pattern, GROUND))
    blended = opaque(painted(OBJECT, pattern, GROUND) * np.where(OBJECT[..., None] > 0.5, 0.8, 1))
    made = clean_layers(blended, flat, [OBJECT])
    left = high_pass(changes(flat, made).astype(np.float32), OBJECT)
    assert made.trust == (1.0,)
    assert 0.5 < left.mean() < 1
    assert np.percentile(left, 99) < 4


def test_white_parts_of_an_object_do_not_clip_in_the_light():
    rows, columns = np.mgrid[:SIDE, :SIDE]
    spots = (rows // 6 % 3 == 0) & (columns // 6 % 3 == 0)
    pattern = np.where(spots[..., None], (0.97, 0.97, 0.95), (0.5, 0.45, 0.4))
    flat = opaque(painted(OBJECT, pattern, GROUND))
    blended = opaque(painted(OBJECT, np.minimum(pattern * 1.2, 1), GROUND))
    made = clean_layers(blended, flat, [OBJECT])
    left = high_pass(changes(flat, made).astype(np.float32), OBJECT)
    assert made.trust[0] > 0.5
    assert left.mean() < 1
    assert np.percentile(left, 99) < 4


def test_no_shadow_is_drawn_inside_glass():
    glass = 0.4 * OBJECT
    flat = opaque(painted(glass, (0.7, 0.8, 0.9), GROUND))
    blended = opaque(painted(glass, (0.7, 0.8, 0.9), GROUND * cast()))
    change = np.abs(changes(flat, clean_layers(blended, flat, [glass]))).max(axis=-1)
    assert change[glass > 0.1].max() <= 1
    assert change[glass < 0.01].max() > 20


@pytest.mark.parametrize("radius", [40, 60], ids=["of its size", "larger"])
def test_another_object_in_the_blended_picture_leaves_no_trace(radius):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    checks = np.where(((rows // 12 + columns // 12) % 2)[..., None], (0.2, 0.7, 0.9), (0.95, 0.95, 0.9))
    other = disc(radius=radius)[..., None]
    made = clean_layers(opaque(GROUND * (1 - other) + other * checks), FLAT, [OBJECT])
    change = np.abs(changes(FLAT, made)).max(axis=-1)
    assert made.trust == (0.0,)
    assert not change[OBJECT > 0.99].any()
    assert (change[OBJECT < 0.01] > 4).mean() < 0.01


def test_every_object_has_a_tone_of_its_own_and_what_covers_it_keeps_its_own():
    lower, upper = disc(80, 100, 36), disc(120, 110, 30)
    colours = ((0.3, 0.6, 0.35), (0.8, 0.7, 0.2))
    flat = opaque(painted(upper, colours[1], painted(lower, colours[0], GROUND)))
    dimmed = painted(lower, np.array(colours[0]) * 0.8, GROUND)
    made = clean_layers(opaque(painted(upper, colours[1], dimmed)), flat, [lower, upper])
    change = np.abs(changes(flat, made)).max(axis=-1)
    assert change[upper > 0.99].max() <= 3
    assert np.median(change[(lower > 0.99) & (upper < 0.01)]) > 15


def test_stored_colours_are_what_they_look_like():
    lit = np.where(OBJECT[..., None] > 0.5, (1.0, 0.93, 1.0), 1)
    made = clean_layers(opaque(painted(OBJECT, (0.75, 0.3, 0.25), GROUND) * lit), FLAT, [OBJECT])
    faint = (made.shadow[..., 3] > 0) & (made.shadow[..., 3] < 16)
    assert faint.any()
    colours = made.shadow[faint][:, :3].astype(int)
    assert (colours.max(axis=1) - colours.min(axis=1)).max() < 120
    assert not made.shadow[made.shadow[..., 3] == 0].any()
    assert made.light[..., 3].min() == 255


def test_canvases_of_any_size_and_objects_of_any_size():
    for height, width in ((1100, 30), (7, 300), (1, 1), (513, 511)):
        flat = opaque(np.full((height, width, 3), 0.6))
        alpha = np.zeros((height, width))
        alpha[height // 3 : height // 2 + 1, width // 3 : width // 2 + 1] = 1
        dark = flat.copy()
        dark[..., :3] //= 2
        made = clean_layers(dark, flat, [alpha])
        assert made.shadow.shape == made.light.shape == flat.shape


def test_of_an_object_that_can_hardly_be_seen_nothing_is_said():
    """It is no other object only because it is translucent, tiny, hidden or covered."""
    covered = clean_layers(FLAT, FLAT, [OBJECT * 0.99, OBJECT])
    assert covered.trust[0] is None
    assert covered.trust[1] > 0.9
    for alpha in (0.6 * OBJECT, disc(radius=2), 0 * OBJECT):
        flat = opaque(painted(alpha, (0.75, 0.3, 0.25), GROUND))
        assert clean_layers(opaque(0.5 * GROUND), flat, [alpha]).trust == (None,)
