"""What it costs to bring drawn pictures to the canvas and into a file: what a job does after its networks.

The pictures are scripted, so that no model is needed: a textured ground, a disc with a soft outline before it, and the
same with a shadow beside the disc as the blended picture.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine import formats
from layerfusion.engine.diffusion.layer_builder import LayerBuilder
from layerfusion.engine.image.geometry import Framing, Size
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.image.resampling import to_canvas
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated
from layerfusion.engine.stack import LayerStack


@dataclass(frozen=True)
class FinishingCost:
    """Processor seconds, of all threads: of enlarging and bleeding the layers, of Shadow and Light, of writing."""

    enlarging: float
    shadow_and_light: float
    writing: float

    @property
    def total(self) -> float:
        return self.enlarging + self.shadow_and_light + self.writing


def measure(canvas: Size, working: Size, file: Path) -> FinishingCost:
    """Finish scripted pictures as the pipeline does, and write them.

    Args:
        canvas: the size of the layers.
        working: the size at which they are drawn.
        file: where they are written; its suffix is the format.

    Raises:
        UnknownFormat, UnwritableFile: see `formats.save`.
    """
    formats.check_writable(file)  # imports what writes, as a job does before it draws
    request = GenerationRequest(size=canvas, background=Generated("a ground"), foregrounds=(Generated("a disc"),))
    layers = _Scripted(request, Framing(canvas, working))
    times = [time.process_time()]
    pasted = layers.pasted()
    blended = layers.blended(pasted)
    times.append(time.process_time())
    stack = LayerStack(
        name="scripted", size=canvas, layers=(*pasted, *layers.shadow_and_light(blended.pixels, pasted), blended)
    )
    times.append(time.process_time())
    formats.save(stack, file)
    times.append(time.process_time())
    return FinishingCost(*(after - before for before, after in pairwise(times)))


class _Scripted(LayerBuilder):
    """Layers of scripted pictures instead of decoded ones."""

    def __init__(self, request: GenerationRequest, framing: Framing) -> None:
        nothing: Any = None
        super().__init__(nothing, request, framing, nothing)
        height, width = framing.working.height, framing.working.width
        grain = np.random.default_rng(0).normal(0, 4, (height, width, 1))
        down, across = np.mgrid[:height, :width] / min(height, width)
        ground = np.stack([120 + 80 * down, 140 + 40 * across, 200 - 90 * down], axis=-1) + grain
        disc = np.stack([200 - 60 * down, 60 + 50 * across, 50 + 20 * down], axis=-1) + grain
        distance = np.hypot(across - 0.5, down - 0.5)
        alpha = np.clip((0.25 - distance) * 120 + 0.5, 0, 1)[..., None]
        shade = 1 - 0.45 * np.exp(-(((across - 0.55) / 0.2) ** 2 + ((down - 0.75) / 0.05) ** 2))[..., None]
        self._ground = _opaque(ground)
        self._blended = _opaque(ground * shade * (1 - alpha) + disc * 0.9 * alpha)
        self._before_grey = _opaque(disc * alpha + 127 * (1 - alpha))
        self._disc = np.concatenate([_bytes(disc), _bytes(255 * alpha)], axis=-1)

    def _decoded_foreground(self, index: int) -> tuple[Pixels, Pixels]:
        return self._disc, self._before_grey

    def _opaque(self, row: int) -> Pixels:
        return to_canvas(self._ground if row == self._streams.background else self._blended, self._framing)


def _opaque(colours: NDArray[np.floating]) -> Pixels:
    return np.concatenate([_bytes(colours), np.full((*colours.shape[:2], 1), 255, np.uint8)], axis=-1)


def _bytes(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
