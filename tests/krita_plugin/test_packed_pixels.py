"""Pixels of kept layers, packed and unpacked; the bytes can come from a stranger's document."""

import json
import zlib
from types import SimpleNamespace

import numpy as np
import pytest


class Layer:
    """A layer of four bytes a pixel, as Krita's."""

    def __init__(self, width, height, pixels=b""):
        self.box = (3, -5, width, height)
        self.pixels = pixels
        self.written = []

    def bounds(self):
        left, top, width, height = self.box
        return SimpleNamespace(x=lambda: left, y=lambda: top, width=lambda: width, height=lambda: height)

    def pixelData(self, left, top, width, rows):
        assert (left, width) == (self.box[0], self.box[2])
        first = (top - self.box[1]) * width * 4
        return self.pixels[first : first + rows * width * 4]

    def setPixelData(self, data, left, top, width, rows):
        self.written.append((left, top, width, rows, data))


@pytest.fixture
def packed_pixels(plugin):
    from krita_layerfusion import packed_pixels

    return packed_pixels


def packed(module, layer):
    steps = module.pack(layer)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def written(box, row, data):
    return json.dumps({"box": box, "row": row}).encode() + b"\n" + zlib.compress(data)


def test_pixels_come_back_byte_for_byte_in_strips(packed_pixels, monkeypatch):
    monkeypatch.setattr(packed_pixels, "STEP_BYTES", 50 * 40)
    monkeypatch.setattr(packed_pixels, "PIECE_BYTES", 7)
    pixels = np.random.default_rng(1).integers(0, 256, 10 * 37 * 4, np.uint8).tobytes()
    there = Layer(10, 37)
    steps = list(packed_pixels.unpack(packed(packed_pixels, Layer(10, 37, pixels)), there))
    assert len(steps) == len(there.written) > 0
    assert b"".join(strip[-1] for strip in there.written) == pixels
    assert there.written[0][:3] == (3, -5, 10)
    assert sum(strip[3] for strip in there.written) == 37


def test_an_empty_layer_stays_empty(packed_pixels):
    there = Layer(0, 0)
    assert list(packed_pixels.unpack(packed(packed_pixels, Layer(0, 0)), there)) == there.written == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no line",
        b"no JSON\n",
        b"[1]\n",
        b'{"box": [0, 0, 8, 8], "row": Infinity}\n',
        b'{"box": [0, 0, 8], "row": 32}\n',
        b'{"box": null, "row": 32}\n',
        written([0, 0, 8, 8], -32, bytes(256)),
        written([0, 0, 8, 8], 10**9, bytes(256)),
        written([0, 0, 10**7, 8], 4 * 10**7, bytes(256)),
        written([0, 0, 8, -8], 32, bytes(256)),
        written([0, 0, 8, 8], 32, bytes(200)),
        written([0, 0, 8, 8], 32, bytes(256))[:-12],
        b'{"box": [0, 0, 8, 8], "row": 32}\nnothing compressed',
    ],
)
def test_what_is_damaged_is_named_and_asks_for_no_memory(packed_pixels, data):
    with pytest.raises(packed_pixels.Damaged):
        list(packed_pixels.unpack(data, Layer(8, 8)))
