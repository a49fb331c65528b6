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
from layerfusion.engine.fusion.projections import Projections, TextMemory


class PriorsMeasured(Exception):
    """Ends a prior pass: all is measured, and its prediction is not used."""


class FusionProcessor:
    """Computes attention for all rows, adds the deltas on the foreground rows, measures priors and blends streams.

    Args:
        block: the name of the transformer block.
        projections: computes the module's projections, with the deltas on the foreground rows.
        structure_layer: whether the structure prior is measured in this self-attention.
        last: whether it is the network's last attention module; a prior pass that nobody observes ends there.
        coupling: the job's state.
    """

    def __init__(
        self, block: str, projections: Projections, *, structure_layer: bool, last: bool, coupling: Coupling
    ) -> None:
        self._block = block
        self._projections = projections
        self._structure_layer = structure_layer
        self._last = last
        self._coupling = coupling
        self._text = TextMemory()

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Compute (rows, N, C) from (rows, N, C); the caller adds the residual.

        Raises:
            PriorsMeasured: the pass was a prior pass, and nothing is left to measure.
        """
        assert attention_mask is None, "Coupled attention does not support an attention mask."
        is_self = encoder_hidden_states is None
        grid = token_grid(hidden_states.shape[1], *self._coupling.latent_grid)

        query = _heads(attn, self._project(attn.to_q, "to_q", hidden_states))
        if encoder_hidden_states is None:
            key, value = self._keys_and_values(attn, hidden_states)
        else:
            key, value = self._text.get(encoder_hidden_states, lambda text: self._keys_and_values(attn, text))
        self._measure(query, key, attn.scale, is_self, grid)
        if self._last and self._coupling.now.running is Pass.PRIOR and self._coupling.observer is None:
            raise PriorsMeasured

        outputs = partial(self._outputs, attn, query, key, value, is_self, grid)
        out = outputs(coupled=self._coupling.couples(self._block, grid))
        if self._coupling.observer is not None:
            self._coupling.observer.attended(Attended(self._block, is_self, grid, out, partial(outputs, coupled=False)))
        return out

    def _keys_and_values(self, attn: Attention, context: Tensor) -> tuple[Tensor, Tensor]:
        assert attn.to_k is not None and attn.to_v is not None
        key, value = self._project(attn.to_k, "to_k", context), self._project(attn.to_v, "to_v", context)
        return _heads(attn, key), _heads(attn, value)

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
        """A projection of all rows, with the delta on the foreground rows."""
        return self._projections(linear, name, x, len(self._coupling.now.rows), self._foregrounds)

    @property
    def _foregrounds(self) -> int:
        """How many foreground rows each guidance half has; they are its first."""
        return sum(row < self._coupling.streams.foregrounds for row in self._coupling.now.rows)

    def _row(self, stream: int) -> int | None:
        """The row of a stream within each guidance half; None if it does not run."""
        rows = self._coupling.now.rows
        return rows.index(stream) if stream in rows else None

    def _measure(self, query: Tensor, key: Tensor, scale: float, is_self: bool, grid: Grid) -> None:
        """Measure the priors on the conditional rows, which are in the last half."""
        coupling, research = self._coupling, self._coupling.settings.research
        last = len(query) - len(coupling.now.rows)
        rows, end = slice(last, last + self._foregrounds), coupling.end_of_text
        if len(end) != self._foregrounds:
            end = end[[row for row in coupling.now.rows if row < coupling.streams.foregrounds]]
        if is_self and self._structure_layer and self._foregrounds and coupling.gives_priors:
            spread = participation(query[rows], key[rows], scale=scale, heads=research.heads)
            coupling.note_structure(spread, grid)
        if is_self or not coupling.measures_content:
            return
        if coupling.content_of_blended:
            assert coupling.blended_end is not None, "The coupling does not know where the blended prompt ends."
            blended = self._row(coupling.streams.blended)
            if blended is None:
                return
            rows, end = slice(last + blended, last + blended + 1), coupling.blended_end
        if rows.start == rows.stop:
            return
        content = content_confidence(query[rows], key[rows], end, scale=scale, counted=research.end_of_text)
        if coupling.content_of_blended:
            content = content.expand(coupling.streams.foregrounds, -1)
        coupling.note_content(self._block, content, grid)

    def _sharing_rows(self, rows: int) -> list[tuple[int, int]]:
        """Pairs of rows in each guidance half: (row that attends, row whose background tokens it also attends to)."""
        streams, direction = self._coupling.streams, self._coupling.settings.research.share_direction
        background, blended = self._row(streams.background), self._row(streams.blended)
        if background is None or blended is None:
            return []
        pairs = []
        for half in self._coupling.halves(rows, self._coupling.share_unconditional):
            pairs += [(half + background, half + blended)] if direction != "to_blended" else []
            pairs += [(half + blended, half + background)] if direction != "to_background" else []
        return pairs

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, scale: float, pairs: list[tuple[int, int]], grid: Grid
    ) -> Tensor:
        """Attention of every row to itself; rows in `pairs` also attend to the background tokens of the other row."""
        shared = self._coupling.shared_tokens(self._block, grid) if pairs else None
        if shared is None or not len(shared):
            return F.scaled_dot_product_attention(query, key, value, scale=scale)
        rows, others = [row for row, _ in pairs], [other for _, other in pairs]
        unshared = [row for row in range(len(query)) if row not in rows]
        out = torch.empty_like(query)
        if unshared:
            alone = F.scaled_dot_product_attention(query[unshared], key[unshared], value[unshared], scale=scale)
            out[unshared] = alone
        out[rows] = share_background(
            query[rows],
            key[rows],
            value[rows],
            key[others],
            value[others],
            shared,
            strength=self._coupling.settings.share_strength,
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

        Every guidance half exchanges activations among its own rows only. Where a foreground does not run, the blended
        stream keeps its own.
        """
        coupling, settings = self._coupling, self._coupling.settings
        blended, running = self._row(coupling.streams.blended), self._foregrounds
        if blended is None or not running:
            return
        masks, present = coupling.masks(self._block, grid), list(coupling.now.rows[:running])
        for start in coupling.halves(len(out), settings.research.blend_unconditional):
            half = out[start : start + len(coupling.now.rows)]
            sources = half[:running]
            if running < coupling.streams.foregrounds:
                sources = half[blended].repeat(coupling.streams.foregrounds, 1, 1)
                sources[present] = half[:running]
            foregrounds, mixed = blend_attention(
                sources,
                half[blended],
                masks.soft.to(out.dtype),
                masks.hard.to(out.dtype),
                masks.inner.to(out.dtype),
                masks.held,
                mixture=settings.research.mixture,
                update=settings.foreground_update,
                order=settings.research.update_order,
                amodal=settings.amodal,
            )
            half[:running] = foregrounds[present] if running < len(foregrounds) else foregrounds
            half[blended] = mixed


def _heads(attn: Attention, x: Tensor) -> Tensor:
    """Split the heads: (B, N, C) to (B, heads, N, C / heads)."""
    return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
