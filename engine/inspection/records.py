"""Looking inside a run: what the priors saw, which masks came of it, and where each stream is heading, step by step.

Values and pictures of them; `engine.inspection.recorder` fills them while a job runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from layerfusion.engine.image.compositing import over_checks
from layerfusion.engine.image.layers import Pixels

Map = NDArray[np.float32]
"""(rows, columns) of tokens, 0-1."""

ROWS = ("structure prior", "content confidence", "soft mask", "hard mask")
FIGURE_TIME = 0.8
"""The paper shows its masks at t = 0.8 T (Fig. 3)."""

_MAP, _PICTURE = 96, 128
_NARROWEST = 64
_LABELS = 150
_GAP = 4
_HEADER = 34
_COLOURS = ("#1f5fa8", "#c4561b", "#2b8a3e", "#8a2b80", "#7a6a00", "#006d75")


@dataclass(frozen=True)
class MaskStep:
    """The maps of one coupled step and one foreground, on the structure prior's token grid.

    Attributes:
        timestep: the training timestep.
        foreground: 0 … K-1.
        structure, content, soft, hard: structure prior, content confidence, soft mask, hard mask.
        trust: κ, 0-1: how far the maps' contrast was believed.
    """

    timestep: float
    foreground: int
    structure: Map
    content: Map
    soft: Map
    hard: Map
    trust: float

    @property
    def maps(self) -> tuple[Map, Map, Map, Map]:
        """In the order of `ROWS`."""
        return self.structure, self.content, self.soft, self.hard


@dataclass
class MaskRecord:
    """Collects the maps of a run when handed to `LayerFusionPipeline.generate`.

    Attributes:
        train_timesteps: T, set by the pipeline.
        steps: in the order they happened.
    """

    train_timesteps: int = 1000
    steps: list[MaskStep] = field(default_factory=list)

    def figure_step(self, foreground: int = 0) -> MaskStep:
        """The step the paper would show: the first with t <= 0.8 T.

        Raises:
            LookupError: no step was recorded; nothing is measured where every foreground is kept.
        """
        own = [step for step in self.steps if step.foreground == foreground]
        if not own:
            raise LookupError(f"No masks were recorded for foreground {foreground}.")
        return own[figure_place([step.timestep for step in own], self.train_timesteps)]

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Everything as arrays, for `numpy.savez`; empty if nothing was recorded.

        Returns:
            for every foreground k, counted from 1: `timesteps_k` (steps,), `trust_k` (steps,), and `structure_k`,
            `content_k`, `soft_k`, `hard_k`, (steps, rows, columns); all float32.
        """
        result: dict[str, NDArray[np.float32]] = {}
        for foreground in sorted({step.foreground for step in self.steps}):
            own = [step for step in self.steps if step.foreground == foreground]
            names = ("timesteps", "trust", "structure", "content", "soft", "hard")
            columns = zip(*((step.timestep, step.trust, *step.maps) for step in own), strict=True)
            for name, values in zip(names, columns, strict=True):
                result[f"{name}_{foreground + 1}"] = np.stack([np.asarray(value, np.float32) for value in values])
        return result

    def trust_plot(self, width: int = 640, height: int = 240) -> Image.Image:
        """κ over the steps, one line a foreground, from t = T on the left to 0; t = 0.8 T marked. RGB.

        Raises:
            LookupError: nothing was recorded.
        """
        foregrounds = sorted({step.foreground for step in self.steps})
        if not foregrounds:
            raise LookupError("No masks were recorded.")
        left, top, right, bottom = 48, 14, width - 14, height - 34
        picture = Image.new("RGB", (width, height), "white")
        draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)

        def at(time: float, trust: float) -> tuple[float, float]:
            return right - time * (right - left), bottom - trust * (bottom - top)

        draw.rectangle((left, top, right, bottom), outline="dimgray")
        for value in (0.0, 0.5, 1.0):
            draw.text((left - 26, at(0, value)[1] - 7), f"{value:g}", fill="black", font=font)
        marked = at(FIGURE_TIME, 0)[0]
        draw.line((marked, top, marked, bottom), fill="darkred")
        draw.text((marked + 3, top + 2), "0.8 T", fill="darkred", font=font)
        draw.text((left, bottom + 8), "trust κ of the masks; t from T on the left to 0", fill="black", font=font)
        for foreground in foregrounds:
            own = [step for step in self.steps if step.foreground == foreground]
            points = [at(step.timestep / self.train_timesteps, step.trust) for step in own]
            colour = _COLOURS[foreground % len(_COLOURS)]
            draw.line(points, fill=colour, width=2)
            for x, y in points:
                draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
            draw.text((right - 90, top + 4 + 14 * foreground), f"foreground {foreground + 1}", fill=colour, font=font)
        return picture

    def contact_sheet(self, columns: int = 9) -> Image.Image:
        """All four maps over the steps, one block of rows a foreground, the t = 0.8 T column marked.

        Args:
            columns: steps shown, spread evenly; the first, the last and the marked one are always among them.

        Returns:
            RGB.

        Raises:
            LookupError: nothing was recorded.
        """
        foregrounds = sorted({step.foreground for step in self.steps})
        if not foregrounds:
            raise LookupError("No masks were recorded.")
        blocks = [self._block(foreground, columns) for foreground in foregrounds]
        sheet = Image.new("RGB", (max(block.width for block in blocks), sum(block.height for block in blocks)), "white")
        top = 0
        for block in blocks:
            sheet.paste(block, (0, top))
            top += block.height
        return sheet

    def _block(self, foreground: int, columns: int) -> Image.Image:
        own = [step for step in self.steps if step.foreground == foreground]
        marked = own.index(self.figure_step(foreground))
        shown = []
        for place in spread(len(own), columns, marked):
            step = own[place]
            notes = (_time(step.timestep, self.train_timesteps), f"trust {step.trust:.2f}")
            maps = [Image.fromarray(np.rint(values * 255).astype(np.uint8)).convert("RGB") for values in step.maps]
            tiles = [_fitted(tile, _MAP, Image.Resampling.NEAREST) for tile in maps]
            shown.append(_Column(notes, tiles, marked=place == marked))
        return _sheet(f"foreground {foreground + 1}", ROWS, shown)


@dataclass
class StreamRecord:
    """Collects where every stream is heading, when handed to `LayerFusionPipeline.generate`: its estimates of z0.

    Every step's estimates are kept as latents; pictures are decoded of some of them while the job runs. Drafts of
    foregrounds with a box, and the tiles of `refine`, are not recorded.

    Attributes:
        columns: steps of which pictures are decoded, spread evenly; the first, the last and that of t = 0.8 T are
            always among them.
        train_timesteps: T; this and all below is set by the pipeline.
        streams: their names in the order of the rows: "foreground 1" …, "background", "blended".
        timesteps: one a step so far, training timesteps.
        estimates: one a step so far, float32 (streams, C, h, w): the clean latents as the model sees them there.
        pictures: step -> one picture a stream, uint8 (H, W, 4), at most 256 px a side.
    """

    columns: int = 9
    train_timesteps: int = 1000
    streams: tuple[str, ...] = ()
    timesteps: list[float] = field(default_factory=list)
    estimates: list[NDArray[np.float32]] = field(default_factory=list)
    pictures: dict[int, list[Pixels]] = field(default_factory=dict)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for `numpy.savez`; empty if nothing was recorded.

        Returns:
            `timesteps`, float32 (steps,); `shown`, int64 (columns,), which steps have pictures, from 0; and for every
            stream S, which is `foreground_1` …, `background` or `blended`: `estimates_S`, float32 (steps, C, h, w), and
            `pictures_S`, uint8 RGBA (columns, H, W, 4), straight alpha.
        """
        if not self.timesteps:
            return {}
        shown = sorted(self.pictures)
        result: dict[str, NDArray[Any]] = {
            "timesteps": np.asarray(self.timesteps, np.float32),
            "shown": np.asarray(shown, np.int64),
        }
        for row, stream in enumerate(self.streams):
            name = stream.replace(" ", "_")
            result[f"estimates_{name}"] = np.stack([estimate[row] for estimate in self.estimates])
            if shown:
                result[f"pictures_{name}"] = np.stack([self.pictures[step][row] for step in shown])
        return result

    def contact_sheet(self) -> Image.Image:
        """The pictures: a row a stream, a column a step, labelled with t / T, the t = 0.8 T column marked. RGB.

        Raises:
            LookupError: nothing was recorded.
        """
        if not self.pictures:
            raise LookupError("No streams were recorded.")
        marked = figure_place(self.timesteps, self.train_timesteps)
        shown = []
        for step, pictures in sorted(self.pictures.items()):
            notes = (_time(self.timesteps[step], self.train_timesteps), f"step {step + 1}")
            over = [Image.fromarray(over_checks(pixels)) for pixels in pictures]
            tiles = [_fitted(tile, _PICTURE, Image.Resampling.LANCZOS) for tile in over]
            shown.append(_Column(notes, tiles, marked=step == marked))
        return _sheet("estimates of z0", self.streams, shown)


def figure_place(timesteps: Sequence[float], train_timesteps: int) -> int:
    """Which step the paper would show: the first with t <= 0.8 T, or the last there is."""
    late = (place for place, timestep in enumerate(timesteps) if timestep <= FIGURE_TIME * train_timesteps)
    return next(late, len(timesteps) - 1)


def spread(steps: int, columns: int, marked: int) -> list[int]:
    """The places of `columns` steps spread evenly, ascending; the first, the last and the marked one among them."""
    return sorted({round(place) for place in np.linspace(0, steps - 1, min(max(columns, 2), steps))} | {marked})


@dataclass(frozen=True)
class _Column:
    """One step on a contact sheet: two lines above, and a tile a row, all of one size."""

    notes: tuple[str, str]
    tiles: list[Image.Image]
    marked: bool


def _time(timestep: float, train_timesteps: int) -> str:
    return f"t = {timestep / train_timesteps:.2f} T"


def _fitted(tile: Image.Image, longest: int, resampling: Image.Resampling) -> Image.Image:
    scale = longest / max(tile.size)
    return tile.resize((max(1, round(tile.width * scale)), max(1, round(tile.height * scale))), resampling)


def _sheet(title: str, rows: Sequence[str], columns: Sequence[_Column]) -> Image.Image:
    """A contact sheet, RGB: names on the left, the marked column framed."""
    width, height = columns[0].tiles[0].size
    across, down = max(width, _NARROWEST) + _GAP, height + _GAP
    picture = Image.new("RGB", (_LABELS + len(columns) * across, _HEADER + len(rows) * down), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    draw.text((6, 2), title, fill="black", font=font)
    draw.text((6, 16), "red: first t <= 0.8 T", fill="darkred", font=font)
    for row, name in enumerate(rows):
        draw.text((6, _HEADER + row * down + height // 2 - 7), name, fill="black", font=font)
    for place, column in enumerate(columns):
        left = _LABELS + place * across
        draw.text((left, 2), column.notes[0], fill="darkred" if column.marked else "black", font=font)
        draw.text((left, 16), column.notes[1], fill="dimgray", font=font)
        for row, tile in enumerate(column.tiles):
            picture.paste(tile, (left, _HEADER + row * down))
        if column.marked:
            box = (left - 2, _HEADER - 2, left + width + 1, _HEADER + len(rows) * down - 3)
            draw.rectangle(box, outline="darkred", width=2)
    return picture
