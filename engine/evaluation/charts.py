"""Charts of estimates with their intervals, drawn with Pillow only, which the engine needs anyway."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from layerfusion.engine.evaluation.statistics import Estimate

_WIDTH, _HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 44, 46
_INKS = ((31, 87, 158), (200, 82, 32), (58, 134, 62), (122, 72, 150))
_GREY = (150, 150, 150)


@dataclass(frozen=True)
class Chart:
    """One panel.

    Attributes:
        title: text above the panel; may have two lines.
        labels: labels of the horizontal axis.
        series: name -> one estimate per label; estimates without a value are left out. A single series is drawn as dots
            with intervals, several series as lines with intervals.
        target: value of a dashed horizontal line; None for no line.
    """

    title: str
    labels: Sequence[str]
    series: Mapping[str, Sequence[Estimate]]
    target: float | None = None


def draw_charts(charts: Sequence[Chart], columns: int = 2) -> Image.Image:
    """Draw all panels on one white RGB image, row by row."""
    return on_one_sheet([_panel(chart) for chart in charts], columns, (_WIDTH, _HEIGHT))


def on_one_sheet(panels: Sequence[Image.Image], columns: int, size: tuple[int, int]) -> Image.Image:
    """Put panels of a width and a height beside and below each other, row by row, on a white RGB image."""
    rows = max(math.ceil(len(panels) / columns), 1)
    sheet = Image.new("RGB", (columns * size[0], rows * size[1]), "white")
    for index, panel in enumerate(panels):
        sheet.paste(panel, (index % columns * size[0], index // columns * size[1]))
    return sheet


def _panel(chart: Chart) -> Image.Image:
    panel = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw, font, small = ImageDraw.Draw(panel), ImageFont.load_default(14), ImageFont.load_default(11)
    draw.multiline_text((_LEFT, 6), chart.title, fill="black", font=font, spacing=2)
    low, high = _range(chart)
    floor = _HEIGHT - _BOTTOM

    def x_of(position: float) -> float:
        return _LEFT + (position + 0.5) / len(chart.labels) * (_WIDTH - _LEFT - _RIGHT)

    def y_of(value: float) -> float:
        return floor - (value - low) / (high - low) * (floor - _TOP)

    for tick in ticks(low, high):
        draw.line((_LEFT, y_of(tick), _WIDTH - _RIGHT, y_of(tick)), fill=(232, 232, 232))
        draw.text((_LEFT - 6, y_of(tick)), f"{tick:.4g}", fill="black", font=small, anchor="rm")
    if low <= 0 <= high:
        draw.line((_LEFT, y_of(0), _WIDTH - _RIGHT, y_of(0)), fill=_GREY)
    if chart.target is not None:
        for x in range(_LEFT, _WIDTH - _RIGHT, 8):
            draw.line((x, y_of(chart.target), x + 4, y_of(chart.target)), fill=(170, 30, 30))
    draw.line((_LEFT, _TOP, _LEFT, floor), fill="black")
    for index, label in enumerate(chart.labels):
        draw.text((x_of(index), floor + 5), label, fill="black", font=small, anchor="ma")
    several = len(chart.series) > 1
    for number, (name, figures) in enumerate(chart.series.items()):
        ink = _INKS[number % len(_INKS)]
        shift = 0.12 * (number - (len(chart.series) - 1) / 2)
        points = [(x_of(index + shift), figure) for index, figure in enumerate(figures) if figure.known]
        if several:
            draw.line([(x, y_of(figure.value)) for x, figure in points], fill=ink, width=2)
            draw.rectangle((_LEFT + 98 * number, _HEIGHT - 14, _LEFT + 98 * number + 7, _HEIGHT - 7), fill=ink)
            draw.text((_LEFT + 98 * number + 12, _HEIGHT - 17), name, fill=ink, font=small)
        for x, figure in points:
            draw.line((x, y_of(figure.low), x, y_of(figure.high)), fill=ink, width=2)
            for end in (figure.low, figure.high):
                draw.line((x - 4, y_of(end), x + 4, y_of(end)), fill=ink, width=2)
            draw.ellipse((x - 4, y_of(figure.value) - 4, x + 4, y_of(figure.value) + 4), fill=ink)
    return panel


def _range(chart: Chart) -> tuple[float, float]:
    """The range of the vertical axis: all intervals, the target and zero, with a margin."""
    figures = [figure for line in chart.series.values() for figure in line if figure.known]
    ends = [0.0, *(figure.low for figure in figures), *(figure.high for figure in figures)]
    ends += [] if chart.target is None else [chart.target]
    low, high = min(ends), max(ends)
    if low == high:
        return low, low + 1
    margin = 0.06 * (high - low)
    return (low - margin if low < 0 else 0.0), high + margin


def ticks(low: float, high: float) -> list[float]:
    """Three to eight round numbers between `low` and `high`."""
    raw = (high - low) / 5
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step) + 1)]
