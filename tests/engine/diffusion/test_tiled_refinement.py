from itertools import pairwise

import numpy as np

from layerfusion.engine.diffusion.tiled_refinement import OVERLAP, Mosaic, fade, padded, padded_size, tiles_over
from layerfusion.engine.image.geometry import Size


def test_tiles_cover_everything_overlap_and_lie_on_the_stride(subtests):
    for picture, tile, stride, count in [
        (Size(1024, 1024), Size(1024, 1024), 64, 1),
        (Size(512, 320), Size(1024, 1024), 64, 1),
        (Size(2048, 1024), Size(1024, 1024), 64, 3),
        (Size(1088, 1024), Size(1024, 1024), 64, 2),
        (Size(4096, 2048), Size(1024, 1024), 64, 15),
        (Size(512, 512), Size(128, 128), 32, 25),
    ]:
        with subtests.test(picture=picture, tile=tile, stride=stride, count=count):
            tiles = tiles_over(picture, tile, stride)
            assert len(tiles) == count
            covered = np.zeros((picture.height, picture.width), int)
            for part in tiles:
                assert part.left % stride == part.top % stride == 0
                assert part.left + part.size.width <= picture.width
                assert part.top + part.size.height <= picture.height
                covered[part.rows, part.columns] += 1
            assert covered.min() >= 1
            lefts = sorted({part.left for part in tiles})
            assert all(b - a <= tile.width * (1 - OVERLAP) + stride / 2 for a, b in pairwise(lefts))


def test_a_mosaic_of_one_picture_is_that_picture():
    picture = np.random.default_rng(0).integers(0, 256, (320, 448, 3), np.uint8)
    mosaic = Mosaic(Size(448, 320), 3)
    for tile in tiles_over(Size(448, 320), Size(128, 128), 32):
        mosaic.add(tile, picture[tile.rows, tile.columns])
    assert np.array_equal(mosaic.picture(), picture)


def test_tiles_that_differ_fade_into_each_other():
    mosaic = Mosaic(Size(224, 64), 1)
    left, right = tiles_over(Size(224, 64), Size(128, 64), 32)
    mosaic.add(left, np.zeros((64, 128, 1), np.uint8))
    mosaic.add(right, np.full((64, 128, 1), 200, np.uint8))
    row = mosaic.picture()[32, :, 0].astype(int)
    assert row[0] == 0
    assert row[-1] == 200
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 20


def test_a_weight_is_one_inside_and_never_zero():
    weight = fade(Size(100, 60), 10)
    assert weight.shape == (60, 100)
    assert weight[30, 50] == 1
    assert 0 < weight.min() == weight[0, 0] < 0.02


def test_a_canvas_is_padded_to_the_stride_by_its_edge_pixels():
    size = padded_size(Size(100, 65), 32)
    assert size == Size(128, 96)
    picture = np.random.default_rng(1).integers(0, 256, (65, 100, 4), np.uint8)
    larger = padded(picture, size)
    assert larger.shape == (96, 128, 4)
    assert np.array_equal(larger[:65, :100], picture)
    assert (larger[65:, :100] == picture[-1]).all()
    assert padded_size(Size(128, 64), 32) == Size(128, 64)
