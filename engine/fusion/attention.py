"""The attention processor that couples the streams. Every attention module gets its own instance."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor

from layerfusion.engine.fusion.blending import blend_attention, share_background
from layerfusion.engine.fusion.coupling import Attended, Coupling, Pass
from layerfusion.engine.fusion.masks import Grid
from layerfusion.engine.fusion.priors import content_confidence, participation, token_grid
from layerfusion.engine.transparency.deltas import Delta


class FusionProcessor:
    """Computes attention for all rows, adds the deltas on the foreground rows, measures priors and blends streams.

    Args:
        block: the name of the transformer block.
        deltas: projection name -> delta of the foreground rows.
        structure_layer: whether the structure prior is measured in this self-attention.
        coupling: the job's state.
    """

    def __init__(self, block: str, deltas: dict[str, Delta], structure_layer: bool, coupling: Coupling) -> None:
        self._block = block
        self._deltas = deltas
        self._structure_layer = structure_layer
        self._coupling = coupling

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Compute (rows, N, C) from (rows, N, C); the caller adds the residual."""
        assert attention_mask is None, "Coupled attention does not support an attention mask."
        assert attn.to_k is not None and attn.to_v is not None
        is_self = encoder_hidden_states is None
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        grid = token_grid(hidden_states.shape[1], *self._coupling.latent_grid)

        query = _heads(attn, self._project(attn.to_q, "to_q", hidden_states))
        key = _heads(attn, self._project(attn.to_k, "to_k", context))
        value = _heads(attn, self._project(attn.to_v, "to_v", context))
        self._measure(query, key, attn.scale, is_self, grid)

        outputs = partial(self._outputs, attn, query, key, value, is_self, grid)
        out = outputs(coupled=self._coupling.couples(self._block, grid))
        if self._coupling.observer is not None:
            self._coupling.observer.attended(Attended(self._block, is_self, grid, out, partial(outputs, coupled=False)))
        return out

    def _outputs(
        self, attn: Attention, query: Tensor, key: Tensor, value: Tensor, is_self: bool, grid: Grid, *, coupled: bool
    ) -> Tensor:
        """Attention and its output projection, (rows, N, C); with blending and attention sharing if `coupled`."""
        settings = self._coupling.settings
        blends = coupled and (settings.research.blend_self if is_self else settings.research.blend_cross)
        shares = coupled and is_self and settings.share_strength > 0
        pairs = self._sharing_rows(len(query)) if shares and settings.research.sharing != "copy" else []
        out = self._attend(query, key, value, attn.scale, pairs, grid).transpose(1, 2).flatten(2)
        if blends and settings.research.blend_point == "pre_out":
            self._blend(out, grid)
        assert attn.to_out is not None
        out = self._project(attn.to_out[0], "to_out.0", out)
        if blends and settings.research.blend_point == "post_out":
            self._blend(out, grid)
        if shares and settings.research.sharing == "copy":
            self._copy_background(out, grid)
        return out

    def _project(self, linear: torch.nn.Module, name: str, x: Tensor) -> Tensor:
        """A base projection of all rows, plus the delta on the foreground rows."""
        y = linear(x)
        if name in self._deltas:
            for rows in self._foreground_rows(len(x)):
                y[rows] += self._deltas[name](x[rows])
        return y

    def _foreground_rows(self, rows: int) -> list[slice]:
        """The slice of foreground rows in each guidance half. In the prior pass every row is a foreground."""
        if self._coupling.now.running is Pass.PRIOR:
            return [slice(0, rows)]
        streams = self._coupling.streams
        return [slice(start, start + streams.foregrounds) for start in range(0, rows, streams.count)]

    def _measure(self, query: Tensor, key: Tensor, scale: float, is_self: bool, grid: Grid) -> None:
        """Measure the priors on the conditional rows, which are in the last half."""
        coupling, research = self._coupling, self._coupling.settings.research
        rows, end = self._foreground_rows(len(query))[-1], coupling.end_of_text
        if is_self and self._structure_layer:
            spread = participation(query[rows], key[rows], scale=scale, heads=research.heads)
            coupling.note_structure(spread, grid)
        if is_self or not coupling.measures_content:
            return
        if coupling.content_of_blended:
            assert coupling.blended_end is not None, "The coupling does not know where the blended prompt ends."
            blended = len(query) - coupling.streams.count + coupling.streams.blended
            rows, end = slice(blended, blended + 1), coupling.blended_end
        content = content_confidence(query[rows], key[rows], end, scale=scale, counted=research.end_of_text)
        coupling.note_content(self._block, content.expand(coupling.streams.foregrounds, -1), grid)

    def _sharing_rows(self, rows: int) -> list[tuple[int, int]]:
        """Pairs of rows in each guidance half: (row that attends, row whose background tokens it also attends to)."""
        streams, direction = self._coupling.streams, self._coupling.settings.research.share_direction
        halves = self._coupling.halves(rows, self._coupling.share_unconditional)
        pairs = []
        for half in halves:
            background, blended = half + streams.background, half + streams.blended
            pairs += [(background, blended)] if direction != "to_blended" else []
            pairs += [(blended, background)] if direction != "to_background" else []
        return pairs

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, pairs: list[tuple[int, int]], grid: Grid
    ) -> Tensor:
        """Attention of every row to itself; rows in `pairs` also attend to the background tokens of the other row."""
        if not pairs:
            return F.scaled_dot_product_attention(query, key, value, scale=scale)
        rows, others = [row for row, _ in pairs], [other for _, other in pairs]
        unshared = [row for row in range(len(query)) if row not in rows]
        settings = self._coupling.settings
        if settings.research.sharing == "all":
            shared = torch.ones(grid[0] * grid[1], device=query.device)
        else:
            shared = self._coupling.background(self._block, grid)
        out = torch.empty_like(query)
        out[unshared] = F.scaled_dot_product_attention(query[unshared], key[unshared], value[unshared], scale=scale)
        out[rows] = share_background(
            query[rows],
            key[rows],
            value[rows],
            key[others],
            value[others],
            shared,
            strength=settings.share_strength,
            scale=scale,
        )
        return out

    def _copy_background(self, out: Tensor, grid: Grid) -> None:
        """Outside the objects, mix the activations of one of the two pictures into the other's, in place."""
        coupling = self._coupling
        amount = coupling.settings.share_strength * coupling.background(self._block, grid)
        for row, other in self._sharing_rows(len(out)):
            if coupling.settings.research.share_direction != "both" or row < other:
                out[row] = torch.lerp(out[row], out[other], amount.to(out.dtype).unsqueeze(-1))

    def _blend(self, out: Tensor, grid: Grid) -> None:
        """Blend the blended stream and the foregrounds by their masks, in place.

        Every guidance half exchanges activations among its own rows only.
        """
        coupling, streams, settings = self._coupling, self._coupling.streams, self._coupling.settings
        masks = coupling.masks(self._block, grid)
        for start in coupling.halves(len(out), settings.research.blend_unconditional):
            half = out[start : start + streams.count]
            foregrounds, blended = blend_attention(
                half[: streams.foregrounds],
                half[streams.blended],
                masks.soft.to(out.dtype),
                masks.hard.to(out.dtype),
                masks.inner.to(out.dtype),
                masks.held,
                mixture=settings.research.mixture,
                update=settings.foreground_update,
                order=settings.research.update_order,
                amodal=settings.amodal,
            )
            half[: streams.foregrounds] = foregrounds
            half[streams.blended] = blended


def _heads(attn: Attention, x: Tensor) -> Tensor:
    """Split the heads: (B, N, C) to (B, heads, N, C / heads)."""
    return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
