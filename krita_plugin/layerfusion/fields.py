"""The docker's fields: prompts, seed and settings, as one value that can be read and shown."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from krita import Krita

from . import layout
from .completion import Completion
from .interfaces import GenerationParams, Region
from .notice_words import in_words
from .other_foregrounds import OtherForegrounds
from .protocol.messages import MAX_VARIANTS, ModelInfo, Style, Welcome
from .qt import QtCore, QtGui, QtWidgets
from .style_row import StyleIntents, StyleRow
from .text import PRESETS
from .translation import tr
from .widgets import Fold, PromptField, die_icon, tool

ROLLED_SEEDS = 2**31
MAX_SEED = 2**53 - 1
MAX_STYLE_TEXT = 4000
MODEL_PICTURE = 40
"""Side of the picture beside a model, in device-independent pixels."""


def rolled_seed() -> int:
    """Another seed."""
    return random.randrange(ROLLED_SEEDS)  # noqa: S311 - a seed is no secret


class Fields(QtWidgets.QWidget):
    """All fields, one below the other.

    Args:
        selected_region: gives the selection; None if the artist was told that there is none.
        style_intents: what is done with styles.
        guarded: makes a Qt slot of an action, and shows what goes wrong in it.
        buttons: what is shown between the prompts and the settings, which are needed less often.
    """

    changed = QtCore.pyqtSignal()
    """The artist has changed a field."""

    def __init__(
        self,
        selected_region: Callable[[], Region | None],
        style_intents: StyleIntents,
        guarded: Callable[[Callable[[], object]], Callable[[Any], None]],
        buttons: QtWidgets.QWidget,
    ) -> None:
        super().__init__()
        self._others = OtherForegrounds(selected_region, guarded)
        self._others.changed.connect(self._tell)
        self._style = StyleRow(style_intents, self._as_style, guarded)
        self._style.chosen.connect(self._take_style)
        self._models: dict[str, ModelInfo] = {}
        self._filling = False
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self._build_prompts())
        column.addWidget(buttons)
        column.addWidget(self._style)
        column.addWidget(self._build_seed())
        column.addWidget(self._build_advanced())
        self.roll()
        for prompt in (self._foreground, self._background, self._negative, self._blended):
            prompt.textChanged.connect(self._tell)
        for number in (self._steps, self._pictures):
            number.valueChanged.connect(self._tell)
        for choice in (self._preset, self._model):
            choice.activated.connect(self._tell)
        self._seed.textEdited.connect(self._tell)
        for box in (self._in_selection, self._background_in_selection):
            box.clicked.connect(self._tell)

    def params(self, strength: float) -> GenerationParams:
        """The values of the fields, with that of the docker's slider."""
        return GenerationParams(
            foreground=self._foreground.toPlainText().strip(),
            background=self._background.toPlainText().strip(),
            negative=self._negative.toPlainText().strip(),
            blended=self._blended.toPlainText().strip(),
            seed=min(int(self._seed.text() or 0), MAX_SEED),
            steps=self._steps.value() or None,
            model=self._model.currentData(),
            strength=strength,
            preset=self._preset.currentData(),
            pictures=self._pictures.value(),
            in_selection=self._in_selection.isChecked(),
            background_in_selection=self._background_in_selection.isChecked(),
            others=self._others.values(),
            style=self._style.name,
        )

    def fill(self, params: GenerationParams) -> None:
        """Show these values. A model that the server does not have leaves the choice as it is."""
        self._filling = True
        try:
            for prompt, text in (
                (self._foreground, params.foreground),
                (self._background, params.background),
                (self._negative, params.negative),
                (self._blended, params.blended),
            ):
                if prompt.toPlainText().strip() != text:  # a field with another text would lose its undo history
                    prompt.setPlainText(text)
            self._seed.setText(str(params.seed))
            self._steps.setValue(params.steps or 0)
            self._pictures.setValue(params.pictures)
            self._preset.setCurrentIndex(max(0, self._preset.findData(params.preset)))
            if self._model.findData(params.model) >= 0:
                self._model.setCurrentIndex(self._model.findData(params.model))
            self._show_model()
            self._in_selection.setChecked(params.in_selection)
            self._background_in_selection.setChecked(params.background_in_selection)
            self._others.fill(params.others)
            self._style.choose(params.style)
        finally:
            self._filling = False

    def roll(self) -> None:
        """Choose another seed."""
        self._seed.setText(str(rolled_seed()))

    def keep_seed(self, seed: int) -> None:
        """Fill in a seed and lock it."""
        self._seed.setText(str(seed))
        self._lock.setChecked(True)
        self._show_lock()

    def roll_unless_locked(self) -> None:
        if not self._lock.isChecked():
            self.roll()

    def show_models(self, welcome: Welcome) -> None:
        """Offer the models of a server."""
        chosen = self._model.currentData()
        self._model.clear()
        for model in welcome.models:
            self._model.addItem(model.title, model.name)
        self._model.setCurrentIndex(max(0, self._model.findData(chosen)))
        self._model_box.setVisible(len(welcome.models) > 1)
        self._models = {model.name: model for model in welcome.models}
        self._steps.setMaximum(welcome.limits.steps)
        self._others.limit(welcome.limits.foregrounds - 1)
        self._pictures.setMaximum(min(1 + MAX_VARIANTS, welcome.limits.waiting_jobs))
        self._style.show_server(welcome)
        self._show_model()

    def show_styles(self, styles: tuple[Style, ...] | None) -> None:
        """Offer the styles that the server keeps."""
        self._style.show_styles(styles)

    def show_model_pictures(self, pictures: Mapping[str, QtGui.QIcon]) -> None:
        """Show beside each model a picture that it drew: name of the model -> picture."""
        for index in range(self._model.count()):
            self._model.setItemIcon(index, pictures.get(self._model.itemData(index), QtGui.QIcon()))

    def remember_prompts(self) -> None:
        """The prompts are drawn: offer them from now on."""
        for completion in self._completions:
            completion.remember()

    def about_model(self) -> str:
        """Title and limitations of the chosen model; empty before a server was there."""
        model = self._models.get(self._model.currentData())
        return "" if model is None else f"{model.title}\n{in_words(model.notice, model.notice_sentences)}".strip()

    def _tell(self, *_: object) -> None:
        if not self._filling:
            self.changed.emit()

    def _show_model(self, *_: object) -> None:
        """Show the chosen model's example prompts and its default number of steps."""
        model = self._models.get(self._model.currentData())
        if model is None:
            return
        usual = self._preset.currentData() is None  # the presets have numbers of their own, which the server knows
        self._steps.setSpecialValueText(tr("auto ({steps})", steps=model.steps) if usual else tr("auto"))
        if model.examples:
            self._foreground.setPlaceholderText(model.examples[0].foreground)
            self._background.setPlaceholderText(model.examples[0].background)
        phrases = tuple(phrase for each in model.vocabulary for phrase in each.phrases)
        for completion in self._completions:
            completion.show_phrases(phrases)

    def _as_style(self) -> dict[str, Any]:
        """What a new style begins with."""
        negative = self._negative.toPlainText().strip()
        chosen = {"model": self._model.currentData(), "preset": self._preset.currentData()}
        return {**chosen, "negative_prompt": negative[:MAX_STYLE_TEXT]}

    def _take_style(self) -> None:
        """A style was chosen: choose its model and its preset."""
        style = self._style.style_chosen
        if style is not None:
            for choice, value in ((self._model, style.model), (self._preset, style.preset)):
                if value is not None and choice.findData(value) >= 0:
                    choice.setCurrentIndex(choice.findData(value))
            self._show_model()
        self._tell()

    def _show_lock(self) -> None:
        self._lock.setIcon(Krita.instance().icon("layer-locked" if self._lock.isChecked() else "layer-unlocked"))

    def _build_prompts(self) -> QtWidgets.QWidget:
        self._foreground = PromptField(2, tr("What is in the foreground; the layer is transparent around it"))
        self._background = PromptField(2, tr("What is in the background; the layer fills the canvas"))
        self._completions = Completion(self._foreground, "foreground"), Completion(self._background, "background")
        self._in_selection = QtWidgets.QCheckBox(tr("Draw the foreground in the selection"))
        self._in_selection.setToolTip(
            tr("Generate and New foreground draw the foreground so small that it fits into the selection")
        )
        self._background_in_selection = QtWidgets.QCheckBox(tr("Change the background in the selection"))
        self._background_in_selection.setToolTip(
            tr("New background keeps the background too, except where it is selected; the selection may have any shape")
        )
        title = QtWidgets.QLabel(tr("Foreground"))
        title.setBuddy(self._foreground)
        prompts = layout.box(
            layout.row(title, self._others.add, stretch=0),
            self._foreground,
            self._in_selection,
            self._others,
            layout.labelled(tr("Background"), self._background),
            self._background_in_selection,
        )
        QtWidgets.QWidget.setTabOrder(self._in_selection, self._others.add)
        return prompts

    def _build_seed(self) -> QtWidgets.QWidget:
        self._seed = QtWidgets.QLineEdit()
        self._seed.setValidator(QtGui.QRegularExpressionValidator(QtCore.QRegularExpression("[0-9]{0,16}")))
        self._seed.setToolTip(tr("The same seed, prompts and settings give the same picture"))
        self._lock = tool(Krita.instance().icon("layer-unlocked"), tr("Keep this seed"), lambda *_: self._show_lock())
        self._lock.setCheckable(True)
        colour = self.palette().color(self.foregroundRole())
        dice = tool(die_icon(colour), tr("Choose another seed"), lambda *_: self.roll())
        return layout.row(QtWidgets.QLabel(tr("Seed")), self._seed, self._lock, dice, stretch=1)

    def _build_advanced(self) -> QtWidgets.QWidget:
        self._negative = PromptField(2, tr("What should not appear in the foreground or the background"))
        self._blended = PromptField(2, tr("What the whole picture shows; if empty, it is made from the two prompts"))
        self._blended.setPlaceholderText(tr("made from the two prompts"))
        self._steps = QtWidgets.QSpinBox()
        self._steps.setToolTip(tr("Number of drawing steps; more steps take longer"))
        self._steps.setSpecialValueText(tr("auto"))
        self._pictures = QtWidgets.QSpinBox()
        self._pictures.setMinimum(1)
        self._pictures.setToolTip(tr("Number of pictures to draw; each has its own seed"))
        self._preset = QtWidgets.QComboBox()
        self._preset.setToolTip(tr("How closely to follow the published method, and how fast to draw"))
        for index, (title, name, description) in enumerate(PRESETS):
            self._preset.addItem(tr(title), name)
            self._preset.setItemData(index, tr(description), QtCore.Qt.ItemDataRole.ToolTipRole)
        self._model = QtWidgets.QComboBox()
        self._model.setIconSize(QtCore.QSize(MODEL_PICTURE, MODEL_PICTURE))
        for choice in (self._preset, self._model):
            choice.activated.connect(self._show_model)
        self._model_box = layout.labelled(tr("Model"), self._model)
        self._model_box.setVisible(False)  # until a server offers a choice
        return Fold(
            tr("Advanced"),
            (
                layout.labelled(tr("Negative"), self._negative),
                layout.labelled(tr("Whole picture"), self._blended),
                layout.grid(
                    (QtWidgets.QLabel(tr("Preset")), self._preset),
                    (QtWidgets.QLabel(tr("Steps")), self._steps),
                    (QtWidgets.QLabel(tr("Pictures")), self._pictures),
                    stretch=(0, 1),
                ),
                self._model_box,
            ),
        )
