"""Results as table rows: a measure, its figures by column, its target, and whether the target is met."""

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
        measure: its name; docs/evaluation.md has the definition.
        figures: column -> estimate.
        bar: the target in words; empty if the figure is only reported.
        holds: whether the target is met; None if there is no target or the figure could not be measured.
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

    @staticmethod
    def of_json(value: dict[str, Any]) -> Row:
        """The inverse of `as_json`; figures have eight digits. Raises KeyError or TypeError if it is none."""
        figures = {name: _estimate_of(figure) for name, figure in value["figures"].items()}
        return Row(value["measure"], figures, value["bar"], value["holds"])


@dataclass(frozen=True)
class Section:
    """A table with a heading and a statement of the result.

    Attributes:
        key: its name in the JSON.
        title: the heading.
        columns: the columns' names from left to right.
        rows: the rows from top to bottom.
        result: the statement; may be empty.
    """

    key: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    result: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "title": self.title,
            "result": self.result,
            "columns": list(self.columns),
            "rows": [row.as_json() for row in self.rows],
        }

    @staticmethod
    def of_json(value: dict[str, Any]) -> Section:
        """The inverse of `as_json`. Raises KeyError or TypeError if it is none."""
        rows = [Row.of_json(row) for row in value["rows"]]
        return Section(value["key"], value["title"], tuple(value["columns"]), rows, value["result"])

    def as_markdown(self) -> str:
        head = ["measure", *self.columns, "target", "met"]
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
    """A section with a verdict.

    Attributes:
        statement: the paper's claim in our words.
    """

    statement: str = field(default="", kw_only=True)

    @staticmethod
    def judged(
        key: str, title: str, statement: str, columns: Sequence[str], rows: Sequence[Row], missing: str = ""
    ) -> Claim:
        """Make a claim that is confirmed if all targets are met that could be measured.

        Args:
            missing: the reason why some figures could not be measured; empty if all could.
        """
        with_target = [row for row in rows if row.bar]
        failed = [row.measure for row in with_target if row.holds is False]
        measured = [row for row in with_target if row.holds is not None]
        if not measured:
            verdict = "Not measured."
        elif failed:
            verdict = f"**Not confirmed on this model**: {'; '.join(failed)}."
        else:
            verdict = "**Confirmed on this model**" + (f", as far as measured ({missing})." if missing else ".")
        return Claim(key, title, columns, rows, f"{statement} {verdict}", statement=statement)


def below(figure: Estimate, limit: float = 0.0) -> bool | None:
    """Whether the whole interval lies below a limit; None if there is no figure."""
    return figure.high < limit if figure.known else None


def above(figure: Estimate, limit: float = 0.0) -> bool | None:
    """Whether the whole interval lies above a limit; None if there is no figure."""
    return figure.low > limit if figure.known else None


def at_least(figure: Estimate, limit: float) -> bool | None:
    """Whether the value, not its interval, is at least a limit; None if there is no figure."""
    return figure.value >= limit if figure.known else None


def at_most(figure: Estimate, limit: float) -> bool | None:
    """Whether the value, not its interval, is at most a limit; None if there is no figure."""
    return figure.value <= limit if figure.known else None


def more_than(figure: Estimate, limit: float) -> bool | None:
    """Whether the value, not its interval, is greater than a limit; None if there is no figure."""
    return figure.value > limit if figure.known else None


def within(figure: Estimate, low: float, high: float) -> bool | None:
    """Whether the value, not its interval, lies between two limits; None if there is no figure."""
    return low <= figure.value <= high if figure.known else None


def every(*answers: bool | None) -> bool | None:
    """False if any answer is False, otherwise None if any is None, otherwise True."""
    if any(answer is False for answer in answers):
        return False
    return None if None in answers else True


def certain(value: float, count: int) -> Estimate:
    """An estimate without uncertainty, for a figure such as a maximum: its interval is the value itself."""
    return Estimate(value, value, value, count)


def estimate_json(figure: Estimate) -> dict[str, Any]:
    if not figure.known:
        return {"value": None, "count": 0}
    rounded = (float(f"{value:.8g}") for value in (figure.value, figure.low, figure.high))
    return dict(zip(("value", "low", "high"), rounded, strict=True)) | {"count": figure.count}


def _estimate_of(value: dict[str, Any]) -> Estimate:
    if value["value"] is None:
        return Estimate(math.nan, math.nan, math.nan, 0)
    return Estimate(float(value["value"]), float(value["low"]), float(value["high"]), int(value["count"]))


def _cell(figure: Estimate | None) -> str:
    if figure is None:
        return ""
    if not figure.known or not math.isfinite(figure.value):
        return NOT_MEASURED
    if figure.low == figure.high:
        return _number(figure.value)
    return f"{_number(figure.value)} [{_number(figure.low)}, {_number(figure.high)}]"


def _number(value: float) -> str:
    """Three significant digits without an exponent: 0.0123, 1.23, 26.4, 1280; at most five decimals."""
    if value == 0 or abs(value) < 5e-6:
        return "0"
    value = float(f"{value:.3g}")  # 0.9996 is 1.00
    digits = min(5, max(0, 2 - math.floor(math.log10(abs(value)))))
    return f"{value:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
