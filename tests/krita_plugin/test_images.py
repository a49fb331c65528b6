import hashlib

import pytest


@pytest.fixture
def picture(plugin):
    from krita_layerfusion.images import Picture

    return Picture


def test_a_picture_has_four_bytes_for_each_pixel(picture):
    assert picture(-3, 5, 2, 3, bytes(24)).sha256 == hashlib.sha256(bytes(24)).hexdigest()


def test_any_other_number_of_bytes_is_refused(subtests, picture):
    for width, height, size in [(2, 3, 23), (2, 3, 25), (0, 3, 0), (-1, -6, 24), (2, 3, 18)]:
        with (
            subtests.test(width=width, height=height, size=size),
            pytest.raises(ValueError, match=f"{size} bytes for {width}x{height} pixels"),
        ):
            picture(0, 0, width, height, bytes(size))


def test_opaque_means_every_pixel(picture):
    assert picture(0, 0, 2, 1, bytes((0, 0, 0, 255)) * 2).is_opaque
    assert not picture(0, 0, 2, 1, bytes((0, 0, 0, 255)) + bytes((255, 255, 255, 254))).is_opaque


def test_transparent_means_every_pixel(picture):
    assert picture(0, 0, 2, 1, bytes((9, 9, 9, 0)) * 2).is_transparent
    assert not picture(0, 0, 2, 1, bytes((9, 9, 9, 0)) + bytes((0, 0, 0, 1))).is_transparent
