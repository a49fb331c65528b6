"""The decoded pictures of a job: one at a time, or those of a small model side by side, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor

from layerfusion.engine.diffusion.layer_codec import decode_foreground, decode_rgb
from layerfusion.engine.diffusion.observer import Observer
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.models.runtime.offloading import Component

_Decoded = tuple[Pixels, ...]


class Pictures:
    """Decodes a job's streams when they are asked for.

    On a processor, the operations of a small model are too short to be shared by threads, but its pictures do not
    depend on each other. There, the first that is asked for is decoded together with the others, as many at a time as
    torch has threads. Each is computed in one thread, and is the same whatever their number. Networks in half precision
    are left out, because one that overflows is converted, which must not happen while it decodes another picture.

    Args:
        bundle: the model.
        latents: (streams, C, h, w), the result of the loop.
        foregrounds: how many of the streams are foregrounds; they are the first.
        wanted: the streams that will be asked for. Others can be, too, and are decoded alone.
        observer: is told of each; None tells nobody.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        latents: Tensor,
        foregrounds: int,
        wanted: Sequence[int],
        observer: Observer | None = None,
    ) -> None:
        self._bundle, self._latents, self._foregrounds = bundle, latents, foregrounds
        self._wanted, self._observer = wanted, observer or Observer()
        self._decoded: dict[int, _Decoded] = {}

    def foreground(self, stream: int) -> tuple[Pixels, Pixels]:
        """A foreground, and its object on grey: uint8 RGBA of working size; see `decode_foreground`."""
        drawn, on_grey = self._of(stream)
        return drawn, on_grey

    def opaque(self, stream: int) -> Pixels:
        """The background or the blended picture: uint8 RGBA of working size, opaque."""
        (picture,) = self._of(stream)
        return picture

    def _of(self, stream: int) -> _Decoded:
        at_once = min(self._bundle.memory.pictures_at_once, len(self._wanted))
        if at_once < 2 or stream not in self._wanted or self._bundle.dtype != torch.float32:
            return self._decode(stream)
        if not self._decoded:
            self._decoded = self._side_by_side(at_once)
        return self._decoded[stream]

    def _side_by_side(self, at_once: int) -> dict[int, _Decoded]:
        # The threads find all components loaded. What torch knows of a thread, they must be told: it has no gradients
        # to record, and computes alone.
        self._bundle.memory.run(lambda: None, Component.VAE, Component.DECODER)
        with ThreadPoolExecutor(at_once, initializer=partial(torch.set_num_threads, 1)) as threads:
            decode: Callable[[int], _Decoded] = torch.inference_mode()(self._decode)
            return dict(zip(self._wanted, threads.map(decode, self._wanted), strict=True))

    def _decode(self, stream: int) -> _Decoded:
        latents = self._latents[stream : stream + 1]
        if stream < self._foregrounds:
            decoded: _Decoded = decode_foreground(self._bundle, latents)
        else:
            decoded = (decode_rgb(self._bundle, latents),)
        self._observer.decoded(stream)
        return decoded
