"""Records of a job: the priors, the masks and every stream's estimates of the clean latents, for each step.

The records hold values and make pictures of them. `engine.inspection.recorder` fills them while a job runs.
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
"""float32 (rows, columns) of tokens, 0-1."""

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
        foreground: its index, 0 … K-1.
        structure, content, soft, hard: structure prior, content confidence, soft mask, hard mask.
        trust: κ, 0-1: how much the maps were trusted, by their contrast.
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
        """The four maps in the order of `ROWS`."""
        return self.structure, self.content, self.soft, self.hard


@dataclass
class MaskRecord:
    """The maps of one job. Pass it to a `Recorder`, and that to `LayerFusionPipeline.generate`.

    Attributes:
        train_timesteps: T, the number of training timesteps; the recorder sets it.
        steps: the maps in the order of the steps.
    """

    train_timesteps: int = 1000
    steps: list[MaskStep] = field(default_factory=list)

    def figure_step(self, foreground: int = 0) -> MaskStep:
        """The step that the paper's Fig. 3 shows: the first with t <= 0.8 T; if there is none, the last.

        Raises:
            LookupError: no step was recorded for this foreground. Kept foregrounds have no measured masks.
        """
        own = [step for step in self.steps if step.foreground == foreground]
        if not own:
            raise LookupError(f"No masks were recorded for foreground {foreground}.")
        return own[figure_place([step.timestep for step in own], self.train_timesteps)]

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Everything as arrays, for `numpy.savez`; empty if nothing was recorded.

        Returns:
            name -> array. For every foreground k, counted from 1: `timesteps_k` (steps,), `trust_k` (steps,), and
            `structure_k`, `content_k`, `soft_k`, `hard_k`, each (steps, rows, columns); all float32.
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
        """Plot κ over t / T, one line per foreground, from t = T on the left to 0; a red line marks t = 0.8 T.

        Args:
            width, height: size of the plot in pixels.

        Returns:
            an RGB image.

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
        """A contact sheet of all four maps, one column per step and one block of rows per foreground.

        The column of t = 0.8 T is marked.

        Args:
            columns: number of steps shown, evenly spaced; the first, the last and the marked one are always included.

        Returns:
            an RGB image.

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
    """Every stream's estimates of the clean latents z0. Pass it to a `Recorder`, as a `MaskRecord`.

    The estimates of every step are stored as latents; those of some steps are also decoded to pictures while the job
    runs. Drafts of foregrounds with a box, and the tiles of `refine`, are not recorded.

    Attributes:
        columns: number of steps whose pictures are decoded, evenly spaced; the first, the last and that of t = 0.8 T
            are always included.
        train_timesteps: T, the number of training timesteps. The recorder sets this and all attributes below.
        streams: the streams' names in the order of the rows: "foreground 1" …, "background", "blended".
        timesteps: the training timestep of each step so far.
        estimates: the estimates of z0 at each step so far, float32 (streams, C, h, w).
        pictures: step index -> one picture per stream, uint8 (H, W, 4), at most 256 px a side.
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
            name -> array: `timesteps`, float32 (steps,); `shown`, int64 (columns,), the indices of the steps that have
            pictures, from 0; and for every stream S, which is `foreground_1` …, `background` or `blended`:
            `estimates_S`, float32 (steps, C, h, w), and `pictures_S`, uint8 RGBA (columns, H, W, 4), straight alpha.
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
        """A contact sheet of the pictures, one row per stream and one column per step, labelled with t / T.

        The column of t = 0.8 T is marked.

        Returns:
            an RGB image.

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
    """The index of the step that the paper's Fig. 3 shows: the first with t <= 0.8 T; if there is none, the last."""
    late = (place for place, timestep in enumerate(timesteps) if timestep <= FIGURE_TIME * train_timesteps)
    return next(late, len(timesteps) - 1)


def spread(steps: int, columns: int, marked: int) -> list[int]:
    """The indices of `columns` evenly spaced steps, ascending; the first, the last and the marked one are included."""
    return sorted({round(place) for place in np.linspace(0, steps - 1, min(max(columns, 2), steps))} | {marked})


@dataclass(frozen=True)
class _Column:
    """One step on a contact sheet: two lines of text above, and one tile per row; all tiles have the same size."""

    notes: tuple[str, str]
    tiles: list[Image.Image]
    marked: bool


def _time(timestep: float, train_timesteps: int) -> str:
    return f"t = {timestep / train_timesteps:.2f} T"


def _fitted(tile: Image.Image, longest: int, resampling: Image.Resampling) -> Image.Image:
    scale = longest / max(tile.size)
    return tile.resize((max(1, round(tile.width * scale)), max(1, round(tile.height * scale))), resampling)


def _sheet(title: str, rows: Sequence[str], columns: Sequence[_Column]) -> Image.Image:
    """A contact sheet, RGB, with the names of the rows on the left and a frame around the marked column."""
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
