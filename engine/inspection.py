"""Looking inside a run: what the priors saw and which masks came of it, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Map = NDArray[np.float32]
"""(rows, columns) of tokens, 0-1."""

ROWS = ("structure prior", "content confidence", "soft mask", "hard mask")
FIGURE_TIME = 0.8
"""The paper shows its masks at t = 0.8 T (Fig. 3)."""

_TILE = 96
_LABELS = 150
_GAP = 4
_HEADER = 34
_COLOURS = ("#1f5fa8", "#c4561b", "#2b8a3e", "#8a2b80", "#7a6a00", "#006d75")


@dataclass(frozen=True)
class MaskStep:
    """The maps of one step and one foreground, on the structure prior's token grid.

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
        late = [step for step in own if step.timestep <= FIGURE_TIME * self.train_timesteps]
        if not own:
            raise LookupError(f"No masks were recorded for foreground {foreground}.")
        return late[0] if late else own[-1]

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
        spread = {round(place) for place in np.linspace(0, len(own) - 1, min(columns, len(own)))}
        shown = sorted(spread | {marked})
        size = (_LABELS + len(shown) * (_TILE + _GAP), _HEADER + len(ROWS) * (_TILE + _GAP))
        picture = Image.new("RGB", size, "white")
        draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
        draw.text((6, 8), f"foreground {foreground + 1}", fill="black", font=font)
        for row, name in enumerate(ROWS):
            draw.text((6, _HEADER + row * (_TILE + _GAP) + _TILE // 2 - 7), name, fill="black", font=font)
        for column, place in enumerate(shown):
            step = own[place]
            left = _LABELS + column * (_TILE + _GAP)
            note = f"t={step.timestep:.0f}" + (" = 0.8 T" if place == marked else "")
            draw.text((left, 2), note, fill="darkred" if place == marked else "black", font=font)
            draw.text((left, 16), f"trust {step.trust:.2f}", fill="dimgray", font=font)
            for row, values in enumerate(step.maps):
                tile = Image.fromarray(np.rint(values * 255).astype(np.uint8)).convert("RGB")
                top = _HEADER + row * (_TILE + _GAP)
                picture.paste(tile.resize((_TILE, _TILE), Image.Resampling.NEAREST), (left, top))
            if place == marked:
                box = (left - 2, _HEADER - 2, left + _TILE + 1, _HEADER + len(ROWS) * (_TILE + _GAP) - 3)
                draw.rectangle(box, outline="darkred", width=2)
        return picture
