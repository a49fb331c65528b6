"""The artist's layers as constraints on the streams: what is known before anything is drawn.

| source | its own stream | the blended stream |
|---|---|---|
| kept foreground | held to the end; its alpha is its mask | shows it, in the model's light |
| relit foreground | held until its strength, then free | the same |
| foreground with a box | its draft in the box or its shape, held as a relit layer; nothing outside | as for relit |
| kept background | held where it covers the canvas | shows it outside all objects until `BACKDROP_UNTIL` |
| relit background | held until its strength, then free | shows it outside all objects until its strength |
| drawn background, every foreground known | free | shows it outside all objects until `BACKDROP_UNTIL` |
| drawn background, some foreground drawn | free | shows it outside all objects until `backdrop_until`; 1 is never |
| every layer kept or relit | as above | starts as their composite, held until the blended picture's strength |

"Until x" means: while t > x · T. "Known" foregrounds are kept, relit or have a box.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from layerfusion.engine.backbones.base import Backbone
from layerfusion.engine.diffusion.constraints import BackdropConstraint, Constraints, LatentConstraint
from layerfusion.engine.diffusion.known_scene import KnownObject, SceneConstraint
from layerfusion.engine.diffusion.layer_codec import encode_opaque, encode_rgba
from layerfusion.engine.fusion.mask_builder import KnownShape
from layerfusion.engine.fusion.masks import SHARING_MARGIN
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.compositing import bleed, composite
from layerfusion.engine.image.geometry import Box, Framing
from layerfusion.engine.image.layers import Pixels, covers
from layerfusion.engine.image.placement import fitted, fitted_in, in_box
from layerfusion.engine.image.resampling import to_working
from layerfusion.engine.image.shape import INSIDE, Shape
from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.request import HARMONISE_STRENGTH, GenerationRequest
from layerfusion.engine.sources import Generated, Kept, Relit, Source

BOX_STRENGTH = 0.4
"""How much of a draft is drawn anew after it is fitted into its box, 0-1 (our choice): enough to adapt to the new size
and the light of the scene, and little enough to keep the object in its place. It is less in proportion if the box's
shorter side is below `SMALL_BOX` of the canvas's: few latents hold a small object, and the model would lose it."""

SMALL_BOX = 0.5

BOX_MARGIN = 0.08
"""Margin between draft and box, as a fraction of the box's sides (our choice): drawing an object anew enlarges it a
little."""

BACKDROP_UNTIL = 0.1
"""The blended stream is held to a known background outside all objects, and outside the ground about them, while
t > 0.1 T (our choice). The last steps must be free to hide the seam."""

GROUND = 0.18
"""Width of the ground about the lower halves of objects, where the background is not held, so that shadows can fall
there; a fraction of the frame's longer side (our choice)."""

FAR = 0.2
"""Farther from every object than 20 % of the frame's longer side, the background is held to the end (our choice). No
shadow reaches so far, but the model might draw a second object there."""


@dataclass(frozen=True)
class SourceConstraints:
    """The constraints and shapes that follow from the artist's layers in one job.

    Attributes:
        constraints: for `denoise`.
        shapes: for `Coupling`, by foreground index.
    """

    constraints: Constraints
    shapes: dict[int, KnownShape]


def source_constraints(
    backbone: Backbone[Any],
    bundle: ModelBundle,
    request: GenerationRequest,
    fusion: FusionSettings,
    framing: Framing,
    drafts: Mapping[int, Pixels],
) -> SourceConstraints:
    """Make the constraints and shapes of a request.

    Args:
        backbone: the network; names the transformer block whose content confidence locates the foregrounds.
        bundle: the model, whose VAE and transparent encoder encode the layers.
        request: the job.
        fusion: the job's settings; `backdrop_until` says how long a drawn background is held in the blended stream.
        framing: how the picture of working size lies on the canvas.
        drafts: foreground index -> uint8 RGBA (H, W, 4), any size: the foregrounds with a box, drawn alone.
    """
    return _Reader(backbone, bundle, request, fusion, framing, drafts).read()


class _Reader:
    def __init__(
        self,
        backbone: Backbone[Any],
        bundle: ModelBundle,
        request: GenerationRequest,
        fusion: FusionSettings,
        framing: Framing,
        drafts: Mapping[int, Pixels],
    ) -> None:
        self._bundle, self._request, self._framing = bundle, request, framing
        self._last_block = backbone.attention_modules[-1].rsplit(".", 1)[0]
        self._drawn_until = fusion.backdrop_until
        self._streams = Streams(len(request.foregrounds))
        self._pictures = {
            stream: to_working(source.layer.pixels, source.layer.offset, framing)
            for stream, source in enumerate(request.sources)
            if not isinstance(source, Generated)
        }
        for index, pixels in drafts.items():
            box, shape = self._box(index).inset(BOX_MARGIN), self._shape(index)
            placed = fitted(pixels, box) if shape is None else fitted_in(pixels, box, shape)
            if placed is not None:
                self._pictures[index] = to_working(*placed, framing)

    def read(self) -> SourceConstraints:
        latents: list[LatentConstraint] = []
        known: list[KnownObject] = []
        backdrops: list[BackdropConstraint] = []
        shapes: dict[int, KnownShape] = {}
        strength = self._blended_strength()
        if strength < 1:
            flat = self._composite()
            latents.append(LatentConstraint(self._streams.blended, *self._opaque(flat), until=strength))
        for index, source in enumerate(self._request.foregrounds):
            if index not in self._pictures:
                continue
            held_until = self._strength(source)
            clean = encode_rgba(self._bundle, self._pictures[index])[0]
            latents.append(LatentConstraint(index, clean, torch.ones((1, 1, 1), device=clean.device), held_until))
            if isinstance(source, Generated):
                latents.append(LatentConstraint(index, clean, 1 - self._within(index)))
            alpha = F.avg_pool2d(self._alpha(self._pictures[index]), self._bundle.latent_factor)
            shapes[index] = KnownShape(alpha.flatten(1), held_until)
            known.append(self._object(index, held_until))
        background, everyone = self._request.background, tuple(range(self._streams.foregrounds))
        if not isinstance(background, Generated):
            clean, mask = self._opaque(self._pictures[self._streams.background])
            held_until = background.strength if isinstance(background, Relit) else 0.0
            latents.append(LatentConstraint(self._streams.background, clean, mask, held_until))
            if isinstance(background, Relit):
                backdrops.append(self._shown_behind(clean, mask, everyone, 0.0, held_until))
            else:
                backdrops += self._backdrop(clean, mask, everyone, BACKDROP_UNTIL)
        else:
            everywhere = torch.ones((1, 1, 1), device=self._bundle.device)
            shown = BACKDROP_UNTIL if len(shapes) == len(everyone) else self._drawn_until
            backdrops += self._backdrop(None, everywhere, everyone, shown)
        scenes = (self._scene(known, strength),) if known else ()
        return SourceConstraints(Constraints(tuple(latents), tuple(backdrops), scenes), shapes)

    def _strength(self, source: Source) -> float:
        """How much of a known foreground is drawn anew, 0-1."""
        if isinstance(source, Relit):
            return source.strength
        if isinstance(source, Kept) or source.box is None:
            return 0.0
        canvas = self._request.size
        share = min(source.box.width, source.box.height) / min(canvas.width, canvas.height)
        return BOX_STRENGTH * min(1.0, share / SMALL_BOX)

    def _object(self, index: int, held_until: float) -> KnownObject:
        """A foreground whose place is known, as the blended picture shows it."""
        pixels, above = self._pictures[index], range(index + 1, self._streams.foregrounds)
        alpha = self._alpha(pixels)
        for other in above:
            if other in self._pictures:
                alpha = alpha * (1 - self._alpha(self._pictures[other]))
        return KnownObject(
            index=index,
            pixels=pixels,
            solid=encode_opaque(self._bundle, bleed(pixels))[0],
            cover=F.avg_pool2d(alpha, self._bundle.latent_factor)[0],
            held_until=held_until,
            under=tuple(other for other in above if other not in self._pictures),
        )

    def _scene(self, known: list[KnownObject], since: float) -> SceneConstraint:
        kept = isinstance(self._request.background, Kept)
        return SceneConstraint(
            self._bundle,
            stream=self._streams.blended,
            objects=known,
            backdrop=self._pictures[self._streams.background] if kept else None,
            free=tuple(index for index in range(self._streams.foregrounds) if index not in self._pictures),
            block=self._last_block,
            since=since,
        )

    def _backdrop(
        self, clean: Tensor | None, mask: Tensor, behind: tuple[int, ...], until: float
    ) -> Iterator[BackdropConstraint]:
        """The blended stream shows the background outside all objects until `until`, and to the end far from them.

        Nothing is held if `until` is 1.
        """
        if until < 1:
            yield self._shown_behind(clean, mask, behind, 0.0, until, ground=GROUND)
            yield self._shown_behind(clean, mask, behind, 0.0, 0.0, margin=FAR)

    def _shown_behind(
        self,
        clean: Tensor | None,
        mask: Tensor,
        behind: tuple[int, ...],
        in_doubt: float,
        until: float,
        *,
        margin: float = SHARING_MARGIN,
        ground: float = 0.0,
    ) -> BackdropConstraint:
        """The blended stream shows `clean` where none of the foregrounds `behind` covers it."""
        return BackdropConstraint(
            stream=self._streams.blended,
            clean=clean,
            mask=mask,
            behind=behind,
            margin=margin,
            ground=ground,
            in_doubt=in_doubt,
            block=self._last_block,
            until=until,
        )

    def _blended_strength(self) -> float:
        given = self._request.blended_strength
        if given is not None:
            return given
        return HARMONISE_STRENGTH if self._request.composable else 1.0

    def _composite(self) -> Pixels:
        """The composite of all layers, uint8 (H, W, 4), at working size."""
        flat = self._pictures[self._streams.background]
        for index in range(self._streams.foregrounds):
            flat = composite(flat, self._pictures[index])
        return flat

    def _opaque(self, pixels: Pixels) -> tuple[Tensor, Tensor]:
        """Encode a picture as opaque: latents (C, h, w), and (1, h, w) of 0 and 1: 1 where the picture covers them.

        Holes are first filled with the colours around them, so that latents beside a hole are not mixed with grey.
        """
        bundle = self._bundle
        clean = encode_opaque(bundle, np.where(pixels[..., 3:] > 0, pixels, bleed(pixels)))[0]
        return clean, self._covered(self._alpha(pixels))

    def _alpha(self, pixels: Pixels) -> Tensor:
        """(1, 1, H, W), 0-1."""
        return torch.from_numpy(np.array(pixels[..., 3])).to(self._bundle.device).float()[None, None] / 255

    def _covered(self, alpha: Tensor) -> Tensor:
        """Convert alpha (1, 1, H, W), 0-1, to (1, h, w): 1 for latents whose pixels all have alpha > 0.95, else 0."""
        return (-F.max_pool2d(-alpha.float(), self._bundle.latent_factor) > 0.95).float()[0]

    def _box(self, index: int) -> Box:
        source = self._request.foregrounds[index]
        assert isinstance(source, Generated) and source.box is not None
        return source.box

    def _shape(self, index: int) -> Shape | None:
        source = self._request.foregrounds[index]
        return source.shape if isinstance(source, Generated) else None

    def _within(self, index: int) -> Tensor:
        """(1, h, w): 1 for latents whose pixels all lie inside a foreground's box and its shape, else 0."""
        box, shape, canvas = self._box(index), self._shape(index), self._request.size
        sheet = in_box(box, canvas)
        if shape is not None:
            sheet[shape.over(box, canvas) <= INSIDE] = 0
        sheet = to_working(sheet, (0, 0), self._framing)
        return self._covered(torch.from_numpy(sheet[..., 3] > 0)[None, None].float().to(self._bundle.device))


def needs_filling(request: GenerationRequest) -> bool:
    """Whether a kept background leaves parts of the canvas transparent or empty, which must be drawn."""
    background = request.background
    return isinstance(background, Kept) and not covers(background.layer, request.size)


def open_streams(request: GenerationRequest) -> Iterator[int]:
    """The streams of all layers that are not kept: those for which a preview shows something new."""
    for stream, source in enumerate(request.sources):
        if not isinstance(source, Kept):
            yield stream
