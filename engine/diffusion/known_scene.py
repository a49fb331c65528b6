"""Objects whose place is known, in the blended stream: it shows these objects, and the model chooses their light.

Left alone, the model draws an object of its own in the blended picture: larger, or another one if no prompt describes
what the artist gave. At first, the stream is therefore led to the given object where that lies, and is free to draw the
ground. Then its estimate is decoded once, the light in it is read and put on the known layers
(`engine.image.relighting`), and from then on the stream is led to the encoding of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from layerfusion.engine.diffusion.constraints import Moment
from layerfusion.engine.diffusion.layer_codec import decode_rgb, decode_rgba, encode_opaque
from layerfusion.engine.diffusion.sampling import Sampler
from layerfusion.engine.image.compositing import composite
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.image.relighting import relit_paste
from layerfusion.engine.models.runtime.loading import ModelBundle

LIGHT_AT = 0.5
"""The light is read at the first step with t <= 0.5 T (our choice). It is large, and decided early: read earlier, the
estimate may still show another object; read later, or several times, shadows are fainter."""

LIGHT_AFTER = 0.7
"""If the stream follows a composite until its strength, the light is read no earlier than at t = 0.7 · strength · T."""

_COVERED = 0.02
"""A latent that an object covers by more than this part is led to it."""

NEAR = 0.2
"""Objects have no effect farther away than this, as a fraction of the frame's longer side (our choice)."""


@dataclass(frozen=True)
class KnownObject:
    """A foreground whose place is known.

    Attributes:
        index: the foreground, which is also its row.
        pixels: uint8 RGBA (H, W, 4) at working size, straight alpha.
        solid: latents (C, h, w) of its colours, continued beyond its outline.
        cover: (1, h, w), 0-1: how much of each latent it covers and no known foreground above it does.
        held_until: the foreground is exactly as given while t > held_until · T; afterwards its own stream's estimate
            takes its place. 0 never changes.
        under: the foregrounds above it whose place is not known.
    """

    index: int
    pixels: Pixels
    solid: Tensor
    cover: Tensor
    held_until: float
    under: tuple[int, ...]

    def is_as_given(self, time: float) -> bool:
        """Whether the foreground is as given at t = time · T."""
        return self.held_until == 0 or time > self.held_until


class SceneConstraint:
    """Leads the blended stream to the known objects over the background's current estimate, in the model's own light.

    After the light is read, the picture follows the background's further estimates.

    Args:
        bundle: the model.
        stream: the row of the blended stream.
        objects: the known foregrounds, bottom first.
        backdrop: uint8 RGBA (H, W, 4) at working size: a kept background, which may have holes; None for any other.
        free: the foregrounds whose place is not known; where they may be, nothing is held.
        block: the transformer block whose content confidence locates those.
        since: the constraint is active from t <= since · T on.
    """

    until = 0.0

    def __init__(
        self,
        bundle: ModelBundle,
        stream: int,
        objects: Sequence[KnownObject],
        backdrop: Pixels | None,
        free: tuple[int, ...],
        block: str,
        since: float,
    ) -> None:
        self.stream = stream
        self._bundle, self._objects, self._backdrop = bundle, objects, backdrop
        self._free, self._block, self._since = free, block, since
        self._light_at = min(LIGHT_AT, LIGHT_AFTER * since)
        cover = np.max([one.pixels[..., 3] for one in objects], axis=0)
        alpha = torch.from_numpy(cover).to(bundle.device).float()[None, None] / 255
        self._alpha = F.avg_pool2d(alpha, bundle.latent_factor)[0]
        reach = round(NEAR * max(self._alpha.shape[-2:]))
        touched = (F.max_pool2d(alpha, bundle.latent_factor) > 0).float()
        self._near = F.max_pool2d(touched, 2 * reach + 1, stride=1, padding=reach)[0]
        self._lit: Tensor | None = None
        self._ground: Tensor | None = None

    @property
    def holds_all(self) -> bool:
        """Whether the whole stream is held: from the reading of the light on, if every foreground is known."""
        return self._lit is not None and not self._free

    def start(self, state: Tensor, noise: Tensor, sampler: Sampler) -> None:
        """Change nothing: the stream starts from its noise."""

    def replace_prediction(self, prediction: Tensor, model_input: Tensor, now: Moment) -> None:
        if now.time > self._since:
            return
        estimates = now.sampler.clean_estimate(model_input, prediction, now.index)
        shown, where = self._given(estimates, now) if now.time > self._light_at else self._relit(estimates, now)
        implied = now.sampler.implied_prediction(model_input[self.stream], shown, now.index)
        prediction[self.stream] = torch.lerp(prediction[self.stream], implied, where)

    def _given(self, estimates: Tensor, now: Moment) -> tuple[Tensor, Tensor]:
        """The objects as given on the model's own ground, (C, h, w), and where the stream is led to them, (1, h, w)."""
        shown, where = estimates[self.stream], torch.zeros_like(self._near)
        for one in self._objects:
            if one.is_as_given(now.time):
                shown = torch.lerp(shown, one.solid, one.cover)
                where = torch.maximum(where, self._visible(one, now))
        return shown, where

    def _visible(self, one: KnownObject, now: Moment) -> Tensor:
        """The latents, (1, h, w) of 0 and 1, in which an object shows and no drawn foreground above it is."""
        return (one.cover > _COVERED) * now.builder.outside(self._block, one.under, in_doubt=1.0)

    def _relit(self, estimates: Tensor, now: Moment) -> tuple[Tensor, Tensor]:
        """The objects in the model's light on the ground, (C, h, w), and where the stream is led to them."""
        ground = estimates[now.background]
        if self._lit is None or self._ground is None:
            self._lit, self._ground = self._read(estimates, ground, now.time), ground.clone()
        followed = self._lit + (1 - self._alpha) * (ground - self._ground)
        where = torch.ones_like(self._near)
        if self._free:
            where = self._near * now.builder.outside(self._block, self._free, in_doubt=0.0)
            where = torch.stack([where, *(self._visible(one, now) for one in self._objects)]).amax(dim=0)
        return torch.lerp(ground, followed, self._near), where

    def after_step(self, state: Tensor, now: Moment) -> None:
        """Change nothing: the next prediction leads to the picture from any latents."""

    def _read(self, estimates: Tensor, ground: Tensor, time: float) -> Tensor:
        """The latents (C, h, w) of the known objects on the ground, in the light of the blended stream's estimate."""
        shown, below = (decode_rgb(self._bundle, one[None]) for one in (estimates[self.stream], ground))
        if self._backdrop is not None:
            below = composite(below, self._backdrop)
        objects = [
            one.pixels if one.is_as_given(time) else decode_rgba(self._bundle, estimates[one.index][None], views=1)
            for one in self._objects
        ]
        return encode_opaque(self._bundle, relit_paste(shown, below, objects))[0]
