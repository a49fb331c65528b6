"""The plugin's own PSD files, read by psd-tools and by the engine."""

import io

import numpy as np
import pytest
from psd_tools import PSDImage
from psd_tools.api.layers import Group
from psd_tools.constants import BlendMode

pytestmark = pytest.mark.usefixtures("plugin")

WIDTH, HEIGHT = 300, 5


def rows(seed):
    """Rows in which runs of all lengths meet noise."""
    random = np.random.default_rng(seed)
    plane = random.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    plane[1] = 9
    plane[2, 10:13], plane[2, 20:24], plane[2, 40:167], plane[2, 170:299] = 1, 2, 3, 4
    plane[3, ::2] = plane[3, 1::2]
    return plane


def channels(psd_file, *planes):
    names = (0, 1, 2, psd_file.ALPHA)
    return {name: psd_file.packed(plane.tobytes(), plane.shape[1]) for name, plane in zip(names, planes, strict=False)}


def layer(psd_file, planes, **values):
    usual = {"name": "Paint", "box": (7, -3, WIDTH, HEIGHT), "blend": b"norm", "opacity": 255, "visible": True, "id": 1}
    return psd_file.PsdLayer(**{**usual, "channels": channels(psd_file, *planes), **values})


def opened(psd_file, layers, size=(WIDTH, HEIGHT)):
    plane = np.full((size[1], size[0]), 77, np.uint8)
    merged = tuple(psd_file.packed(plane.tobytes(), size[0]) for _ in range(3))
    file = io.BytesIO()
    psd_file.write(file, size, psd_file.resource(1005, bytes(16)), layers, merged)
    file.seek(0)
    return PSDImage.open(file)


def test_pixels_names_and_looks_come_back():
    from krita_layerfusion import psd_file

    planes = [rows(seed) for seed in range(4)]
    looks = {"name": "雪だるま ⛄", "blend": psd_file.blend_key("add"), "opacity": 128, "visible": False, "id": 7}
    document = opened(psd_file, [layer(psd_file, planes, **looks), layer(psd_file, planes, name="")])
    first, second = document
    assert (first.name, first.blend_mode, first.opacity) == ("雪だるま ⛄", BlendMode.LINEAR_DODGE, 128)
    assert (first.visible, first.layer_id, second.visible) == (False, 7, True)
    assert (first.left, first.top, first.width, first.height) == (7, -3, WIDTH, HEIGHT)
    assert np.array_equal(np.rint(first.numpy() * 255).astype(np.uint8), np.stack(planes, -1))
    assert np.array_equal(np.asarray(document.numpy("color") * 255).round(), np.full((HEIGHT, WIDTH, 3), 77))


def test_groups_and_layer_masks_come_back():
    from krita_layerfusion import psd_file

    planes, mask = [rows(seed) for seed in range(4)], rows(9)
    masked = channels(psd_file, *planes) | {psd_file.MASK: psd_file.packed(mask.tobytes(), WIDTH)}
    nothing = {"channels": {}, "box": (0, 0, 0, 0)}
    document = opened(
        psd_file,
        [
            layer(psd_file, (), section=psd_file.BOUNDARY, **nothing),
            layer(psd_file, (), channels=masked, mask=(7, -3, WIDTH, HEIGHT)),
            layer(psd_file, (), section=psd_file.CLOSED, name="Pair", id=3, opacity=99, **nothing),
        ],
    )
    (group,) = document
    assert isinstance(group, Group)
    assert (group.kind, group.name, group.opacity, group.layer_id) == ("group", "Pair", 99, 3)
    (inside,) = group
    assert np.array_equal(np.rint(inside.numpy("mask")[..., 0] * 255).astype(np.uint8), mask)
    assert inside.mask.background_color == 0


def test_modes_that_a_psd_does_not_have_have_no_key():
    from krita_layerfusion import psd_file

    assert psd_file.blend_key("linear light") == b"lLit"
    assert psd_file.blend_key("parallel") is None


def test_parts_of_a_channel_are_joined():
    from krita_layerfusion import psd_file

    whole = rows(3)
    parts = [psd_file.packed(whole[at : at + 2].tobytes(), WIDTH) for at in range(0, HEIGHT, 2)]
    assert psd_file.joined(parts) == psd_file.packed(whole.tobytes(), WIDTH)


def test_resources_are_read_by_their_numbers():
    from krita_layerfusion import psd_file

    file = io.BytesIO()
    plane = psd_file.packed(bytes(4), 2)
    resources = psd_file.resource(1039, b"profile") + psd_file.resource(1005, bytes(16))
    psd_file.write(file, (2, 2), resources, [], (plane, plane, plane))
    file.seek(0)
    assert psd_file.resources_of(file) == {1039: b"profile", 1005: bytes(16)}


@pytest.mark.parametrize("data", [b"", b"no PSD at all, and long enough to be one", b"8BPS" + bytes(22) + b"\0\0\1\0"])
def test_another_file_is_no_psd(data):
    from krita_layerfusion import psd_file

    with pytest.raises(ValueError, match="PSD"):
        psd_file.resources_of(io.BytesIO(data))
