"""The row with which the artist pages through the variants of a press."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import layout
from .qt import QtCore, QtWidgets
from .translation import tr
from .widgets import arrow_button, push_button


class VariantsRow(QtWidgets.QWidget):
    """‹ 2 of 3 › and “Keep this one”. Hidden if there are no variants.

    Args:
        step: called with 1 for the next variant and -1 for the previous one.
        keep: called to keep the one that is visible.
        guarded: makes a Qt slot of an action, and shows what goes wrong in it.

    Attributes:
        buttons: its buttons, by the names that they have in `shortcuts`.
    """

    def __init__(
        self,
        step: Callable[[int], object],
        keep: Callable[[], object],
        guarded: Callable[[Callable[[], object]], Callable[[Any], None]],
    ) -> None:
        super().__init__()
        self.setObjectName("layerfusion_variants")
        self._words = QtWidgets.QLabel()
        self._words.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        left, right = QtCore.Qt.ArrowType.LeftArrow, QtCore.Qt.ArrowType.RightArrow
        line = QtWidgets.QHBoxLayout(self)
        line.setContentsMargins(8, 0, 8, 0)
        before = arrow_button(left, tr("Show the previous picture of this press"), guarded(lambda: step(-1)))
        after = arrow_button(right, tr("Show the next picture of this press"), guarded(lambda: step(1)))
        kept = push_button(
            tr("Keep this one"),
            tr("Take this picture out of the group and remove the others. They stay in the history"),
            guarded(keep),
        )
        self.buttons = {"previous_variant": before, "next_variant": after, "keep_variant": kept}
        line.addWidget(layout.row(before, self._words, after, kept, stretch=1))
        self.setVisible(False)

    def show_variants(self, index: int, count: int) -> None:
        self._words.setText(tr("{number} of {total}", number=index + 1, total=count))
        self.setVisible(count > 0)
