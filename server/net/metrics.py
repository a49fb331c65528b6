"""Figures about the server in Prometheus' text format, version 0.0.4. They have nothing of any job or user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4"


@dataclass(frozen=True)
class Metric:
    """One figure, or one for each value of a label.

    Attributes:
        name: as Prometheus wants it, without the prefix; the unit last.
        kind: a counter never falls, but starts anew with the server.
        about: what it is, in one sentence.
        values: figures by label value; "" is a figure without a label.
        label: name of the label.
    """

    name: str
    kind: Literal["counter", "gauge"]
    about: str
    values: Mapping[str, float] = field(default_factory=dict)
    label: str = ""


def gauge(name: str, about: str, value: float) -> Metric:
    """A figure that rises and falls."""
    return Metric(name, "gauge", about, {"": value})


def counter(name: str, about: str, value: float) -> Metric:
    """A figure that only rises."""
    return Metric(name, "counter", about, {"": value})


def text(metrics: Iterable[Metric]) -> str:
    """The metrics as text."""
    lines = []
    for metric in metrics:
        name = f"layerfusion_{metric.name}"
        lines += [f"# HELP {name} {metric.about}", f"# TYPE {name} {metric.kind}"]
        for value, figure in metric.values.items():
            label = f'{{{metric.label}="{_escaped(value)}"}}' if metric.label else ""
            lines.append(f"{name}{label} {figure:.17g}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
