"""Thumbnails of finished jobs, made from the layers in the store."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, LayeredImage
from layerfusion.engine.image.resampling import resize
from layerfusion.server import translate
from layerfusion.server.protocol.errors import LayerLost
from layerfusion.server.protocol.messages import LayerBegin, Submit
from layerfusion.server.storage.layer_store import LayerStore

_FINER = 4
"""The layers are composited at this many times the thumbnail's side (our choice), to be quick and free of aliasing."""


def thumbnail(submit: Submit, begins: Iterable[LayerBegin], store: LayerStore, side: int) -> tuple[int, int, bytes]:
    """Composite the visible layers of a job and make them small.

    Of a large canvas only some rows are read, so that it costs about as much as a small one.

    Args:
        submit: the job's submission.
        begins: the messages about its layers, in any order.
        store: the layer store.
        side: the longer side of the thumbnail, in pixels; smaller pictures are not enlarged.

    Returns:
        Width, height, and the pixels: BGRA, straight alpha.

    Raises:
        LayerLost: the file of a layer is missing or damaged.
    """
    longest = max(submit.width, submit.height)
    step = max(1, longest // (_FINER * side))
    thinned = (_thinned(begin, store, step) for begin in sorted(begins, key=lambda begin: begin.index) if begin.visible)
    layers = tuple(layer for layer in thinned if layer is not None)
    size = Size(-(-submit.width // step), -(-submit.height // step))
    part = min(1.0, side / longest)
    small = Size(max(1, round(part * submit.width)), max(1, round(part * submit.height)))
    picture = resize(flatten(LayeredImage(name=submit.title, size=size, layers=layers)), small)
    return small.width, small.height, translate.to_bgra(picture)


def _thinned(begin: LayerBegin, store: LayerStore, step: int) -> Layer | None:
    """Every `step`th pixel of a layer in both directions, counted on the canvas; None if it has none of these."""
    try:
        with store.path(begin.sha256).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if len(data) != begin.bytes:
                raise OSError(f"it has {len(data)} bytes instead of {begin.bytes}")
            pixels = np.frombuffer(data, np.uint8).reshape(begin.height, begin.width, 4)
            part = np.array(pixels[-begin.y % step :: step, -begin.x % step :: step])
            del pixels  # the file cannot be closed before
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise LayerLost(f"A layer of the job {begin.job} is missing ({error}).", "Resubmit the job.") from error
    height, width, _ = part.shape
    if not part.size:
        return None
    place = {"x": -(-begin.x // step), "y": -(-begin.y // step)}
    return translate.to_layer(replace(begin, width=width, height=height, bytes=part.size, **place), part.tobytes())
