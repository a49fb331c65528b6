"""The backbone of SDXL and of models with its architecture: a UNet with two text encoders and size conditioning."""

from __future__ import annotations

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
from layerfusion.engine.models.runtime.tokenizers import is_too_long, token_ids

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
        end_of_text: (rows,) int64, the index of the first end-of-text token.
    """

    embeddings: Tensor
    pooled: Tensor
    end_of_text: Tensor

    def __getitem__(self, rows: slice | list[int]) -> SDXLConditioning:
        return SDXLConditioning(self.embeddings[rows], self.pooled[rows], self.end_of_text[rows])

    def __add__(self, below: SDXLConditioning) -> SDXLConditioning:
        return SDXLConditioning(
            torch.cat([self.embeddings, below.embeddings]),
            torch.cat([self.pooled, below.pooled]),
            torch.cat([self.end_of_text, below.end_of_text]),
        )


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

    def encode(self, prompts: Sequence[str], *, negative: bool = False) -> SDXLConditioning:
        """Encode prompts as `StableDiffusionXLPipeline` does (hidden_states[-2], pooled of the second encoder).

        Args:
            negative: whether these are negative prompts; then rows of empty prompts become zeros if the model was
                trained that way.
        """
        return self._bundle.memory.run(lambda: self._encode(prompts, negative), Component.TEXT)

    def truncated(self, prompts: Sequence[str]) -> tuple[str, ...]:
        """The prompts of which the model reads only the beginning."""
        return tuple(prompt for prompt in prompts if is_too_long(self._bundle.tokenizers[0], prompt))

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
        with attached(self._bundle.unet, self.attention_modules, coupling, self._bundle.deltas):
            yield

    def _encode(self, prompts: Sequence[str], negative: bool) -> SDXLConditioning:
        bundle = self._bundle
        hidden, pooled, ends = [], None, None
        for tokenizer, encoder in zip(bundle.tokenizers, bundle.text_encoders, strict=True):
            tokens = token_ids(tokenizer, prompts)
            # The first such token counts, because padding may be the same token. The two tokenizers share one
            # vocabulary, so that the places agree.
            places = tokens.eq(tokenizer.eos_token_id).int().argmax(dim=1)
            assert ends is None or torch.equal(places, ends), "The two tokenizers disagree on the prompt's length."
            ends = places
            output = encoder(tokens.to(bundle.device), output_hidden_states=True)
            hidden.append(output.hidden_states[-2])
            pooled = output[0]
        assert pooled is not None and ends is not None
        embeddings = torch.cat(hidden, dim=-1)
        if negative and bundle.zeros_for_empty_prompt:
            empty = torch.tensor([not prompt.strip() for prompt in prompts], device=embeddings.device)
            embeddings = embeddings.masked_fill(empty[:, None, None], 0)
            pooled = pooled.masked_fill(empty[:, None], 0)
        return SDXLConditioning(embeddings, pooled, ends.to(bundle.device))

    def _time_ids(self, size: Size) -> Tensor:
        """SDXL's size conditioning, (1, 6): original size, crop, target size, each as (height, width), in pixels.

        A model that was trained at one size only always gets that size.
        """
        spec = self._bundle.spec
        height, width = (spec.native_size,) * 2 if spec.demo else (size.height, size.width)
        values = [[height, width, 0, 0, height, width]]
        return torch.tensor(values, dtype=self._bundle.dtype, device=self._bundle.device)
