"""Arranges widgets in boxes, rows and grids without margins."""

from __future__ import annotations

from .qt import QtWidgets


def box(*content: QtWidgets.QWidget) -> QtWidgets.QWidget:
    """Widgets one below the other."""
    outer = QtWidgets.QWidget()
    column = QtWidgets.QVBoxLayout(outer)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(4)
    for widget in content:
        column.addWidget(widget)
    return outer


def row(*content: QtWidgets.QWidget, stretch: int | None = None) -> QtWidgets.QWidget:
    """Widgets side by side; the one at index `stretch` takes the remaining width."""
    outer = QtWidgets.QWidget()
    line = QtWidgets.QHBoxLayout(outer)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(4)
    for index, widget in enumerate(content):
        line.addWidget(widget, int(index == stretch))
    return outer


def grid(*rows: tuple[QtWidgets.QWidget, ...], stretch: tuple[int, int]) -> QtWidgets.QWidget:
    """Two columns, with `stretch` factors for the remaining width; a row with one widget spans both columns."""
    outer = QtWidgets.QWidget()
    cells = QtWidgets.QGridLayout(outer)
    cells.setContentsMargins(0, 0, 0, 0)
    cells.setSpacing(4)
    for column, part in enumerate(stretch):
        cells.setColumnStretch(column, part)
    for index, widgets in enumerate(rows):
        for column, widget in enumerate(widgets):
            cells.addWidget(widget, index, column, 1, 3 - len(widgets))
    return outer


def labelled(text: str, field: QtWidgets.QWidget) -> QtWidgets.QWidget:
    label = QtWidgets.QLabel(text)
    label.setBuddy(field)
    return box(label, field)
