"""From latents to an artist's layers: decoding, scaling to the canvas, and making Shadow and Light."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from layerfusion.engine.diffusion.decoding import Pictures
from layerfusion.engine.diffusion.observer import Observer
from layerfusion.engine.diffusion.source_constraints import needs_filling
from layerfusion.engine.diffusion.tiled_refinement import TiledRefinement
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.compositing import bleed, flatten
from layerfusion.engine.image.geometry import Framing
from layerfusion.engine.image.layers import BlendMode, Layer, Pixels, Role
from layerfusion.engine.image.relighting import relit_paste
from layerfusion.engine.image.resampling import to_canvas, to_working
from layerfusion.engine.image.shadow_light import clean_layers, exact_layers
from layerfusion.engine.image.upscaling import foreground_to_canvas
from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.notices import Notice, sentence
from layerfusion.engine.options.checks import shortened
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Existing, Kept, Relit, has_known_place
from layerfusion.engine.stack import LayerStack
from layerfusion.engine.transparency.drift_check import drift_notice


class LayerBuilder:
    """Makes one job's layers. Kept layers are returned unchanged.

    Args:
        bundle: the model.
        request: the job.
        framing: how the picture of working size lies on the canvas.
        latents: (streams, C, h, w), the result of the loop.
        observer: is told of every picture that is decoded; None tells nobody.

    Attributes:
        finer: the refined pictures, which replace the decoded ones; None if nothing was refined.
        notices: notices about the layers that were made so far.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        request: GenerationRequest,
        framing: Framing,
        latents: Tensor,
        observer: Observer | None = None,
    ) -> None:
        self._bundle, self._request, self._framing = bundle, request, framing
        self._streams = Streams(len(request.foregrounds))
        self._pictures = Pictures(bundle, latents, self._streams.foregrounds, self._drawn(), observer)
        self.finer: TiledRefinement | None = None
        self.notices: list[Notice] = []

    @property
    def count(self) -> int:
        """How many layers the stack has."""
        return len(self._request.foregrounds) + 4 + needs_filling(self._request)

    def pasted(self) -> list[Layer]:
        """The backgrounds and foregrounds, bottom first."""
        return [*self._backgrounds(), *(self.foreground(index) for index in range(self._streams.foregrounds))]

    def foreground(self, index: int) -> Layer:
        """Foreground `index`, 0 … K-1: decoded, with colour bled under its edge; or kept, unchanged."""
        source = self._request.foregrounds[index]
        if isinstance(source, Kept):
            return source.layer
        drawn, before_grey = self._decoded_foreground(index)
        guide = None if self.finer is None else self.finer.guides[index]
        pixels = foreground_to_canvas(drawn, before_grey, self._framing, guide)
        if self.finer is not None:
            pixels[..., :3] = self.finer.refined[index][..., :3]
        if not isinstance(source, Relit) and source.shape is not None and source.box is not None:
            inside = source.shape.over(source.box, self._request.size).astype(np.uint16)
            pixels[..., 3] = (pixels[..., 3] * inside + 127) // 255
        name = "Foreground" if self._streams.foregrounds == 1 else f"Foreground {index + 1}"
        if isinstance(source, Relit):
            name = f"{source.layer.name.removesuffix(' (relit)')[:245]} (relit)"
        return Layer(name=name, role=Role.FOREGROUND, pixels=_final(bleed(pixels)))

    def blended(self, pasted: Sequence[Layer]) -> Layer:
        """The blended picture, as a hidden layer for reference.

        If the place of every foreground is known, it shows the very layers of the stack, in the light of what the model
        drew: no pixel of the artist's has been through the VAE. Layers with another blend mode than normal are shown as
        the model drew them.

        Args:
            pasted: the backgrounds and foregrounds of the stack, bottom first.
        """
        pixels = self._opaque(self._streams.blended)
        whole = LayerStack(name="", size=self._request.size, layers=tuple(pasted))
        known = all(has_known_place(source) for source in self._request.foregrounds)
        if known and all(layer.blend is BlendMode.NORMAL for layer in pasted):
            ground = flatten(replace(whole, layers=whole.by_role(Role.BACKGROUND)))
            objects = [flatten(replace(whole, layers=(layer,))) for layer in whole.by_role(Role.FOREGROUND)]
            pixels = relit_paste(pixels, ground, objects)
        return Layer(name="Blended", role=Role.BLENDED, pixels=_final(pixels), visible=False)

    def shadow_and_light(self, blended: Pixels, pasted: Sequence[Layer]) -> tuple[Layer, Layer]:
        """The Shadow and Light layers: the difference between the blended picture and the composite of `pasted`.

        Args:
            blended: uint8 (H, W, 4), the blended picture at canvas size.
            pasted: the backgrounds and foregrounds of the stack, bottom first.
        """
        exact = self._request.harmony.mode == "exact"
        whole = LayerStack(name="", size=self._request.size, layers=tuple(pasted))
        if exact:
            shadow, light = exact_layers(blended, flatten(whole))
        else:
            objects = whole.by_role(Role.FOREGROUND)
            alphas = [flatten(replace(whole, layers=(layer,)))[..., 3].copy() for layer in objects]
            made = clean_layers(blended, flatten(whole), alphas)
            shadow, light = made.shadow, made.light
            self.notices += self._redrawn(objects, made.trust)
        suffix = " (exact, this arrangement)" if exact else ""
        return (
            Layer(name="Shadow" + suffix, role=Role.SHADOW, pixels=_final(shadow), blend=BlendMode.MULTIPLY),
            Layer(name="Light" + suffix, role=Role.LIGHT, pixels=_final(light), blend=BlendMode.ADD),
        )

    def _redrawn(self, objects: Sequence[Layer], trust: Sequence[float | None]) -> Iterator[Notice]:
        """Name the kept and relit foregrounds that the blended picture shows as something else."""
        for source, layer, trusted in zip(self._request.foregrounds, objects, trust, strict=True):
            if isinstance(source, Existing) and trusted == 0:
                told = sentence("object_redrawn", layer=shortened(layer.name, 40))
                yield Notice(code="object_redrawn", sentences=(told,))

    def canvas_pictures(self) -> dict[int, Pixels]:
        """The pictures that a refinement starts from: stream -> uint8 (H, W, 4), straight alpha, at canvas size."""
        whole, pictures = Framing(self._request.size, self._request.size), dict[int, Pixels]()
        for index, source in enumerate(self._request.foregrounds):
            layer = self.foreground(index)
            kept = isinstance(source, Kept)
            pictures[index] = to_working(layer.pixels, layer.offset, whole) if kept else layer.pixels
        return pictures | {row: self._opaque(row) for row in (self._streams.background, self._streams.blended)}

    def _backgrounds(self) -> Iterator[Layer]:
        """One layer; or two if a kept background has holes: the layer drawn to fill them, and the kept one above it."""
        source = self._request.background
        if not isinstance(source, Kept) or needs_filling(self._request):
            name = "Background" if not isinstance(source, Kept) else "Background, filled in"
            yield Layer(name=name, role=Role.BACKGROUND, pixels=_final(self._opaque(self._streams.background)))
        if isinstance(source, Kept):
            yield source.layer

    def _opaque(self, row: int) -> Pixels:
        if self.finer is not None:
            return self.finer.refined[row]
        return to_canvas(self._pictures.opaque(row), self._framing)

    def _decoded_foreground(self, index: int) -> tuple[Pixels, Pixels]:
        """The foreground, and the object on grey: uint8 RGBA of working size."""
        drawn, before_grey = self._pictures.foreground(index)
        if self._bundle.spec.transparency.kind == "layerdiffuse":
            self.notices += filter(None, [drift_notice(drawn, before_grey)])
        return drawn, before_grey

    def _drawn(self) -> list[int]:
        """The streams whose pictures become layers, or parts of them."""
        drawn = [index for index, each in enumerate(self._request.foregrounds) if not isinstance(each, Kept)]
        if not isinstance(self._request.background, Kept) or needs_filling(self._request):
            drawn.append(self._streams.background)
        return [*drawn, self._streams.blended]


def _final(pixels: Pixels) -> Pixels:
    """Make pixels read-only that nothing will change any more: a layer copies writable ones."""
    pixels.setflags(write=False)
    return pixels
