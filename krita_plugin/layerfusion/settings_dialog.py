"""The dialog with the plugin's settings: the server, the language, and what exported files say."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from . import launcher, layout, preferences, server_address
from .protocol import location
from .qt import Mailbox, QtCore, QtWidgets
from .server_address import Answer, Unusable
from .translation import LANGUAGES, tr
from .widgets import Notice, push_button

EXAMPLE = "wss://192.0.2.7:8737/"
"""An address as it may look."""


class SettingsDialog(QtWidgets.QDialog):
    """Saves what was entered when it is accepted.

    Args:
        parent: the docker.
        start_server: starts the server of this computer.
        language_changed: called after another language was chosen.
        guarded: makes a Qt slot of an action, and shows what goes wrong in it.
    """

    def __init__(
        self,
        parent: QtWidgets.QWidget,
        start_server: Callable[[], object],
        language_changed: Callable[[], object],
        guarded: Callable[[Callable[[], object]], Callable[[Any], None]],
    ) -> None:
        super().__init__(parent)
        self._guarded = guarded
        self._start_server = start_server
        self._language_changed = language_changed
        self._mailbox = Mailbox(lambda answer: guarded(lambda: self._show(answer))(None))
        self.setObjectName("layerfusion_settings")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
        self._open = True
        self.finished.connect(self._close)
        self.setWindowTitle(tr("LayerFusion settings"))
        self.setMinimumWidth(420)
        column = QtWidgets.QVBoxLayout(self)
        for box in (self._build_server(), self._build_language(), self._build_files()):
            column.addWidget(box)
        column.addStretch(1)
        buttons = QtWidgets.QDialogButtonBox()
        roles = QtWidgets.QDialogButtonBox.ButtonRole
        buttons.addButton(tr("Save"), roles.AcceptRole)
        buttons.addButton(tr("Cancel"), roles.RejectRole)
        buttons.accepted.connect(guarded(self._save))
        buttons.rejected.connect(self.reject)
        column.addWidget(buttons)
        self._fill()

    # ---- actions -----------------------------------------------------------------------------------------------------

    def _test(self) -> None:
        """Connect to what is entered, on another thread: it may take seconds."""
        try:
            runtime = self._entered()
        except Unusable as error:
            self._show(error.answer)
            return
        self._test_button.setEnabled(False)
        self._answer.show_words(tr("Trying to connect…"), "", warning=False)
        post = self._mailbox.post  # the dialog may be closed before there is an answer

        def work() -> None:
            post(server_address.tried(location.read() if runtime is None else runtime))

        threading.Thread(target=work, name="layerfusion-test", daemon=True).start()

    def _close(self, *_: object) -> None:
        self._open = False

    def _show(self, answer: Answer) -> None:
        if not self._open:
            return
        self._test_button.setEnabled(True)
        self._answer.show_words(answer.words, answer.remedy, warning=not answer.good)

    def _save(self) -> None:
        try:
            runtime = self._entered()
            if runtime is not None or self._was_elsewhere:
                server_address.use(runtime)
        except Unusable as error:
            self._show(error.answer)
            return
        except OSError as error:
            words = tr("“{path}” could not be written.", path=location.path())
            self._show(Answer(False, words, str(error.strerror or error)))
            return
        preferences.set_prompts_in_files(self._prompts.isChecked())
        preferences.set_starts_server(self._starts.isChecked())
        language = self._language.currentData()
        changed = language != preferences.language()
        self.accept()
        if changed:
            preferences.set_language(language)
            self._language_changed()

    def _start(self) -> None:
        self._start_server()
        self._answer.show_words(tr("Starting the server…"), "", warning=False)

    def _entered(self) -> location.Runtime | None:
        """The server on another computer that is entered; None for this computer.

        Raises:
            Unusable: what is entered cannot be used.
        """
        if self._here.isChecked():
            return None
        return server_address.entered(self._address.text(), self._token.text(), self._certificate.text().strip())

    # ---- layout ------------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        runtime = location.read()
        self._was_elsewhere = runtime is not None and runtime.is_elsewhere
        if runtime is not None and self._was_elsewhere:
            self._elsewhere.setChecked(True)
            self._address.setText(runtime.url)
            self._token.setText(runtime.token)
        else:
            self._here.setChecked(True)
        self._show_choice()

    def _show_choice(self, *_: object) -> None:
        self._there.setVisible(self._elsewhere.isChecked())
        self._own.setVisible(self._here.isChecked())
        self._answer.clear()
        self.adjustSize()

    def _build_server(self) -> QtWidgets.QWidget:
        guarded = self._guarded
        self._here = QtWidgets.QRadioButton(tr("On this computer"))
        self._elsewhere = QtWidgets.QRadioButton(tr("On another computer"))
        self._here.toggled.connect(self._show_choice)
        self._starts = QtWidgets.QCheckBox(tr("Start it together with Krita"))
        self._starts.setChecked(preferences.starts_server())
        start = push_button(tr("Start server"), launcher.as_text(launcher.command()), guarded(self._start))
        start.setEnabled(location.read() is None)
        self._own = layout.box(self._starts, layout.row(start, QtWidgets.QLabel(""), stretch=1))
        self._address = QtWidgets.QLineEdit()
        self._address.setPlaceholderText(EXAMPLE)
        self._address.setToolTip(tr("The address of the server, which its owner can tell you"))
        self._token = QtWidgets.QLineEdit()
        self._token.setEchoMode(QtWidgets.QLineEdit.EchoMode.Password)
        self._token.setToolTip(tr("The token that the owner of the server has given you; keep it secret"))
        self._certificate = QtWidgets.QLineEdit()
        self._certificate.setPlaceholderText(tr("none"))
        self._certificate.setToolTip(tr("The server's own certificate, a PEM file, if this computer does not trust it"))
        choose = push_button(tr("Choose…"), tr("Choose a PEM file"), guarded(self._choose_certificate))
        self._there = layout.box(
            layout.labelled(tr("Address"), self._address),
            layout.labelled(tr("Token"), self._token),
            layout.labelled(tr("Certificate"), layout.row(self._certificate, choose, stretch=0)),
        )
        self._test_button = push_button(
            tr("Test"), tr("Connect to the server, and say what is right or wrong"), guarded(self._test)
        )
        self._answer = Notice()
        return _section(
            tr("Server"),
            self._here,
            self._own,
            self._elsewhere,
            self._there,
            layout.row(self._test_button, QtWidgets.QLabel(""), stretch=1),
            self._answer,
        )

    def _choose_certificate(self) -> None:
        chosen, _ = QtWidgets.QFileDialog.getOpenFileName(self, tr("Choose a PEM file"), "", "PEM (*.pem *.crt)")
        if chosen:
            self._certificate.setText(chosen)

    def _build_language(self) -> QtWidgets.QWidget:
        self._language = QtWidgets.QComboBox()
        self._language.setObjectName("layerfusion_language")
        self._language.addItem(tr("Like Krita"), "")
        for code, name in LANGUAGES.items():
            self._language.addItem(name, code)
        self._language.setCurrentIndex(max(0, self._language.findData(preferences.language())))
        self._language.setToolTip(tr("The language of this plugin and of the layers that it adds"))
        return _section(tr("Language"), self._language)

    def _build_files(self) -> QtWidgets.QWidget:
        self._prompts = QtWidgets.QCheckBox(tr("Write prompts and seeds into exported files"))
        self._prompts.setChecked(preferences.prompts_in_files())
        self._prompts.setEnabled(not preferences.prompts_are_forbidden())
        forbidden = tr("The variable {variable} forbids it.", variable=preferences.NO_PROMPTS_VARIABLE)
        self._prompts.setToolTip(
            forbidden
            if preferences.prompts_are_forbidden()
            else tr("An exported PSD then says how it was drawn; that a model has drawn it, it always says")
        )
        return _section(tr("Files"), self._prompts)


def _section(title: str, *content: QtWidgets.QWidget) -> QtWidgets.QGroupBox:
    box = QtWidgets.QGroupBox(title)
    column = QtWidgets.QVBoxLayout(box)
    for widget in content:
        column.addWidget(widget)
    return box
