"""Reading an artist's layers: all pixels are read, or a refusal names the layer and a remedy."""

import pytest

from krita_document import HEIGHT, WIDTH, KritaDocument, Node

pytestmark = pytest.mark.usefixtures("plugin")


def read(node, **size):
    from krita_layerfusion.nodes import read

    return read(KritaDocument(node, **size), node)


def test_a_layer_is_read_with_what_lies_beyond_the_canvas(subtests):
    for box, place in [
        ((10, 10, 5, 5), (0, 0, WIDTH, HEIGHT)),
        ((-7, 3, 20, 20), (-7, 0, WIDTH + 7, HEIGHT)),
        ((60, 40, 30, 20), (0, 0, 90, 60)),
        ((-1, -2, 200, 100), (-1, -2, 200, 100)),
    ]:
        with subtests.test(box=box, place=place):
            picture = read(Node("Cat", box))
            assert (picture.x, picture.y, picture.width, picture.height) == place
            assert picture.data[3::4].count(255) == box[2] * box[3]


def test_what_cannot_be_read_is_refused_by_name(subtests):
    for facts, words, way_out in [
        ({"kind": "adjustmentlayer"}, "The layer “Cat” has no pixels of its own", "Select a paint"),
        ({"visible": False}, "The layer “Cat” is hidden", "Show it"),
        ({"box": None}, "The layer “Cat” is empty", "Select"),
        ({"box": (-20, 0, 20, 20)}, "The layer “Cat” is completely outside the canvas", "Move it"),
    ]:
        with subtests.test(facts=facts, words=words, way_out=way_out):
            from krita_layerfusion.jobs import Refusal
            from krita_layerfusion.nodes import check_readable

            node = Node("Cat", **{"box": (1, 1, 9, 9), **facts})
            with pytest.raises(Refusal) as refused:
                check_readable(KritaDocument(node), node)
            assert words in refused.value.message
            assert way_out in refused.value.hint


def test_a_layer_that_reaches_too_far_is_read_on_the_canvas(monkeypatch):
    monkeypatch.setattr("krita_layerfusion.nodes.MAX_PIXELS", WIDTH * HEIGHT)
    far = Node("Cat", (0, 0, WIDTH + 1, 5))
    assert (read(far).width, read(far).height) == (WIDTH, HEIGHT)


def test_opaque_on_the_whole_canvas_in_every_depth(subtests):
    from krita_layerfusion.nodes import hides_all

    for depth in ("U8", "U16", "F16", "F32"):
        for box, hides in [
            ((0, 0, WIDTH, HEIGHT), True),
            ((0, 0, WIDTH - 1, HEIGHT), False),
            ((0, 9, WIDTH, 99), False),
        ]:
            with subtests.test(depth=depth, box=box):
                node = Node("Paper", box, colorDepth=depth)
                assert hides_all(KritaDocument(node), node) is hides


def test_colours_are_named(subtests):
    from krita_layerfusion import colours

    for facts, words in [
        ({"colorDepth": "U16"}, "16-bit RGB"),
        ({"colorModel": "CMYKA", "colorProfile": "Chemical proof"}, "8-bit CMYK with the profile “Chemical proof”"),
        ({"colorProfile": "sRGB-elle-V2-g10.icc"}, "8-bit RGB with the profile “sRGB-elle-V2-g10.icc”"),
        ({"colorModel": "new", "colorDepth": "U64"}, "U64 new"),
    ]:
        with subtests.test(words=words):
            node = Node("Cat", **facts)
            assert colours.described(node) == words
            assert not colours.are_the_servers(node)
    assert colours.are_the_servers(Node("Cat"))
    assert colours.blend_as_light(Node("Cat"))
    assert not colours.blend_as_light(Node("Cat", colorModel="CMYKA"))
