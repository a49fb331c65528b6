import hashlib

import pytest


@pytest.fixture
def picture(plugin):
    from krita_layerfusion.images import Picture

    return Picture


def test_a_picture_has_four_bytes_for_each_pixel(picture):
    assert picture(-3, 5, 2, 3, bytes(24)).sha256 == hashlib.sha256(bytes(24)).hexdigest()


def test_pixels_are_hashed_once_because_krita_waits_for_it(picture, monkeypatch):
    hashed = []
    real = hashlib.sha256
    monkeypatch.setattr("krita_layerfusion.images.hashlib.sha256", lambda data: (hashed.append(data), real(data))[1])
    one = picture(0, 0, 1, 1, b"bgra")
    assert one.sha256 == one.sha256 == real(b"bgra").hexdigest()
    assert hashed == [b"bgra"]
    assert one == picture(0, 0, 1, 1, b"bgra"), "what is remembered is no part of the value"


def test_any_other_number_of_bytes_is_refused(subtests, picture):
    for width, height, size in [(2, 3, 23), (2, 3, 25), (0, 3, 0), (-1, -6, 24), (2, 3, 18)]:
        with (
            subtests.test(width=width, height=height, size=size),
            pytest.raises(ValueError, match=f"{size} bytes for {width}x{height} pixels"),
        ):
            picture(0, 0, width, height, bytes(size))


def test_empty_means_every_pixel_on_the_canvas(picture, subtests):
    clear, faint = bytes((9, 9, 9, 0)), bytes((0, 0, 0, 1))
    for x, y, data, empty in [
        (0, 0, clear * 4, True),
        (0, 0, clear * 3 + faint, False),
        (-1, 0, faint + clear + faint + clear, True),
        (0, -1, faint * 2 + clear * 2, True),
        (-1, -1, faint * 3 + clear, True),
        (1, 1, clear + faint * 3, True),
        (5, 0, faint * 4, True),
        (-5, 0, faint * 4, True),
    ]:
        with subtests.test(x=x, y=y, data=data):
            assert picture(x, y, 2, 2, data).is_empty_on(2, 2) is empty


def test_strips_are_the_whole_picture_in_rows(picture):
    whole = picture(-3, 5, 2, 5, bytes(range(40)))
    strips = list(whole.strips(17))
    assert [(strip.x, strip.y, strip.height) for strip in strips] == [(-3, 5, 2), (-3, 7, 2), (-3, 9, 1)]
    assert b"".join(strip.data for strip in strips) == whole.data
    assert [strip.height for strip in whole.strips(1)] == [1] * 5, "a row is never cut"


def test_a_mask_erases_as_far_as_it_covers(plugin):
    from krita_layerfusion.images import Picture

    opaque = Picture(2, 3, 2, 2, bytes((1, 2, 3, 255)) * 4)
    erased = opaque.erased(bytes((0, 255, 100, 1)))
    assert (erased.x, erased.y) == (2, 3)
    assert erased.data[3::4] == bytes((255, 0, 155, 254))
    assert erased.data[0::4] == bytes((1,)) * 4, "colours stay"
    half = Picture(0, 0, 3, 1, bytes((1, 2, 3, 128, 1, 2, 3, 0, 1, 2, 3, 255)))
    assert half.erased(bytes((128, 0, 255))).data[3::4] == bytes((64, 0, 0))
    with pytest.raises(ValueError, match="3 bytes of a mask for 4 pixels"):
        opaque.erased(bytes(3))
