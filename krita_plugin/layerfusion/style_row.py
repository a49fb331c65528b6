"""The row in which the artist chooses a style, makes one, changes one and deletes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import layout
from .protocol.messages import Style, Welcome
from .qt import QtCore, QtWidgets
from .style_dialog import UNNAMED, StyleDialog
from .translation import tr

Guarded = Callable[[Callable[[], object]], Callable[[Any], None]]


@dataclass(frozen=True)
class StyleIntents:
    """What the row calls.

    Attributes:
        save: save a style, in place of the one of a name, or as a new one if that is None.
        delete: delete the style of a name.
    """

    save: Callable[[Style, str | None], object]
    delete: Callable[[str], object]


class StyleRow(QtWidgets.QWidget):
    """Hidden until a server tells of its styles.

    Args:
        intents: what it calls.
        current: gives a style, without a name, of what is in the docker's fields now.
        guarded: makes a Qt slot of an action, and shows what goes wrong in it.
    """

    chosen = QtCore.pyqtSignal()
    """The artist has chosen a style, or none."""

    def __init__(self, intents: StyleIntents, current: Callable[[], dict[str, Any]], guarded: Guarded) -> None:
        super().__init__()
        self._intents = intents
        self._current = current
        self._guarded = guarded
        self._styles: dict[str, Style] = {}
        self._wanted: str | None = None  # it may be known before the server's styles are
        self._welcome: Welcome | None = None
        self._choice = QtWidgets.QComboBox()
        self._choice.setObjectName("layerfusion_styles")
        self._choice.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        self._choice.setToolTip(tr("A style adds its words to your prompts, and chooses model, preset and sampler"))
        self._choice.activated.connect(self._take)
        label = QtWidgets.QLabel(tr("Style"))
        label.setBuddy(self._choice)
        self._more = QtWidgets.QToolButton()
        self._more.setObjectName("layerfusion_style_menu")
        self._more.setText("⋯")
        self._more.setAutoRaise(True)
        self._more.setToolTip(tr("Make, change and delete styles"))
        self._more.setAccessibleName(tr("Make, change and delete styles"))
        self._more.setPopupMode(QtWidgets.QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QtWidgets.QMenu(self._more)
        menu.addAction(tr("New style…")).triggered.connect(guarded(self._make))
        self._change = menu.addAction(tr("Change this style…"))
        self._change.triggered.connect(guarded(self._edit))
        self._delete = menu.addAction(tr("Delete this style"))
        self._delete.triggered.connect(guarded(self._remove))
        self._more.setMenu(menu)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(layout.row(label, self._choice, self._more, stretch=1))
        self.setVisible(False)

    @property
    def name(self) -> str | None:
        """The name of the chosen style; None if there is none."""
        return self._wanted

    @property
    def style_chosen(self) -> Style | None:
        """The chosen style; None if there is none, or the server does not have it."""
        return self._styles.get(self._wanted or "")

    def show_server(self, welcome: Welcome) -> None:
        """Offer the models and samplers of this server for new styles."""
        self._welcome = welcome

    def show_styles(self, styles: tuple[Style, ...] | None) -> None:
        """Offer these styles; None if the server does not keep styles."""
        self._styles = {style.name: style for style in styles or ()}
        self.setVisible(styles is not None)
        self.choose(self._wanted)

    def choose(self, name: str | None) -> None:
        """Show that a style is chosen. One that the server does not have is shown, too, so that nothing is hidden."""
        self._wanted = name
        self._choice.clear()
        self._choice.addItem(tr("No style"), None)
        offered = list(self._styles)
        if name and name not in offered:
            offered.append(name)
        for each in offered:
            self._choice.addItem(each, each)
        self._choice.setCurrentIndex(max(0, self._choice.findData(name)))
        self._change.setEnabled(name in self._styles)
        self._delete.setEnabled(name in self._styles)

    def _take(self, *_: object) -> None:
        self.choose(self._choice.currentData())
        self.chosen.emit()

    def _make(self) -> None:
        self._ask(tr("New style"), Style(name=UNNAMED, **self._current()), None)

    def _edit(self) -> None:
        style = self.style_chosen
        if style is not None:
            self._ask(tr("Change the style"), style, style.name)

    def _ask(self, title: str, style: Style, replaces: str | None) -> None:
        if self._welcome is None:
            return
        taken = tuple(name for name in self._styles if name != replaces)
        dialog = StyleDialog(self, title, style, self._welcome, taken)
        dialog.accepted.connect(self._guarded(lambda: self._save(dialog.style_made, replaces)))
        dialog.open()

    def _save(self, style: Style | None, replaces: str | None) -> None:
        if style is not None:
            others = {name: each for name, each in self._styles.items() if name != replaces}
            self._styles = {**others, style.name: style}  # until the server answers
            self._intents.save(style, replaces)
            self.choose(style.name)
            self.chosen.emit()

    def _remove(self) -> None:
        style = self.style_chosen
        if style is None:
            return
        box = QtWidgets.QMessageBox(self)
        box.setObjectName("layerfusion_delete_style")
        box.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setText(tr("Delete the style “{style}” for all your programs?", style=style.name))
        roles = QtWidgets.QMessageBox.ButtonRole
        delete = box.addButton(tr("Delete"), roles.DestructiveRole)
        box.addButton(tr("Cancel"), roles.RejectRole)
        delete.clicked.connect(self._guarded(lambda: self._drop(style.name)))
        box.open()

    def _drop(self, name: str) -> None:
        self._intents.delete(name)
        self.choose(None)
        self.chosen.emit()
