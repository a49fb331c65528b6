"""What the batches of the stages `unet` and `distill` are made of: kinds of pictures, and their forms.

A batch is square pictures, or portraits and landscapes: cut out of square ones down to half a side, or whole pictures
of 2:1 and what lies between. Objects are never cut.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from layerfusion.engine.training.latents import Latents

SHARES = {"composite": 0.27, "small": 0.13, "nameless": 0.25, "studio": 0.27, "background": 0.08}
"""What a batch is made of; `small` are composites whose object is small, `nameless` those of things without a name,
which must be kept as they are when a picture is noised by half and drawn again. Objects alone stand before studio
backdrops of any colour: transparency is not the base model's business, it is what the foreground deltas add."""

GIVEN_UNTIL = {"nameless": 0.5}
"""The share of the time up to which pictures of a kind are noised; others are noised to the end. Nobody asks for a
thing without a name, but a picture of one is given, noised by half at most, and drawn again."""

LONG_SHARES = {"": 0.5, "_studio": 0.35, "_background": 0.15}
"""The same of wide and tall pictures, by what the name of the kind adds to `wide` or `tall`."""

CROPPED, LONG = 0.1, 0.35
"""Shares of batches that are cut out of square pictures, and of those that are wider or taller than these."""

WHOLE = 0.5
"""Share of the long batches that are 2:1, the others being shorter."""

OFTEN = 3
"""How often a picture of a name comes that the base of a new edition does not know, or that is hard to draw, compared
with the others. What the base knows is soon drawn at the new size; what is new must be learnt with a lower rate (see
`Edition.inner_rate`)."""

_Form = tuple[int, int]
"""Rows and columns, in latents."""


@dataclass(frozen=True)
class Chosen:
    """Pictures of one kind.

    Attributes:
        kind: of `latents.KINDS`.
        rows: (n,) int64.
        windows: rows and columns of each that are shown; None for whole pictures.
    """

    kind: str
    rows: Tensor
    windows: list[tuple[slice, slice]] | None

    def shown(self, pictures: Tensor) -> Tensor:
        """These of all pictures (N, C, h, w) of the kind, (n, C, rows, columns)."""
        if self.windows is None:
            return pictures[self.rows]
        cut = [pictures[row, :, down, across] for row, (down, across) in zip(self.rows, self.windows, strict=True)]
        return torch.stack(cut)


class Batches:
    """Chooses pictures.

    Args:
        latents: the encoded training set.
        grid: latents a side of a square picture.
        multiple: what both sides must be a multiple of, in latents.
        often: names, with their articles, whose pictures come more often, see `OFTEN`.
    """

    def __init__(self, latents: Latents, grid: int, multiple: int, often: Collection[str] = ()) -> None:
        self._latents, self._grid = latents, grid
        self.forms = _forms(grid, multiple)
        self.long = {"wide": _long_forms(grid, multiple)}
        self.long["tall"] = [(columns, rows) for rows, columns in self.long["wide"]]
        self._fitting: dict[tuple[str, _Form], Tensor] = {}
        for kinds, forms in (
            (list(SHARES), self.forms),
            *(([long + part for part in LONG_SHARES], forms) for long, forms in self.long.items()),
        ):
            self._fitting |= {(kind, form): _fitting(latents, kind, form) for kind in kinds for form in forms}
        self._often = {kind: _often(captions, often) for kind, captions in latents.captions.items()}

    def draw(self, rng: np.random.Generator, count: int) -> list[Chosen]:
        """One batch, with as many pictures as are worth so many square ones."""
        lot = rng.random()
        if lot < LONG:
            long = ("wide", "tall")[int(rng.integers(2))]
            *shorter, whole = self.long[long]
            form = whole if rng.random() < WHOLE or not shorter else shorter[int(rng.integers(len(shorter)))]
            shares = {long + part: share for part, share in LONG_SHARES.items()}
            count = round(count * self._grid**2 / (form[0] * form[1]))
        elif lot < LONG + CROPPED and self.forms:
            form, shares = self.forms[int(rng.integers(len(self.forms)))], SHARES
        else:
            form, shares = None, SHARES
        chosen = [self.choose(rng, kind, round(count * share), form) for kind, share in shares.items()]
        return [one for one in chosen if len(one.rows)]

    def choose(self, rng: np.random.Generator, kind: str, count: int, form: _Form | None = None) -> Chosen:
        """Pictures of a kind.

        Args:
            form: rows and columns of the windows; None for whole pictures. Pictures whose objects these cannot hold are
                left out.
        """
        pictures = self._latents.latents[kind]
        if form is None or form == tuple(pictures.shape[2:]):
            often = self._often[kind]
            return Chosen(kind, often[torch.from_numpy(rng.integers(0, len(often), count))], None)
        fitting = self._fitting[kind, form]
        rows = fitting[torch.from_numpy(rng.integers(0, len(fitting), count if len(fitting) else 0))]
        windows = []
        for row in rows.tolist():
            extent = self._latents.extent[kind][row].tolist() if kind in self._latents.extent else None
            places = []
            for axis, wide in enumerate(form):
                whole = pictures.shape[2 + axis]
                first, last = (extent[axis], extent[2 + axis]) if extent else (whole, 0)
                start = int(rng.integers(max(0, last - wide), min(first, whole - wide) + 1))
                places.append(slice(start, start + wide))
            windows.append((places[0], places[1]))
        return Chosen(kind, rows, windows)


def _often(captions: list[str], often: Collection[str]) -> Tensor:
    """Every row of a kind, those with such a name `OFTEN` times."""
    named = [any(name in caption for name in often) for caption in captions]
    return torch.repeat_interleave(torch.where(torch.tensor(named), OFTEN, 1))


def _forms(grid: int, multiple: int) -> list[_Form]:
    """The portraits and landscapes that a picture of `grid` latents a side can be cut to."""
    short = [side for side in range(multiple, grid, multiple) if 2 * side >= grid]
    return [form for side in short for form in ((side, grid), (grid, side))]


def _long_forms(grid: int, multiple: int) -> list[_Form]:
    """The landscapes that a picture of `grid` rows and twice as many columns can be cut to, the whole one last."""
    return [(grid, side) for side in range(grid + multiple, 2 * grid + 1, multiple)]


def _fitting(latents: Latents, kind: str, form: _Form) -> Tensor:
    """The pictures of a kind whose objects a window of this form holds."""
    fits = torch.ones(len(latents.latents[kind]), dtype=torch.bool)
    if kind in latents.extent:
        extent = latents.extent[kind]
        fits = (extent[:, 2:] - extent[:, :2] <= torch.tensor(form)).all(dim=1)
    return fits.nonzero().flatten()
