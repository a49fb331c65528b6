"""Thumbnails: what they show, at which size, and what they cost on a large canvas."""

import numpy as np
import pytest

import samples
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role
from layerfusion.engine.image.resampling import resize
from layerfusion.server import translate
from layerfusion.server.protocol.errors import LayerLost
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.worker.thumbnails import thumbnail

WIDTH, HEIGHT = 1200, 900
JOB = samples.job_id(1)


@pytest.fixture
def store(tmp_path):
    return LayerStore(tmp_path)


def picture():
    """A sky, a disc that reaches beyond the canvas, a shadow, and a hidden red layer."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    sky = np.dstack([rows // 4, columns // 5, np.full_like(rows, 90), np.full_like(rows, 255)]).astype(np.uint8)
    disc = np.zeros((500, 500, 4), np.uint8)
    disc[...] = (220, 160, 20, 0)
    disc[..., 3] = np.clip(4 * (240 - np.hypot(rows[:500, :500] - 250, columns[:500, :500] - 250)), 0, 255)
    shade = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    shade[600:, :, :3] = 100
    hidden = np.full((HEIGHT, WIDTH, 4), (255, 0, 0, 255), np.uint8)
    layers = (
        Layer(name="Background", role=Role.BACKGROUND, pixels=sky),
        Layer(name="Foreground", role=Role.FOREGROUND, pixels=disc, offset=(-101, 303)),
        Layer(name="Shadow", role=Role.SHADOW, pixels=shade, blend=BlendMode.MULTIPLY, opacity=0.5),
        Layer(name="Blended", role=Role.BLENDED, pixels=hidden, visible=False),
    )
    return LayeredImage(name="a disc", size=Size(WIDTH, HEIGHT), layers=layers)


def stored(image, store):
    """The messages about the layers of a picture, whose pixels are in the store."""
    return [
        samples.layer_begin(
            JOB,
            seq=index + 2,
            index=index,
            name=layer.name,
            role=layer.role.value,
            x=layer.offset[0],
            y=layer.offset[1],
            width=layer.size.width,
            height=layer.size.height,
            blend=layer.blend.value,
            opacity=layer.opacity,
            visible=layer.visible,
            bytes=layer.pixels.size,
            sha256=store.put(translate.to_bgra(layer.pixels)),
        )
        for index, layer in enumerate(image)
    ]


@pytest.mark.parametrize("side", [64, 150, 256])
def test_it_is_the_composite_made_small(store, side):
    image = picture()
    job = samples.submit(JOB, width=WIDTH, height=HEIGHT)
    width, height, data = thumbnail(job, reversed(stored(image, store)), store, side)
    assert (width, height) == (side, round(side * 3 / 4))
    small = np.frombuffer(data, np.uint8).reshape(height, width, 4)[..., [2, 1, 0, 3]]
    exact = resize(flatten(image), Size(width, height))
    difference = np.abs(small.astype(int) - exact)
    assert difference.mean() < 1.5 and np.percentile(difference, 99) < 24


def test_a_small_picture_is_not_enlarged_and_a_tiny_layer_may_be_missed(store):
    dot = Layer(name="Dot", role=Role.FOREGROUND, pixels=np.full((1, 1, 4), 9, np.uint8), offset=(5, 3))
    image = LayeredImage(name="a dot", size=Size(1000, 80), layers=(dot,))
    wide = samples.submit(JOB, width=1000, height=80)
    assert thumbnail(wide, stored(image, store), store, 16)[:2] == (16, 1)
    whole = LayeredImage(name="a dot", size=Size(64, 80), layers=(dot,))
    width, height, data = thumbnail(samples.submit(JOB, width=64, height=80), stored(whole, store), store, 256)
    assert (width, height) == (64, 80)
    assert data == translate.to_bgra(flatten(whole))


@pytest.mark.parametrize("length", [None, 0, 4])
def test_a_missing_or_damaged_layer_is_said(store, length):
    begins = stored(picture(), store)
    path = store.path(begins[1].sha256)
    if length is None:
        path.unlink()
    else:
        path.write_bytes(bytes(length))
    with pytest.raises(LayerLost, match=JOB):
        thumbnail(samples.submit(JOB, width=WIDTH, height=HEIGHT), begins, store, 64)
