import struct

import numpy as np
import pytest

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats import load_image


def tiff(tags, data, order="<"):
    """A TIFF of one strip; tags are (number, type, values), type 3 for 16 bits, 4 for 32 and 5 for fractions of two."""
    sizes = {3: "H", 4: "I", 5: "I"}
    tags = [*tags, (273, 4, [8]), (279, 4, [len(data)])]
    start = 8 + len(data) + len(data) % 2
    entries, more, place = b"", b"", start + 2 + 12 * len(tags) + 4
    for number, kind, values in sorted(tags):
        packed = struct.pack(f"{order}{len(values)}{sizes[kind]}", *values)
        count = len(values) // 2 if kind == 5 else len(values)
        if len(packed) > 4:
            entries += struct.pack(f"{order}HHII", number, kind, count, place + len(more))
            more += packed
        else:
            entries += struct.pack(f"{order}HHI", number, kind, count) + packed.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return head + data + bytes(len(data) % 2) + directory + more


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_16_bits_are_rounded_to_8(tmp_path, order):
    deep = np.random.default_rng(2).integers(0, 65536, (5, 6, 4)).astype(f"{order}u2")
    for channels, extra in [(3, []), (4, [(338, 3, [2])])]:
        values = deep[..., :channels]
        common = [(256, 3, [6]), (257, 3, [5]), (258, 3, [16] * channels), (259, 3, [1]), (262, 3, [2])]
        tags = [*common, (277, 3, [channels]), (278, 3, [5]), *extra]
        (tmp_path / "a.tif").write_bytes(tiff(tags, values.tobytes(), order))
        assert np.array_equal(load_image(tmp_path / "a.tif")[..., :channels], np.rint(values / 257))


def test_tiffs_that_pillow_would_read_as_something_else_are_refused(subtests, tmp_path):
    common = [(256, 3, [2]), (257, 3, [2]), (259, 3, [1]), (278, 3, [2])]
    grey16 = [(258, 3, [16]), (277, 3, [1])]
    for tags, words in [
        ([*common, *grey16, (262, 3, [0])], "inverted"),
        ([*common, *grey16, (262, 3, [1]), (339, 3, [2])], "signed"),
        ([*common, (258, 3, [8] * 4), (277, 3, [4]), (262, 3, [2]), (338, 3, [0])], "extra channel"),
        ([*common, (258, 3, [8] * 4), (277, 3, [4]), (262, 3, [5])], "CMYK without"),
        ([*common, (258, 3, [8] * 3), (277, 3, [3]), (262, 3, [8])], "colours"),
    ]:
        with subtests.test(words):
            (tmp_path / "a.tif").write_bytes(tiff(tags, bytes(64)))
            with pytest.raises(UnreadableFile, match=words):
                load_image(tmp_path / "a.tif")


def test_tiffs_whose_tags_say_what_pillow_does_not_do_are_refused(subtests, tmp_path):
    size = [(256, 3, [2]), (257, 3, [2]), (259, 3, [1]), (278, 3, [2])]
    rgb = [*size, (262, 3, [2]), (277, 3, [3])]
    eight, grey = [*rgb, (258, 3, [8] * 3)], [*size, (262, 3, [1])]
    primaries = [value for number in (0.68, 0.32, 0.265, 0.69, 0.15, 0.06) for value in (round(number * 1000), 1000)]
    for tags, words in [
        ([*rgb, (258, 3, [16] * 3), (284, 3, [2])], "16 bits a channel in separate planes"),
        ([*grey, (258, 3, [12]), (277, 3, [1])], "12 bits a channel"),
        ([*rgb, (258, 3, [8, 8, 4])], "4 and 8 bits a channel"),
        ([*grey, (258, 3, [16] * 2), (277, 3, [2]), (338, 3, [2])], "2 channels of 16 bits, with alpha"),
        ([*size, (262, 3, [2]), (258, 3, [8] * 4), (277, 3, [4])], "extra channel of which it does not say"),
        ([*size, (262, 3, [6]), (258, 3, [8] * 3), (277, 3, [3])], "the colours “YCbCr”"),
        ([*eight, (301, 3, [0] * 256)], "a curve of its own"),
        ([*eight, (319, 5, primaries)], "states primaries"),
    ]:
        with subtests.test(words=words):
            (tmp_path / "a.tif").write_bytes(tiff(tags, bytes(64)))
            with pytest.raises(UnreadableFile, match=words):
                load_image(tmp_path / "a.tif")
    rec709 = [value for number in (0.64, 0.33, 0.30, 0.60, 0.15, 0.06) for value in (round(number * 1000), 1000)]
    (tmp_path / "a.tif").write_bytes(tiff([*eight, (319, 5, rec709)], bytes(12)))
    assert load_image(tmp_path / "a.tif").shape == (2, 2, 4)


@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_multiplied_by_alpha_are_divided_by_it_in_16_bits(tmp_path, order):
    straight = np.random.default_rng(3).integers(0, 65536, (5, 6, 4)).astype(np.uint16)
    straight[0, :, 3] = 3000
    straight[1, 0, 3] = 0
    stored = straight.copy()
    stored[..., :3] = np.rint(straight[..., :3] * (straight[..., 3:] / 65535))
    tags = [(256, 3, [6]), (257, 3, [5]), (258, 3, [16] * 4), (259, 3, [1]), (262, 3, [2]), (277, 3, [4])]
    tags += [(278, 3, [5]), (338, 3, [1])]
    (tmp_path / "a.tif").write_bytes(tiff(tags, stored.astype(f"{order}u2").tobytes(), order))
    read, seen = load_image(tmp_path / "a.tif"), straight[..., 3] > 0
    assert np.abs(read[seen].astype(int) - np.rint(straight[seen] / 257)).max() <= 1
    assert read[1, 0, 3] == 0
