"""Prompts that are completed while the artist types, and those of earlier pictures."""

from __future__ import annotations

import re
from collections.abc import Callable

from . import preferences
from .qt import QtCore, QtGui, QtWidgets
from .translation import tr
from .widgets import PromptField

SHORTEST = 2
"""Letters after which completions are offered."""
SHOWN = 70
"""Characters of an earlier prompt in the menu."""

_LAST_PHRASE = re.compile(r"[^,\n]*\Z")


class Completion(QtCore.QObject):
    """Completes the phrases of one prompt, and offers earlier prompts in its context menu.

    Args:
        field: the field of the prompt.
        role: whose prompts they are: “foreground” or “background”.
    """

    def __init__(self, field: PromptField, role: str) -> None:
        super().__init__(field)
        self._field = field
        self._role = role
        self._phrases: tuple[str, ...] = ()
        self._model = QtCore.QStringListModel()
        self._completer = QtWidgets.QCompleter(self._model, self)
        self._completer.setWidget(field)
        self._completer.setCaseSensitivity(QtCore.Qt.CaseSensitivity.CaseInsensitive)
        popup = self._completer.popup()
        popup.setObjectName(f"layerfusion_completions_{role}")
        popup.setFrameShape(QtWidgets.QFrame.Shape.Box)  # it has the colour of the field below it
        self._completer.activated.connect(self._insert)
        field.textChanged.connect(self._offer)
        field.setContextMenuPolicy(QtCore.Qt.ContextMenuPolicy.CustomContextMenu)
        field.customContextMenuRequested.connect(self._open_menu)
        field.completes = self._completer.popup().isVisible

    def show_phrases(self, phrases: tuple[str, ...]) -> None:
        """Complete these phrases, which the model knows."""
        self._phrases = phrases

    def remember(self) -> None:
        """The prompt is drawn: it is an earlier one from now on."""
        prompt = self._field.toPlainText().strip()
        if prompt:
            preferences.remember_prompt(self._role, prompt)

    def menu(self) -> QtWidgets.QMenu:
        """The context menu of the field, with the earlier prompts."""
        menu = self._field.createStandardContextMenu()
        earlier = preferences.earlier_prompts(self._role)
        menu.addSeparator()
        inside = menu.addMenu(tr("Earlier prompts"))
        inside.setEnabled(bool(earlier))
        for prompt in earlier:
            line = " ".join(prompt.split())
            words = line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"
            inside.addAction(words.replace("&", "&&")).triggered.connect(self._use(prompt))
        inside.addSeparator()
        inside.addAction(tr("Forget them")).triggered.connect(lambda *_: preferences.forget_prompts(self._role))
        return menu

    def _use(self, prompt: str) -> Callable[..., None]:
        def use(*_: object) -> None:
            cursor = self._field.textCursor()  # so that it can be undone
            cursor.select(QtGui.QTextCursor.SelectionType.Document)
            cursor.insertText(prompt)

        return use

    def _open_menu(self, place: QtCore.QPoint) -> None:
        self._menu = self.menu()  # Qt does not own it
        self._menu.popup(self._field.mapToGlobal(place))

    def _typed(self) -> list[str]:
        """What a completion may begin with: all since the last comma, or the last two words, or the last one."""
        before = self._field.toPlainText()[: self._field.textCursor().position()]
        match = _LAST_PHRASE.search(before)
        phrase = match[0].lstrip() if match else ""
        words = phrase.split(" ")
        starts = [" ".join(words[index:]) for index in range(max(0, len(words) - 3), len(words))]
        return [start for start in dict.fromkeys([phrase, *starts]) if len(start) >= SHORTEST]

    def _offer(self) -> None:
        popup = self._completer.popup()
        if not self._field.hasFocus():
            return
        for start in self._typed():
            known = [each for each in self._known() if each.lower().startswith(start.lower()) and each != start]
            if known:
                self._model.setStringList(known)
                self._completer.setCompletionPrefix(start)
                place = self._field.cursorRect()
                place.setWidth(min(self._field.width(), 260))
                self._completer.complete(place)
                return
        popup.hide()

    def _known(self) -> list[str]:
        return list(dict.fromkeys((*self._phrases, *preferences.earlier_prompts(self._role))))

    def _insert(self, text: str) -> None:
        cursor = self._field.textCursor()
        before = len(self._completer.completionPrefix())
        cursor.movePosition(QtGui.QTextCursor.MoveOperation.Left, QtGui.QTextCursor.MoveMode.KeepAnchor, before)
        cursor.insertText(text)
        self._field.setTextCursor(cursor)
