"""Reading an artist's layers: all pixels are read, or a refusal names the layer and a remedy."""

import pytest

from krita_document import HEIGHT, WIDTH, KritaDocument, Node

pytestmark = pytest.mark.usefixtures("plugin")


def read(node, **size):
    from krita_layerfusion.nodes import read

    return read(KritaDocument(node, **size), node)


def losses(node, **size):
    from krita_layerfusion.nodes import losses

    return list(losses(KritaDocument(node, **size), node))


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
        ({"colorDepth": "U16"}, "The layer “Cat” is not 8-bit RGB", "Convert"),
        ({"colorModel": "CMYKA"}, "The layer “Cat” is not 8-bit RGB", "Convert"),
        ({"visible": False}, "The layer “Cat” is hidden", "Show it"),
        ({"box": None}, "The layer “Cat” is empty", "Select"),
        ({"box": (-20, 0, 20, 20)}, "The layer “Cat” is completely outside the canvas", "Move it"),
    ]:
        with subtests.test(facts=facts, words=words, way_out=way_out):
            from krita_layerfusion.jobs import Refusal

            with pytest.raises(Refusal) as refused:
                read(Node("Cat", **{"box": (1, 1, 9, 9), **facts}))
            assert words in refused.value.message
            assert way_out in refused.value.hint


def test_a_layer_that_reaches_too_far_is_read_on_the_canvas_and_the_rest_is_named(monkeypatch):
    monkeypatch.setattr("krita_layerfusion.nodes.MAX_PIXELS", WIDTH * HEIGHT)
    far = Node("Cat", (0, 0, WIDTH + 1, 5))
    assert (read(far).width, read(far).height) == (WIDTH, HEIGHT)
    assert losses(far) == ["the parts outside the canvas"]


def test_properties_that_a_copy_lacks_are_named():
    mask = Node("Mask", kind="transparencymask")
    cat = Node(
        "Cat",
        (1, 1, 5, 5),
        [mask],
        kind="paintlayer",
        opacity=128,
        blendingMode="screen",
        inheritAlpha=True,
        layerStyleToAsl="<asl/>",
        colorProfile="Rec2020",
    )
    assert losses(cat) == [
        "its masks (their effect becomes part of the pixels)",
        "its opacity of 50 %",
        "its blending mode “screen”",
        "its inherited alpha",
        "its layer style",
        "its profile “Rec2020” (its colours will look different)",
    ]
    assert losses(Node("Dog", (1, 1, 5, 5))) == []
