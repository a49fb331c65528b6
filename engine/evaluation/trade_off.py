"""Charts of cost against quality: which ways of drawing are worth their price, and which others are better and cheaper.

Nothing else of ours draws on two axes of numbers; `charts` has labelled positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from layerfusion.engine.evaluation.charts import on_one_sheet, ticks
from layerfusion.engine.evaluation.statistics import Estimate

_WIDTH, _HEIGHT = 560, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 44, 42
_ON_FRONT, _BEHIND = (31, 87, 158), (150, 150, 150)

Spot = tuple[float, float]


@dataclass(frozen=True)
class TradeOff:
    """One panel.

    Attributes:
        title: text above the panel; may have two lines.
        axis: what the cost is, below the panel.
        points: name -> (cost, quality).
        more_is_better: whether a higher value of the quality is better.
    """

    title: str
    axis: str
    points: Mapping[str, tuple[float, Estimate]]
    more_is_better: bool


def front(panel: TradeOff) -> list[str]:
    """The names of the Pareto front, the cheapest first: no other point is as cheap and as good, and better in one."""
    sign = 1 if panel.more_is_better else -1
    found, best = [], -math.inf
    for name, (_, quality) in sorted(panel.points.items(), key=lambda p: (p[1][0], -sign * p[1][1].value)):
        if sign * quality.value > best:
            found.append(name)
            best = sign * quality.value
    return found


def draw_trade_offs(panels: Sequence[TradeOff], columns: int = 2) -> Image.Image:
    """Draw all panels on one white RGB image, row by row. A line joins the points of the Pareto front."""
    return on_one_sheet([_drawn(panel) for panel in panels], columns, (_WIDTH, _HEIGHT))


def _drawn(panel: TradeOff) -> Image.Image:
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw, font, small = ImageDraw.Draw(image), ImageFont.load_default(14), ImageFont.load_default(11)
    draw.multiline_text((_LEFT, 6), panel.title, fill="black", font=font, spacing=2)
    widest = 1.12 * max(cost for cost, _ in panel.points.values())
    low, high = _range([quality for _, quality in panel.points.values()])
    floor = _HEIGHT - _BOTTOM

    def place(cost: float, value: float) -> Spot:
        return (
            _LEFT + cost / widest * (_WIDTH - _LEFT - _RIGHT),
            floor - (value - low) / (high - low) * (floor - _TOP),
        )

    for tick in ticks(low, high):
        y = place(0, tick)[1]
        draw.line((_LEFT, y, _WIDTH - _RIGHT, y), fill=(232, 232, 232))
        draw.text((_LEFT - 6, y), f"{tick:.4g}", fill="black", font=small, anchor="rm")
    for tick in ticks(0, widest):
        draw.text((place(tick, low)[0], floor + 5), f"{tick:.4g}", fill="black", font=small, anchor="ma")
    draw.text((_WIDTH - _RIGHT, floor + 20), panel.axis, fill="black", font=small, anchor="ra")
    draw.line((_LEFT, _TOP, _LEFT, floor, _WIDTH - _RIGHT, floor), fill="black")
    best = front(panel)
    spots = {name: place(cost, quality.value) for name, (cost, quality) in panel.points.items()}
    draw.line([spots[name] for name in best], fill=_ON_FRONT, width=2)
    for name, (cost, quality) in panel.points.items():
        ink, (x, y) = _ON_FRONT if name in best else _BEHIND, spots[name]
        draw.line((*place(cost, quality.low), *place(cost, quality.high)), fill=ink)
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=ink)
    _write_names(draw, small, spots, best)
    return image


def _write_names(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    spots: Mapping[str, Spot],
    best: Sequence[str],
) -> None:
    """Write each name beside its point, where it covers no other name."""
    taken: list[tuple[float, float, float, float]] = []
    for name, (x, y) in sorted(spots.items(), key=lambda spot: spot[1][::-1]):
        for anchor, dx, dy in (("lm", 7, 0), ("rm", -7, 0), ("ls", 6, -8), ("lt", 6, 8), ("rs", -6, -8), ("rt", -6, 8)):
            box = draw.textbbox((x + dx, y + dy), name, font=font, anchor=anchor)
            inside = box[0] > _LEFT and box[2] < _WIDTH
            if inside and not any(_overlap(box, other) for other in taken):
                break
        taken.append(box)
        draw.text((x + dx, y + dy), name, fill=_ON_FRONT if name in best else (110, 110, 110), font=font, anchor=anchor)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _range(figures: Sequence[Estimate]) -> tuple[float, float]:
    """The range of the vertical axis: all intervals with a margin. It need not begin at 0: differences are shown."""
    low, high = min(figure.low for figure in figures), max(figure.high for figure in figures)
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin
