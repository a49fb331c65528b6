"""Figures with their intervals as one picture. Pillow only, so that they are drawn wherever the engine runs."""

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
        title: above it; may have two lines.
        labels: along the horizontal axis.
        series: name -> one estimate a label; unknown ones are left out. One series is drawn as dots with intervals,
            several as lines with intervals.
        asked: a horizontal line at what is asked; None for none.
    """

    title: str
    labels: Sequence[str]
    series: Mapping[str, Sequence[Estimate]]
    asked: float | None = None


def draw_charts(charts: Sequence[Chart], columns: int = 2) -> Image.Image:
    """All panels on one white picture, RGB, row by row."""
    rows = math.ceil(len(charts) / columns)
    sheet = Image.new("RGB", (columns * _WIDTH, max(rows, 1) * _HEIGHT), "white")
    for place, chart in enumerate(charts):
        sheet.paste(_panel(chart), (place % columns * _WIDTH, place // columns * _HEIGHT))
    return sheet


def _panel(chart: Chart) -> Image.Image:
    panel = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw, font, small = ImageDraw.Draw(panel), ImageFont.load_default(14), ImageFont.load_default(11)
    draw.multiline_text((_LEFT, 6), chart.title, fill="black", font=font, spacing=2)
    low, high = _range(chart)
    floor = _HEIGHT - _BOTTOM

    def across(place: float) -> float:
        return _LEFT + (place + 0.5) / len(chart.labels) * (_WIDTH - _LEFT - _RIGHT)

    def up(value: float) -> float:
        return floor - (value - low) / (high - low) * (floor - _TOP)

    for tick in ticks(low, high):
        draw.line((_LEFT, up(tick), _WIDTH - _RIGHT, up(tick)), fill=(232, 232, 232))
        draw.text((_LEFT - 6, up(tick)), f"{tick:.4g}", fill="black", font=small, anchor="rm")
    if low <= 0 <= high:
        draw.line((_LEFT, up(0), _WIDTH - _RIGHT, up(0)), fill=_GREY)
    if chart.asked is not None:
        for x in range(_LEFT, _WIDTH - _RIGHT, 8):
            draw.line((x, up(chart.asked), x + 4, up(chart.asked)), fill=(170, 30, 30))
    draw.line((_LEFT, _TOP, _LEFT, floor), fill="black")
    for place, label in enumerate(chart.labels):
        draw.text((across(place), floor + 5), label, fill="black", font=small, anchor="ma")
    several = len(chart.series) > 1
    for number, (name, figures) in enumerate(chart.series.items()):
        ink = _INKS[number % len(_INKS)]
        shift = 0.12 * (number - (len(chart.series) - 1) / 2)
        points = [(across(place + shift), figure) for place, figure in enumerate(figures) if figure.known]
        if several:
            draw.line([(x, up(figure.value)) for x, figure in points], fill=ink, width=2)
            draw.rectangle((_LEFT + 98 * number, _HEIGHT - 14, _LEFT + 98 * number + 7, _HEIGHT - 7), fill=ink)
            draw.text((_LEFT + 98 * number + 12, _HEIGHT - 17), name, fill=ink, font=small)
        for x, figure in points:
            draw.line((x, up(figure.low), x, up(figure.high)), fill=ink, width=2)
            for end in (figure.low, figure.high):
                draw.line((x - 4, up(end), x + 4, up(end)), fill=ink, width=2)
            draw.ellipse((x - 4, up(figure.value) - 4, x + 4, up(figure.value) + 4), fill=ink)
    return panel


def _range(chart: Chart) -> tuple[float, float]:
    """All intervals and zero, with a little air."""
    figures = [figure for line in chart.series.values() for figure in line if figure.known]
    ends = [0.0, *(figure.low for figure in figures), *(figure.high for figure in figures)]
    ends += [] if chart.asked is None else [chart.asked]
    low, high = min(ends), max(ends)
    if low == high:
        return low, low + 1
    air = 0.06 * (high - low)
    return (low - air if low < 0 else 0.0), high + air


def ticks(low: float, high: float) -> list[float]:
    """Three to eight round numbers between two ends."""
    raw = (high - low) / 5
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first = math.ceil(low / step)
    return [place * step for place in range(first, math.floor(high / step) + 1)]
