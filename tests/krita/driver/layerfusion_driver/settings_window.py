"""Scenarios about the settings dialog, and what a person does in it."""

import json
import os
from pathlib import Path

from .documents import close, draw, generate, new_document, tree
from .hands import (
    FOREGROUND,
    button,
    docker,
    docker_texts,
    pause,
    photograph,
    press,
    save_next_dialog_as,
    says,
    script_errors,
    wait_until,
)
from .qt import QtWidgets

SMALL = (128, 128)
OUT = "said.psd"


def window(name):
    """The open dialog of a name."""
    windows = QtWidgets.QApplication.topLevelWidgets()
    return next((each for each in windows if each.objectName() == name and each.isVisible()), None)


def plain(widget):
    """The text of a button without the mark of the letter that presses it: Krita adds such marks in dialogs."""
    return widget.text().replace("&", "")


def click(parent, text):
    buttons = parent.findChildren(QtWidgets.QAbstractButton)
    wanted = [each for each in buttons if plain(each) == text]
    assert wanted, f"{text}: {[plain(each) for each in buttons]}"
    wanted[0].click()


def texts_of(parent):
    return [label.text() for label in parent.findChildren(QtWidgets.QLabel) if label.isVisible() and label.text()]


def settings(title="Settings…"):
    next(each for each in docker().findChildren(QtWidgets.QToolButton) if each.toolTip() == title).click()
    yield from wait_until(lambda: window("layerfusion_settings") is not None)


def tested(dialog):
    """Press Test, and return what the dialog says then."""
    test = next(each for each in dialog.findChildren(QtWidgets.QPushButton) if plain(each) == "Test")
    test.click()
    yield from wait_until(test.isEnabled)
    return texts_of(dialog)[-1]


def type_address(dialog, address, token):
    lines = dialog.findChildren(QtWidgets.QLineEdit)
    next(each for each in lines if "address of the server" in each.toolTip()).setText(address)
    next(each for each in lines if "keep it secret" in each.toolTip()).setText(token)


def try_servers_in_the_settings(folder):
    """The artist tests the server of this computer, and addresses at which there is none, or another token."""
    server = json.loads(Path(os.environ["LAYERFUSION_RUNTIME"]).read_text())
    facts = {}
    yield from settings()
    dialog = window("layerfusion_settings")
    facts["here"] = yield from tested(dialog)
    yield from photograph(folder / "settings.png")
    click(dialog, "On another computer")
    cases = (
        ("no address", "studio.example", "secret"),
        ("no token", server["url"], " "),
        ("nobody there", "ws://127.0.0.1:9/", "secret"),
        ("wrong token", server["url"], "secret"),
        ("no computer", "wss://nowhere.invalid:8737/", "secret"),
        ("right", server["url"], server["token"]),
    )
    for case, address, token in cases:
        type_address(dialog, address, token)
        facts[case] = yield from tested(dialog)
    yield from photograph(folder / "settings-elsewhere.png")
    click(dialog, "Save")
    yield from pause(0.2)
    facts["while a server runs here"] = texts_of(dialog)[-1]
    facts["still open"] = dialog.isVisible()
    click(dialog, "Cancel")
    facts["runtime is the same"] = json.loads(Path(os.environ["LAYERFUSION_RUNTIME"]).read_text()) == server
    facts["errors"] = script_errors()
    return facts


def box(dialog, words):
    """The box whose text begins with these words."""
    return next(each for each in dialog.findChildren(QtWidgets.QCheckBox) if plain(each).startswith(words))


def leave_prompts_out_of_files(folder):
    """The artist unticks that exported files say the prompts."""
    document = yield from new_document("Silent", SMALL)
    yield from draw(document, "Generate")
    facts = {}
    for words in (True, False):
        yield from settings()
        dialog = window("layerfusion_settings")
        prompts = box(dialog, "Write prompts")
        prompts.setChecked(words)
        click(dialog, "Save")
        path = folder / f"{words}-{OUT}"
        save_next_dialog_as(path)
        press("Export PSD…")
        yield from wait_until(path.exists)
        facts[str(words)] = FOREGROUND.encode() in path.read_bytes()
    os.environ["LAYERFUSION_NO_PROMPTS"] = "1"
    yield from settings()
    dialog = window("layerfusion_settings")
    prompts = box(dialog, "Write prompts")
    facts["forbidden"] = [prompts.isChecked(), prompts.isEnabled()]
    click(dialog, "Cancel")
    del os.environ["LAYERFUSION_NO_PROMPTS"]
    yield from settings()
    dialog = window("layerfusion_settings")
    box(dialog, "Write prompts").setChecked(True)
    click(dialog, "Save")
    yield from close(document)
    return facts


def start_together_with_krita(folder):
    """Nobody presses Start server; the artist draws, and then does not want that any more."""
    yield from wait_until(lambda: says("Ready"))
    facts = {"texts": docker_texts(), "can start another": button("Start server").isVisible()}
    document = yield from new_document("Together", (128, 128))
    yield from generate(document, steps=2)
    facts["tree"] = tree(document)
    yield from close(document)
    facts["ticked"] = []
    for _ in range(2):
        yield from settings()
        dialog = window("layerfusion_settings")
        start = box(dialog, "Start it together with Krita")
        facts["ticked"].append(start.isChecked())
        start.setChecked(False)
        click(dialog, "Save")
        yield from pause(0.3)
    return facts


ALL = [try_servers_in_the_settings, leave_prompts_out_of_files]
