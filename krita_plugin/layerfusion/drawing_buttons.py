"""The buttons that draw, and the slider of one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import layout
from .qt import QtWidgets
from .translation import tr
from .widgets import PercentSlider, push_button


class DrawingButtons(QtWidgets.QWidget):
    """All buttons that draw but Generate, which stays in sight below them.

    Args:
        above: what is shown above the buttons, over their whole width.
        draw: called with the name of a button that was pressed, as in `shortcuts`.
        live: called when Live was pressed.
        guarded: makes a Qt slot of an action, and shows what goes wrong in it.

    Attributes:
        by_name: every button by its name in `shortcuts`, Generate and Live too.
        strength: how much Relight may change.
    """

    def __init__(
        self,
        above: QtWidgets.QWidget,
        draw: Callable[[str], object],
        live: Callable[[], object],
        guarded: Callable[[Callable[[], object]], Callable[[Any], None]],
    ) -> None:
        super().__init__()
        self.by_name: dict[str, QtWidgets.QPushButton] = {}

        def button(name: str, text: str, description: str) -> QtWidgets.QPushButton:
            self.by_name[name] = push_button(text, description, guarded(lambda: draw(name)))
            return self.by_name[name]

        button("generate", tr("Generate"), tr("Draw foreground and background into a new group of layers (Ctrl+Enter)"))
        background = button(
            "new_background",
            tr("New background"),
            tr("Keep the foreground that is shown above, and draw another background behind a copy of it"),
        )
        foreground = button(
            "new_foreground",
            tr("New foreground"),
            tr("Keep the background that is shown above, and draw another foreground in front of a copy of it"),
        )
        harmonise = button(
            "harmonise",
            tr("Harmonise"),
            tr(
                "Keep foreground and background, and draw only Shadow, Light and Blended.\n"
                "Use it after you moved the foreground or painted on a layer, or for two layers of your own"
            ),
        )
        relight = button(
            "relight",
            tr("Relight"),
            tr("Keep the background, and draw over a copy of the foreground, so that its light fits the background"),
        )
        again = button(
            "again",
            tr("Again"),
            tr(
                "Draw the selected picture again with these prompts and settings, and with another seed unless it\n"
                "is locked. Layers that it kept are kept again"
            ),
        )
        follow = push_button(
            tr("Live"),
            tr(
                "Let Shadow and Light of the group follow while you move, scale or paint its layers.\n"
                "Press Harmonise to draw them in full, or Live again to end"
            ),
            guarded(live),
        )
        follow.setCheckable(True)
        self.by_name["live"] = follow
        self.strength = PercentSlider(
            10,
            80,
            30,
            tr("How much Relight may change: a low value changes light and texture, a high one keeps only the place"),
        )
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        rows = (
            (above,),
            (background, foreground),
            (layout.row(harmonise, follow, stretch=0), again),
            (relight, self.strength),
        )
        column.addWidget(layout.grid(*rows, stretch=(1, 1)))
