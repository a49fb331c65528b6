"""The dialog in which a style is made or changed."""

from __future__ import annotations

import re

from . import layout
from .protocol.errors import ProtocolError
from .protocol.messages import Style, StyleLora, Welcome
from .qt import QtCore, QtWidgets
from .text import PRESETS
from .translation import tr
from .widgets import Notice, PromptField

_LORA = re.compile(r"(?P<name>[^<>:]+?)(?:\s*:\s*(?P<weight>-?\d+(?:[.,]\d+)?))?")


class StyleDialog(QtWidgets.QDialog):
    """Shows a style in fields. `style` is what was entered, after it was accepted.

    Args:
        parent: the docker.
        title: the title of the dialog.
        style: what the fields hold at first.
        welcome: the server, whose models and samplers are offered.
        taken: the names that other styles have.
    """

    def __init__(
        self,
        parent: QtWidgets.QWidget,
        title: str,
        style: Style | None,
        welcome: Welcome,
        taken: tuple[str, ...],
    ) -> None:
        super().__init__(parent)
        self.style_made: Style | None = None
        self._taken = taken
        self.setWindowTitle(title)
        self.setObjectName("layerfusion_style")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
        self._name = QtWidgets.QLineEdit()
        self._name.setMaxLength(80)
        self._model = _choice([(model.title, model.name) for model in welcome.models])
        self._preset = _choice([(tr(words), name) for words, name, _ in PRESETS if name is not None])
        self._sampler = _choice([(name, name) for name in _samplers(welcome)])
        self._prompt = PromptField(2, tr("What is added to every prompt, such as “ink drawing, thin lines”"))
        self._negative = PromptField(2, tr("What is added to every negative prompt"))
        self._loras = PromptField(2, tr("LoRAs that the server has, one on each line, such as “ink: 0.7”"))
        self._notice = Notice()
        buttons = QtWidgets.QDialogButtonBox()
        kinds = QtWidgets.QDialogButtonBox.ButtonRole
        buttons.addButton(tr("Save"), kinds.AcceptRole)
        buttons.addButton(tr("Cancel"), kinds.RejectRole)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        column = QtWidgets.QVBoxLayout(self)
        for label, field in (
            (tr("Name"), self._name),
            (tr("Model"), self._model),
            (tr("Preset"), self._preset),
            (tr("Sampler"), self._sampler),
            (tr("Style prompt"), self._prompt),
            (tr("Negative"), self._negative),
            (tr("LoRAs"), self._loras),
        ):
            column.addWidget(layout.labelled(label, field))
        column.addWidget(self._notice)
        column.addWidget(buttons)
        self.setMinimumWidth(360)
        if style is not None:
            self._fill(style)

    def _fill(self, style: Style) -> None:
        self._name.setText(style.name if style.name != UNNAMED else "")
        for choice, value in ((self._model, style.model), (self._preset, style.preset), (self._sampler, style.sampler)):
            if value is not None and choice.findData(value) < 0:
                choice.addItem(value, value)  # another server has it; saving must not lose it
            choice.setCurrentIndex(max(0, choice.findData(value)))
        self._prompt.setPlainText(style.prompt)
        self._negative.setPlainText(style.negative_prompt)
        self._loras.setPlainText("\n".join(f"{lora.name}: {lora.weight:g}" for lora in style.loras))

    def _accept(self) -> None:
        name = " ".join(self._name.text().split())
        if not name:
            self._notice.show_words(tr("The style has no name."), "", warning=True)
        elif name in self._taken:
            self._notice.show_words(tr("There is a style “{style}” already.", style=name), "", warning=True)
        else:
            try:
                self.style_made = self._entered(name)
            except (ProtocolError, ValueError) as error:
                self._notice.show_words(str(error), "", warning=True)
                return
            self.accept()

    def _entered(self, name: str) -> Style:
        """
        Raises:
            ProtocolError, ValueError: a field holds what a style cannot have.
        """
        return Style(
            name=name,
            model=self._model.currentData(),
            preset=self._preset.currentData(),
            sampler=self._sampler.currentData(),
            prompt=self._prompt.toPlainText().strip(),
            negative_prompt=self._negative.toPlainText().strip(),
            loras=tuple(_lora(line) for line in self._loras.toPlainText().splitlines() if line.strip()),
        )


UNNAMED = "-"
"""The name of a style that has none yet."""


def _lora(line: str) -> StyleLora:
    """
    Raises:
        ValueError: a line is not a name and a weight.
    """
    match = _LORA.fullmatch(line.strip())
    if match is None:
        raise ValueError(tr("“{line}” is no LoRA; write its name, a colon and its weight.", line=line.strip()))
    return StyleLora(name=match["name"], weight=float((match["weight"] or "1").replace(",", ".")))


def _choice(values: list[tuple[str, str]]) -> QtWidgets.QComboBox:
    choice = QtWidgets.QComboBox()
    choice.addItem(tr("not set by the style"), None)
    for words, value in values:
        choice.addItem(words, value)
    return choice


def _samplers(welcome: Welcome) -> list[str]:
    return list(dict.fromkeys(name for model in welcome.models for name in model.samplers))
