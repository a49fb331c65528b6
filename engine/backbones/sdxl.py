"""The backbone of SDXL and of models with its architecture: a UNet with two text encoders and size conditioning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from layerfusion.engine.backbones.base import LatentLayout, NoiseSchedule
from layerfusion.engine.fusion.attach import attached
from layerfusion.engine.fusion.coupling import Coupling
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.models.runtime.offloading import Component
from layerfusion.engine.models.runtime.prompt_chunks import MAX_CHUNKS, ChunkedPrompt, chunked
from layerfusion.engine.models.runtime.prompt_encoding import encode_chunks
from layerfusion.engine.prompt_syntax import ParsedPrompt, literal

T = TypeVar("T")

_BLOCKS = ("down_blocks", "mid_block", "up_blocks")
"""The UNet's parts in the order of execution. diffusers lists `mid_block` last, because it is registered last."""


def in_order(processors: Iterable[str]) -> tuple[str, ...]:
    """The attention modules of a UNet in order of execution, from the names of its `attn_processors`."""
    names = [name.removesuffix(".processor") for name in processors]
    return tuple(sorted(names, key=lambda name: _BLOCKS.index(name.split(".", 1)[0])))


@dataclass(frozen=True)
class SDXLConditioning:
    """Encoded prompts, one row per prompt.

    Attributes:
        embeddings: (rows, tokens, channels), the penultimate hidden states of both encoders, concatenated by channel.
        pooled: (rows, channels), the second encoder's projected text embedding.
        end_of_text: (rows,) int64, the index of the first end-of-text token; (rows, chunks) for prompts in chunks, each
            of which ends.
    """

    embeddings: Tensor
    pooled: Tensor
    end_of_text: Tensor

    def __getitem__(self, rows: slice | list[int]) -> SDXLConditioning:
        return SDXLConditioning(self.embeddings[rows], self.pooled[rows], self.end_of_text[rows])

    def __add__(self, below: SDXLConditioning) -> SDXLConditioning:
        upper, lower = self._repeated(below), below._repeated(self)
        return SDXLConditioning(
            torch.cat([upper.embeddings, lower.embeddings]),
            torch.cat([upper.pooled, lower.pooled]),
            torch.cat([upper.end_of_text, lower.end_of_text]),
        )

    def _repeated(self, other: SDXLConditioning) -> SDXLConditioning:
        """This conditioning, repeated along its tokens until the other's can be as long; see `encode_chunks`."""
        own, wanted = self.embeddings.shape[1], other.embeddings.shape[1]
        if own == wanted:
            return self
        times = math.lcm(own, wanted) // own
        ends = self.end_of_text if self.end_of_text.ndim == 2 else self.end_of_text[:, None]
        shifted = [ends + copy * own for copy in range(times)]
        return SDXLConditioning(self.embeddings.repeat(1, times, 1), self.pooled, torch.cat(shifted, dim=1))


def _parsed(prompt: str | ParsedPrompt) -> ParsedPrompt:
    return literal(prompt) if isinstance(prompt, str) else prompt


class SDXLBackbone:
    """`engine.backbones.base.Backbone` for a bundle with SDXL's networks.

    Args:
        bundle: the model in memory.
    """

    def __init__(self, bundle: ModelBundle) -> None:
        self._bundle = bundle
        self.layout = LatentLayout(bundle.latent_channels, bundle.latent_factor)
        self.schedule = NoiseSchedule(bundle.scheduler_config, bundle.spec.samplers)
        self.device = bundle.device
        self.attention_modules = in_order(bundle.unet.attn_processors)

    @property
    def halves_apart(self) -> bool:
        return self._bundle.memory.halves_apart

    def encode(self, prompts: Sequence[str | ParsedPrompt], *, negative: bool = False) -> SDXLConditioning:
        """Encode prompts as `StableDiffusionXLPipeline` does (hidden_states[-2], pooled of the second encoder).

        Weights and prompts of several chunks: see `models.runtime.prompt_encoding`.

        Args:
            prompts: a text stands for itself, without syntax.
            negative: whether these are negative prompts; then rows of empty prompts become zeros if the model was
                trained that way.
        """
        return self._bundle.memory.run(
            lambda: self._encode([_parsed(one) for one in prompts], negative), Component.TEXT
        )

    def truncated(self, prompts: Sequence[str | ParsedPrompt]) -> tuple[str, ...]:
        """The texts of the prompts of which the model reads only the beginning."""
        parsed = [_parsed(prompt) for prompt in prompts]
        return tuple(prompt.text for prompt in parsed if self._chunked(prompt).is_cut)

    def blank(self, rows: int) -> SDXLConditioning:
        """Zeros with the shapes that `encode` returns."""
        bundle = self._bundle
        first, second = (cast(Any, encoder.config) for encoder in bundle.text_encoders)
        kind: dict[str, Any] = {"dtype": bundle.dtype, "device": bundle.device}
        return SDXLConditioning(
            torch.zeros((rows, first.max_position_embeddings, first.hidden_size + second.hidden_size), **kind),
            torch.zeros((rows, second.projection_dim), **kind),
            torch.zeros(rows, dtype=torch.long, device=bundle.device),
        )

    def forward(self, latents: Tensor, timestep: Tensor, conditioning: SDXLConditioning, size: Size) -> Tensor:
        """The UNet's prediction, (rows, C, h, w). The size conditioning of every row is `size`, uncropped."""
        bundle = self._bundle
        return bundle.unet(
            latents.to(bundle.dtype),
            timestep.to(bundle.device),
            encoder_hidden_states=conditioning.embeddings,
            added_cond_kwargs={
                "text_embeds": conditioning.pooled,
                "time_ids": self._time_ids(size).expand(len(latents), -1),
            },
            return_dict=False,
        )[0].to(latents.dtype)

    def run(self, work: Callable[[], T]) -> T:
        return self._bundle.memory.run(work, Component.UNET)

    @contextmanager
    def attached(self, coupling: Coupling) -> Iterator[None]:
        bundle = self._bundle
        with attached(
            bundle.unet, self.attention_modules, coupling, bundle.deltas, lambda: bundle.memory.has_own_weights
        ):
            yield

    def _chunked(self, prompt: ParsedPrompt) -> ChunkedPrompt:
        bundle = self._bundle
        most = 1 if bundle.spec.demo else MAX_CHUNKS  # the embedded model was trained on one chunk only
        return chunked(prompt, bundle.tokenizers[0], bundle.networks.embeddings, most)

    def _encode(self, prompts: Sequence[ParsedPrompt], negative: bool) -> SDXLConditioning:
        bundle = self._bundle
        embeddings, pooled, ends = encode_chunks(bundle, [self._chunked(prompt) for prompt in prompts])
        if negative and bundle.zeros_for_empty_prompt:
            empty = torch.tensor([not any(s.text.strip() for s in p.spans) for p in prompts], device=embeddings.device)
            embeddings = embeddings.masked_fill(empty[:, None, None], 0)
            pooled = pooled.masked_fill(empty[:, None], 0)
        return SDXLConditioning(embeddings, pooled, ends[:, 0] if ends.shape[1] == 1 else ends)

    def _time_ids(self, size: Size) -> Tensor:
        """SDXL's size conditioning, (1, 6): original size, crop, target size, each as (height, width), in pixels.

        A model that was trained at one size only always gets that size.
        """
        spec = self._bundle.spec
        height, width = (spec.native_size,) * 2 if spec.demo else (size.height, size.width)
        values = [[height, width, 0, 0, height, width]]
        return torch.tensor(values, dtype=self._bundle.dtype, device=self._bundle.device)
