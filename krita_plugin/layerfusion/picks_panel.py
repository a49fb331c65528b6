"""Shows which layers a button would keep, before it is pressed, and lets the artist choose others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import layout
from .interfaces import GenerationParams, Pick, Picks
from .qt import QtCore, QtGui, QtWidgets
from .settings import params_of
from .translation import mark, tr
from .widgets import checkered, push_button

SIDE = 30
"""Side of a thumbnail, in device-independent pixels."""
TITLES = {"foreground": mark("Foreground"), "background": mark("Background")}


class PicksPanel(QtWidgets.QWidget):
    """One button for the foreground and one for the background. A click opens a menu of the layers to choose from.

    Args:
        candidates: gives the layers to choose from for a role.
        choose: takes the role and the id of the chosen layer; None follows the active layer again.
        use: takes the values with which the group of the active layer was made, when the artist wants them again.
        guarded: makes a Qt slot of an action, and shows what goes wrong in it.
    """

    def __init__(
        self,
        candidates: Callable[[str], list[Pick]],
        choose: Callable[[str, str | None], None],
        use: Callable[[GenerationParams], None],
        guarded: Callable[[Callable[[], object]], Callable[[Any], None]],
    ) -> None:
        super().__init__()
        self._guarded = guarded
        self._candidates = candidates
        self._choose = choose
        self._buttons = {role: self._button(role) for role in TITLES}
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        self._made: GenerationParams | None = None
        self._again = push_button(
            tr("Use the prompts of this group"),
            tr("Fill in the prompts, seed and settings with which the selected group was drawn"),
            guarded(lambda: self._made and use(self._made)),
        )
        self._again.setVisible(False)
        column.addWidget(self._again)
        column.addWidget(layout.grid(tuple(self._buttons.values()), stretch=(1, 1)))

    def show_current(self, params: GenerationParams) -> None:
        """Compare the docker's fields with the selected group: only prompts that differ are offered."""
        made = self._made
        differs = made is not None and (made.foreground, made.background) != (params.foreground, params.background)
        self._again.setVisible(differs)

    def show_picks(self, picks: Picks) -> None:
        self._made = params_of(picks.record) if picks.record else None
        for role, button in self._buttons.items():
            pick = picks.of(role)
            title, name = tr(TITLES[role]), tr("none yet") if pick is None else pick.name
            words = name if name.startswith(title) else f"{title}: {name}"  # our own layers say what they are
            chosen = " " + tr("(chosen)") if role in picks.chosen else ""
            where = "" if pick is None or not pick.group else "\n" + tr("of the group “{group}”", group=pick.group)
            button.setText(_plain(words + chosen))
            about = "" if pick is None or not pick.about else f"\n{pick.about}"
            hint = tr("The next button works on this layer. Click to choose another.")
            button.setToolTip(f"{words}{chosen}{where}{about}\n{hint}")
            button.setAccessibleName(words + chosen)
            button.setIcon(self._icon(pick))

    def _button(self, role: str) -> QtWidgets.QToolButton:
        button = _ShortenedButton()
        button.setObjectName(f"layerfusion_{role}")
        button.setAutoRaise(True)
        button.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setIconSize(QtCore.QSize(SIDE, SIDE))
        button.setPopupMode(QtWidgets.QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        menu = QtWidgets.QMenu(button)
        menu.aboutToShow.connect(lambda: self._guarded(lambda: self._fill(menu, role))(None))
        button.setMenu(menu)
        return button

    def _fill(self, menu: QtWidgets.QMenu, role: str) -> None:
        menu.clear()
        automatic = menu.addAction(tr("As the selected layer says"))
        automatic.triggered.connect(self._guarded(lambda: self._choose(role, None)))
        menu.addSeparator()
        for pick in self._candidates(role):
            where = f" · {pick.group}" if pick.group else ""
            hidden = " " + tr("(hidden)") if pick.hidden else ""
            words = _plain(f"{pick.name}{where}{hidden}")
            action = menu.addAction(self._icon(pick), words)
            action.triggered.connect(self._guarded(lambda chosen=pick.id: self._choose(role, chosen)))

    def _icon(self, pick: Pick | None) -> QtGui.QIcon:
        if pick is None:
            return QtGui.QIcon()
        return QtGui.QIcon(checkered(pick.thumbnail, SIDE, self.devicePixelRatioF()))


class _ShortenedButton(QtWidgets.QToolButton):
    """A button with an icon and a menu, whose text is shortened to the room that it has."""

    def paintEvent(self, a0: QtGui.QPaintEvent) -> None:
        painter, option = QtWidgets.QStylePainter(self), QtWidgets.QStyleOptionToolButton()
        self.initStyleOption(option)
        arrow = self.style().pixelMetric(QtWidgets.QStyle.PixelMetric.PM_MenuButtonIndicator, option, self)
        icon = 0 if self.icon().isNull() else self.iconSize().width()
        room = self.width() - icon - arrow - 10
        option.text = self.fontMetrics().elidedText(self.text(), QtCore.Qt.TextElideMode.ElideRight, room)
        painter.drawComplexControl(QtWidgets.QStyle.ComplexControl.CC_ToolButton, option)


def _plain(text: str) -> str:
    """A text for a button or a menu, where “&” would underline the next letter."""
    return text.replace("&", "&&")
