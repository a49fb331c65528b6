"""Results as rows: a measure, its figures by column, what is asked of it, and whether it holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from layerfusion.engine.evaluation.statistics import Estimate

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        measure: its name; a definition is in docs/evaluation.md.
        figures: column -> estimate.
        bar: what is asked; empty where the figure is only reported.
        holds: whether it holds; None where nothing is asked, or it could not be measured.
    """

    measure: str
    figures: Mapping[str, Estimate]
    bar: str = ""
    holds: bool | None = None

    @property
    def verdict(self) -> str:
        if not self.bar:
            return ""
        if self.holds is None:
            return NOT_MEASURED
        return "yes" if self.holds else "**no**"

    def as_json(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "figures": {name: estimate_json(figure) for name, figure in self.figures.items()},
            "bar": self.bar,
            "holds": self.holds,
        }


@dataclass(frozen=True)
class Section:
    """A table with a heading and a sentence of result.

    Attributes:
        key: its name in the JSON.
        title: heading.
        columns: in their order.
        rows: top first.
        result: one sentence; empty where the rows speak for themselves.
    """

    key: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    result: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"title": self.title, "result": self.result, "rows": [row.as_json() for row in self.rows]}

    def as_markdown(self) -> str:
        head = ["measure", *self.columns, "asked", "holds"]
        lines = [f"### {self.title}", ""]
        if self.result:
            lines += [self.result, ""]
        lines += [_line(head), _line(["---"] * len(head))]
        for row in self.rows:
            cells = [_cell(row.figures.get(name)) for name in self.columns]
            lines.append(_line([row.measure, *cells, row.bar, row.verdict]))
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Claim(Section):
    """A section that ends in a verdict.

    Attributes:
        statement: what the paper says, in our words.
    """

    statement: str = field(default="", kw_only=True)

    @staticmethod
    def judged(
        key: str, title: str, statement: str, columns: Sequence[str], rows: Sequence[Row], missing: str = ""
    ) -> Claim:
        """Confirmed if everything that is asked and could be measured holds.

        Args:
            missing: what could not be measured, for the sentence; empty if nothing.
        """
        asked = [row for row in rows if row.bar]
        failed = [row.measure for row in asked if row.holds is False]
        known = [row for row in asked if row.holds is not None]
        if not known:
            verdict = "Not measured."
        elif failed:
            verdict = f"**Not confirmed on this model**: {'; '.join(failed)}."
        else:
            verdict = "**Confirmed on this model**" + (f", as far as measured ({missing})." if missing else ".")
        return Claim(key, title, columns, rows, f"{statement} {verdict}", statement=statement)


def below(figure: Estimate, limit: float = 0.0) -> bool | None:
    """Whether the whole interval lies below a limit; None where nothing was measured."""
    return figure.high < limit if figure.known else None


def above(figure: Estimate, limit: float = 0.0) -> bool | None:
    """Whether the whole interval lies above a limit; None where nothing was measured."""
    return figure.low > limit if figure.known else None


def at_least(figure: Estimate, limit: float) -> bool | None:
    """Whether the figure itself, not its interval, reaches a limit; None where nothing was measured."""
    return figure.value >= limit if figure.known else None


def within(figure: Estimate, low: float, high: float) -> bool | None:
    """Whether the figure itself, not its interval, lies between two limits; None where nothing was measured."""
    return low <= figure.value <= high if figure.known else None


def every(*answers: bool | None) -> bool | None:
    """False if any is; None if any was not measured; otherwise true."""
    if any(answer is False for answer in answers):
        return False
    return None if None in answers else True


def certain(value: float, count: int) -> Estimate:
    """A figure that is no mean of items, such as a maximum: its interval is itself."""
    return Estimate(value, value, value, count)


def estimate_json(figure: Estimate) -> dict[str, Any]:
    if not figure.known:
        return {"value": None, "count": 0}
    rounded = (float(f"{value:.5g}") for value in (figure.value, figure.low, figure.high))
    return dict(zip(("value", "low", "high"), rounded, strict=True)) | {"count": figure.count}


def _cell(figure: Estimate | None) -> str:
    if figure is None:
        return ""
    if not figure.known or not math.isfinite(figure.value):
        return NOT_MEASURED
    if figure.low == figure.high:
        return _number(figure.value)
    return f"{_number(figure.value)} [{_number(figure.low)}, {_number(figure.high)}]"


def _number(value: float) -> str:
    """Three digits that matter, never an exponent: 0.0123, 1.23, 26.4, 1280."""
    if value == 0 or abs(value) < 5e-6:
        return "0"
    digits = min(5, max(0, 2 - math.floor(math.log10(abs(value)))))
    return f"{value:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
