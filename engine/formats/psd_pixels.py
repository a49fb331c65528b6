"""The pixels in a Photoshop document: channels of a layer, or of the picture itself if it has no layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from psd_tools import PSDImage
from psd_tools.api.layers import Layer as PSDLayer
from psd_tools.constants import ChannelID, ColorMode, Compression
from psd_tools.psd.layer_and_mask import ChannelData

from layerfusion.engine.image.colour import pixels_to_srgb, profile_to_srgb, to_eight_bits
from layerfusion.engine.image.layers import Pixels

COLOURS = {ColorMode.GRAYSCALE: 1, ColorMode.RGB: 3, ColorMode.CMYK: 4}
"""How many channels of colour a document has that is read."""

Plane = NDArray[Any]
"""uint8 or big-endian uint16 (H, W): one channel, in the file's depth."""


def of_layer(document: PSDImage, layer: PSDLayer, profile: bytes | None) -> Pixels:
    """Decode a layer's channels to uint8 (H, W, 4), sRGB, straight alpha, and forget their compressed bytes.

    Args:
        profile: the document's ICC profile; a CMYK document has to have one.

    Raises:
        InvalidLayer: the profile cannot be read, or it is for another kind of picture.
        Exception: anything that damaged channels cause.
    """
    width, height, depth = layer.width, layer.height, document.depth
    dtype = _dtype(depth)
    planes: dict[int, Plane] = {}
    for info, channel in zip(layer._record.channel_info, layer._channels, strict=True):
        if info.id >= ChannelID.TRANSPARENCY_MASK:
            _check_rows(channel, height, document.version)
            data = channel.get_data(
                width, height, depth, document.version, max_output_bytes=width * height * dtype.itemsize
            )
            planes[info.id] = np.frombuffer(data, dtype, width * height).reshape(height, width)
        channel.data = b""
    colours = [planes[number] for number in range(COLOURS[document.color_mode])]
    return _to_srgb(colours, planes.get(ChannelID.TRANSPARENCY_MASK), profile)


def of_picture(document: PSDImage, profile: bytes | None) -> tuple[Pixels, list[Plane]]:
    """Decode the picture of a document without layers; see `of_layer`.

    Returns:
        uint8 (H, W, 4), opaque; and the channels beside its colours, of which the file does not say what they are.
    """
    header, count = document._record.header, COLOURS[document.color_mode]
    dtype = _dtype(document.depth)
    size = header.width * header.height
    data = document._record.image_data.get_data(
        header, split=False, max_output_bytes=size * header.channels * dtype.itemsize
    )
    assert isinstance(data, bytes)
    planes = list(np.frombuffer(data, dtype, size * header.channels).reshape(-1, header.height, header.width))
    return _to_srgb(planes[:count], None, profile), planes[count:]


def _dtype(depth: int) -> np.dtype[Any]:
    return np.dtype(np.uint8 if depth == 8 else ">u2")


def _to_srgb(colours: list[Plane], alpha: Plane | None, profile: bytes | None) -> Pixels:
    native = colours[0].dtype.newbyteorder("=")
    if alpha is None:
        alpha = np.full(colours[0].shape, np.iinfo(native).max, native)
    if len(colours) == 4:
        inks = np.stack([255 - _eight_bits(plane) for plane in colours], axis=-1)  # in the file, 0 is full ink
        assert profile is not None
        converted = profile_to_srgb(Image.fromarray(inks, "CMYK"), profile)
        return np.dstack([np.asarray(converted), _eight_bits(alpha)])
    values = np.empty((*alpha.shape, 4), native)
    for index in range(3):
        values[..., index] = colours[index % len(colours)]
    values[..., 3] = alpha
    return pixels_to_srgb(values, profile)


def _eight_bits(plane: Plane) -> NDArray[np.uint8]:
    return plane if plane.dtype == np.uint8 else to_eight_bits(plane)


def _check_rows(channel: ChannelData, height: int, version: int) -> None:
    """Check that the lengths of the run-length encoded rows add up: psd-tools reads past a wrong one without a word.

    Raises:
        ValueError: they do not.
    """
    if channel.compression is Compression.RLE:
        table = np.frombuffer(channel.data, ">u2" if version == 1 else ">u4", height)
        if int(table.sum()) + table.nbytes != len(channel.data):
            raise ValueError("the rows of a channel have other lengths than stated")
