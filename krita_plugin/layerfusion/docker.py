"""The docker with its fields and buttons. All decisions are in the controller."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from krita import DockWidget, Krita

from . import document, launcher
from .controller import Controller
from .images import Picture
from .interfaces import GenerationParams
from .job_store import JobStore
from .protocol.messages import MAX_VARIANTS, Welcome
from .qt import Mailbox, QtCore, QtGui, QtWidgets, guarded
from .server_link import ServerLink
from .text import PRESETS
from .widgets import Fold, Notice, NoticeList, PercentSlider, PreviewBox, PromptField, StateLine, die_icon

ID = "layerfusion_docker"
TITLE = "LayerFusion"
ROLLED_SEEDS = 2**31
MAX_SEED = 2**53 - 1
STEP_PAUSE = 2
"""Milliseconds between two steps of long work, in which Krita handles what the artist does."""


class Docker(DockWidget):
    """The docker of one Krita window, which is also the controller's `View`."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle(TITLE)
        self._build()
        mailbox = Mailbox(guarded(lambda event: self._controller.receive(event), self.warn))
        link = ServerLink(mailbox.post)
        self._mailbox = mailbox
        self._controller = Controller(self, document, link, mailbox.post, JobStore(), self._later)
        Krita.instance().notifier().setActive(True)
        Krita.instance().notifier().applicationClosing.connect(guarded(lambda _: link.stop(), self.warn))
        self.destroyed.connect(lambda *_: link.stop())
        self.show_server(None, "Looking for the server…")
        self.show_idle()
        self._roll()
        link.start()

    def canvasChanged(self, canvas: object) -> None:
        """Krita calls this when another document is shown, or none; the first time before the controller exists."""
        if canvas is not None and hasattr(self, "_controller"):
            QtCore.QTimer.singleShot(0, guarded(lambda _: self._controller.document_shown(), self.warn))

    # ---- the controller's View ---------------------------------------------------------------------------------------

    def show_server(self, welcome: Welcome | None, words: str, startable: bool = False) -> None:
        self._online = welcome is not None
        self._server.show_state(words, good=self._online)
        self._start_box.setVisible(startable)
        if welcome is not None:
            self._show_models(welcome)
        self._update_buttons()

    def show_job(self, words: str, step: int, total: int) -> None:
        self._busy = True
        self._job_words.setText(words)
        self._bar.setRange(0, total)
        self._bar.setValue(step)
        self._job_box.setVisible(True)
        self._update_buttons()

    def show_idle(self) -> None:
        self._busy = False
        self._job_box.setVisible(False)
        self._preview.clear()
        self._update_buttons()

    def show_preview(self, picture: Picture) -> None:
        self._preview.show_picture(picture)

    def note(self, text: str) -> None:
        self._notices.add(text)

    def say(self, message: str, hint: str = "") -> None:
        self._notice.show_words(message, hint, warning=False)

    def warn(self, message: str, hint: str = "") -> None:
        self._notice.show_words(message, hint, warning=True)

    def ask(self, question: str, accept: str) -> bool:
        box = QtWidgets.QMessageBox(self)
        box.setIcon(QtWidgets.QMessageBox.Icon.Question)
        box.setWindowTitle(TITLE)
        box.setTextFormat(QtCore.Qt.TextFormat.PlainText)  # names of layers may look like HTML
        box.setText(question)
        yes = box.addButton(accept, QtWidgets.QMessageBox.ButtonRole.AcceptRole)
        box.addButton(QtWidgets.QMessageBox.StandardButton.Cancel)
        box.exec()
        return box.clickedButton() is yes

    # ---- buttons -----------------------------------------------------------------------------------------------------

    def _draw(self, intent: Callable[[GenerationParams], None]) -> None:
        """Run the controller's method for one of the buttons that draw."""
        self._notice.clear()
        self._notices.clear()
        if not self._lock.isChecked():
            self._roll()
        intent(self._params())

    def _export(self) -> None:
        self._controller.export_psd(self._choose_path)

    def _choose_path(self, name: str) -> str:
        path, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Export PSD", name, "Photoshop (*.psd)")
        return path

    def _copy_command(self) -> None:
        QtGui.QGuiApplication.clipboard().setText(self._command.text())

    def _roll(self) -> None:
        self._seed.setText(str(random.randrange(ROLLED_SEEDS)))  # noqa: S311 - a seed is no secret

    def _params(self) -> GenerationParams:
        return GenerationParams(
            foreground=self._foreground.toPlainText().strip(),
            background=self._background.toPlainText().strip(),
            negative=self._negative.toPlainText().strip(),
            blended=self._blended.toPlainText().strip(),
            seed=min(int(self._seed.text() or 0), MAX_SEED),
            steps=self._steps.value() or None,
            model=self._model.currentData(),
            strength=self._strength.fraction(),
            preset=self._preset.currentData(),
            pictures=self._pictures.value(),
            in_selection=self._in_selection.isChecked(),
        )

    def _update_buttons(self) -> None:
        ready = self._online and not self._busy
        for button in self._drawing_buttons:
            button.setEnabled(ready)

    def _show_models(self, welcome: Welcome) -> None:
        chosen = self._model.currentData()
        self._model.clear()
        for model in welcome.models:
            self._model.addItem(model.title, model.name)
        self._model.setCurrentIndex(max(0, self._model.findData(chosen)))
        self._model_box.setVisible(len(welcome.models) > 1)
        self._models = {model.name: model for model in welcome.models}
        self._steps.setMaximum(welcome.limits.steps)
        self._pictures.setMaximum(min(1 + MAX_VARIANTS, welcome.limits.waiting_jobs))
        self._show_model()

    def _show_model(self) -> None:
        """Show the chosen model's example prompts and its default number of steps."""
        model = self._models.get(self._model.currentData())
        if model is None:
            return
        self._steps.setSpecialValueText(f"auto ({model.steps})")
        self._server.setToolTip(f"{model.title}\n{model.notice}".strip())
        if model.examples:
            self._foreground.setPlaceholderText(model.examples[0].foreground)
            self._background.setPlaceholderText(model.examples[0].background)

    # ---- layout ------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        content = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(content)
        column.setContentsMargins(8, 6, 8, 8)
        column.setSpacing(6)
        column.addWidget(self._build_server())
        column.addWidget(self._build_prompts())
        column.addWidget(self._build_seed())
        column.addWidget(self._build_advanced())
        column.addWidget(self._build_buttons())
        column.addWidget(self._build_job())
        self._notices = NoticeList()
        column.addWidget(self._notices)
        self._notice = Notice()
        column.addWidget(self._notice)
        column.addStretch(1)
        column.addWidget(self._button("Export PSD…", "Write the selected group of layers to a PSD file", self._export))
        scroll = QtWidgets.QScrollArea()
        scroll.setWidget(content)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.setWidget(scroll)

    def _build_server(self) -> QtWidgets.QWidget:
        self._online = False
        self._models: dict[str, Any] = {}
        self._server = StateLine()
        self._command = QtWidgets.QLineEdit(launcher.as_text(launcher.command()))
        self._command.setReadOnly(True)
        self._command.setToolTip("The command that starts the server, to type in a terminal")
        self._command.setCursorPosition(0)
        copy = self._tool(Krita.instance().icon("edit-copy"), "Copy the command", self._copy_command)
        start = self._button("Start server", "Start the drawing server on this computer", self._start_server)
        self._start_box = _box(start, _row(self._command, copy))
        return _box(self._server, self._start_box)

    def _build_prompts(self) -> QtWidgets.QWidget:
        self._foreground = PromptField(3, "What is in the foreground; the layer is transparent around it")
        self._background = PromptField(3, "What is in the background; the layer fills the canvas")
        self._in_selection = QtWidgets.QCheckBox("Draw the foreground in the selection")
        self._in_selection.setToolTip(
            "Generate and New foreground draw the foreground into the rectangle around the selection"
        )
        return _box(
            _labelled("Foreground", self._foreground), self._in_selection, _labelled("Background", self._background)
        )

    def _build_seed(self) -> QtWidgets.QWidget:
        self._seed = QtWidgets.QLineEdit()
        self._seed.setValidator(QtGui.QRegularExpressionValidator(QtCore.QRegularExpression("[0-9]{0,16}")))
        self._seed.setToolTip("The same seed, prompts and settings give the same picture")
        self._lock = self._tool(Krita.instance().icon("layer-unlocked"), "Keep this seed", self._show_lock)
        self._lock.setCheckable(True)
        dice = self._tool(die_icon(self.palette().color(self.foregroundRole())), "Choose another seed", self._roll)
        return _row(QtWidgets.QLabel("Seed"), self._seed, self._lock, dice, stretch=1)

    def _build_advanced(self) -> QtWidgets.QWidget:
        self._negative = PromptField(2, "What should not appear in the foreground or the background")
        self._blended = PromptField(2, "What the whole picture shows; if empty, it is made from the two prompts")
        self._blended.setPlaceholderText("made from the two prompts")
        self._steps = QtWidgets.QSpinBox()
        self._steps.setToolTip("Number of drawing steps; more steps take longer")
        self._steps.setSpecialValueText("auto")
        self._pictures = QtWidgets.QSpinBox()
        self._pictures.setMinimum(1)
        self._pictures.setToolTip("Number of pictures to draw; each has its own seed and its own group")
        self._preset = QtWidgets.QComboBox()
        self._preset.setToolTip("How closely to follow the published method, and how fast to draw")
        for index, (title, name, description) in enumerate(PRESETS):
            self._preset.addItem(title, name)
            self._preset.setItemData(index, description, QtCore.Qt.ItemDataRole.ToolTipRole)
        self._model = QtWidgets.QComboBox()
        self._model.activated.connect(self._guarded(self._show_model))
        self._model_box = _labelled("Model", self._model)
        self._model_box.setVisible(False)  # until a server offers a choice
        return Fold(
            "Advanced",
            (
                _labelled("Negative", self._negative),
                _labelled("Whole picture", self._blended),
                _grid(
                    (QtWidgets.QLabel("Preset"), self._preset),
                    (QtWidgets.QLabel("Steps"), self._steps),
                    (QtWidgets.QLabel("Pictures"), self._pictures),
                    stretch=(0, 1),
                ),
                self._model_box,
            ),
        )

    def _build_buttons(self) -> QtWidgets.QWidget:
        def button(text: str, description: str, intent: Callable[[GenerationParams], None]) -> QtWidgets.QPushButton:
            return self._button(text, description, lambda: self._draw(intent))

        generate = button(
            "Generate",
            "Draw foreground and background into a new group of layers",
            lambda params: self._controller.generate(params),
        )
        background = button(
            "New background",
            "Keep the selected foreground, or else the last one, and draw another background behind a copy of it",
            lambda params: self._controller.new_background(params),
        )
        foreground = button(
            "New foreground",
            "Keep the selected background, or else the last one, and draw another foreground in front of a copy of it",
            lambda params: self._controller.new_foreground(params),
        )
        harmonise = button(
            "Harmonise",
            "Keep foreground and background, and draw only Shadow, Light and Blended.\n"
            "Use it after you moved the foreground or painted on a layer, or for two layers of your own",
            lambda params: self._controller.harmonise(params),
        )
        relight = button(
            "Relight",
            "Keep the background, and draw over a copy of the foreground, so that its light fits the background",
            lambda params: self._controller.relight(params),
        )
        self._strength = PercentSlider(
            10,
            80,
            30,
            "How much Relight may change: a low value changes light and texture, a high one keeps little but the place",
        )
        self._drawing_buttons = (generate, background, foreground, harmonise, relight)
        rows = (generate,), (background, foreground), (harmonise,), (relight, self._strength)
        return _grid(*rows, stretch=(1, 1))

    def _build_job(self) -> QtWidgets.QWidget:
        self._busy = False
        self._job_words = QtWidgets.QLabel()
        self._job_words.setWordWrap(True)
        self._job_words.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self._bar = QtWidgets.QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(8)
        self._preview = PreviewBox()
        cancel = self._button("Cancel", "Stop drawing", lambda: self._controller.cancel())
        self._job_box = _box(self._job_words, _row(self._bar, cancel, stretch=0), self._preview)
        return self._job_box

    def _later(self, action: Callable[[], None]) -> None:
        QtCore.QTimer.singleShot(STEP_PAUSE, self._guarded(action))

    def _guarded(self, action: Callable[[], object]) -> Callable[[Any], None]:
        return guarded(lambda _: action(), self.warn)

    def _button(self, text: str, description: str, action: Callable[[], object]) -> QtWidgets.QPushButton:
        button = QtWidgets.QPushButton(text)
        button.setToolTip(description)
        button.clicked.connect(self._guarded(action))
        return button

    def _tool(self, icon: QtGui.QIcon, description: str, action: Callable[[], object]) -> QtWidgets.QToolButton:
        button = QtWidgets.QToolButton()
        button.setIcon(icon)
        button.setAutoRaise(True)
        button.setToolTip(description)
        button.setAccessibleName(description)
        button.clicked.connect(self._guarded(action))
        return button

    def _show_lock(self) -> None:
        self._lock.setIcon(Krita.instance().icon("layer-locked" if self._lock.isChecked() else "layer-unlocked"))

    def _start_server(self) -> None:
        self._notice.clear()
        self._controller.start_server()


def _box(*content: QtWidgets.QWidget) -> QtWidgets.QWidget:
    box = QtWidgets.QWidget()
    column = QtWidgets.QVBoxLayout(box)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(4)
    for widget in content:
        column.addWidget(widget)
    return box


def _row(*content: QtWidgets.QWidget, stretch: int | None = None) -> QtWidgets.QWidget:
    """Widgets side by side; the one at index `stretch` takes the remaining width."""
    box = QtWidgets.QWidget()
    row = QtWidgets.QHBoxLayout(box)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(4)
    for index, widget in enumerate(content):
        row.addWidget(widget, int(index == stretch))
    return box


def _grid(*rows: tuple[QtWidgets.QWidget, ...], stretch: tuple[int, int]) -> QtWidgets.QWidget:
    """Two columns, with `stretch` factors for the remaining width; a row with one widget spans both columns."""
    box = QtWidgets.QWidget()
    grid = QtWidgets.QGridLayout(box)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(4)
    for column, part in enumerate(stretch):
        grid.setColumnStretch(column, part)
    for index, row in enumerate(rows):
        for column, widget in enumerate(row):
            grid.addWidget(widget, index, column, 1, 3 - len(row))
    return box


def _labelled(text: str, field: QtWidgets.QWidget) -> QtWidgets.QWidget:
    label = QtWidgets.QLabel(text)
    label.setBuddy(field)
    return _box(label, field)
