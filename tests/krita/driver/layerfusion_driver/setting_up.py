"""Scenarios about the settings dialog, the language, styles, and prompts that are completed."""

import json
import os
from pathlib import Path

from krita import Krita

from .documents import close, draw, layer_of, new_document
from .hands import (
    FOREGROUND,
    docker,
    docker_texts,
    field,
    pause,
    photograph,
    pick_button,
    press,
    qwindow,
    save_next_dialog_as,
    script_errors,
    set_steps,
    type_prompts,
    wait_until,
)
from .qt import QtCore, QtTest, QtWidgets

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
    yield from wait_until(lambda: window("layerfusion_settings") is not None, 5)


def tested(dialog):
    """Press Test, and return what the dialog says then."""
    test = next(each for each in dialog.findChildren(QtWidgets.QPushButton) if plain(each) == "Test")
    test.click()
    yield from wait_until(test.isEnabled, 30)
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


def prompts_box(dialog):
    boxes = dialog.findChildren(QtWidgets.QCheckBox)
    return next(each for each in boxes if plain(each).startswith("Write prompts"))


def leave_prompts_out_of_files(folder):
    """The artist unticks that exported files say the prompts."""
    document = yield from new_document("Silent", SMALL)
    yield from draw(document, "Generate")
    facts = {}
    for words in (True, False):
        yield from settings()
        dialog = window("layerfusion_settings")
        box = prompts_box(dialog)
        box.setChecked(words)
        click(dialog, "Save")
        path = folder / f"{words}-{OUT}"
        save_next_dialog_as(path)
        press("Export PSD…")
        yield from wait_until(path.exists)
        facts[str(words)] = FOREGROUND.encode() in path.read_bytes()
    os.environ["LAYERFUSION_NO_PROMPTS"] = "1"
    yield from settings()
    dialog = window("layerfusion_settings")
    box = prompts_box(dialog)
    facts["forbidden"] = [box.isChecked(), box.isEnabled()]
    click(dialog, "Cancel")
    del os.environ["LAYERFUSION_NO_PROMPTS"]
    yield from settings()
    dialog = window("layerfusion_settings")
    prompts_box(dialog).setChecked(True)
    click(dialog, "Save")
    yield from close(document)
    return facts


def pressed(document, text):
    """Press a button in another language, and return the group that it adds."""
    count = len(document.rootNode().childNodes())
    click(docker(), text)
    yield from wait_until(lambda: len(document.rootNode().childNodes()) > count)
    yield from pause(0.5)
    return document.rootNode().childNodes()[-1]


def choose_language(name, save, title):
    yield from settings(title)
    dialog = window("layerfusion_settings")
    languages = dialog.findChild(QtWidgets.QComboBox, "layerfusion_language")
    languages.setCurrentIndex(languages.findText(name))
    click(dialog, save)
    yield from pause(0.5)


def width_needed():
    """The least width in which all of the docker's fields are in sight."""
    areas = [each for each in docker().findChildren(QtWidgets.QScrollArea) if each.isVisible()]
    scrolled = next(each for each in areas if each.widget().findChild(QtWidgets.QPlainTextEdit))
    return scrolled.widget().minimumSizeHint().width() + scrolled.verticalScrollBar().sizeHint().width()


def work_in_other_languages(folder):
    """The artist draws in English, goes on in German, and somebody else goes on in Japanese."""
    document = yield from new_document("Sprachen", SMALL)
    yield from draw(document, "Generate")
    facts = {}
    yield from choose_language("Deutsch", "Save", "Settings…")
    facts["prompts stay"] = [
        each.toPlainText() for each in docker().findChildren(QtWidgets.QPlainTextEdit) if each.isVisible()
    ]
    facts["buttons"] = [each.text() for each in docker().findChildren(QtWidgets.QPushButton) if each.isVisible()]
    facts["widths"] = [width_needed()]
    facts["texts"] = docker_texts()
    facts["actions"] = [Krita.instance().action(f"layerfusion_{name}").text() for name in ("generate", "show")]
    yield from wait_until(lambda: pick_button("foreground").text().startswith("Vordergrund"), 5)
    facts["english group"] = [pick_button(role).text() for role in ("foreground", "background")]
    group = yield from pressed(document, "Neuer Hintergrund")
    facts["german layers"] = [node.name() for node in group.childNodes()]
    facts["kept"] = layer_of(group, "Foreground") is not None
    whole = yield from pressed(document, "Generieren")
    facts["all german"] = [node.name() for node in whole.childNodes()]
    qwindow().setGeometry(0, 0, 1280, 800)
    yield from photograph(folder / "german.png")
    qwindow().setGeometry(0, 0, 1600, 1000)
    stranger = yield from new_document("別の人", SMALL)  # it has the layers without our records
    stranger.rootNode().addChildNode(whole.duplicate(), None)
    yield from choose_language("日本語", "Speichern", "Einstellungen…")
    yield from pause(0.5)
    facts["widths"].append(width_needed())
    facts["japanese"] = [pick_button(role).text() for role in ("foreground", "background")]
    yield from photograph(folder / "japanese.png")
    yield from choose_language("简体中文", "保存", "設定…")
    copy = stranger.rootNode().childNodes()[-1]
    copy.setName("x + y 的副本")
    facts["widths"].append(width_needed())
    facts["chinese"] = [pick_button(role).text() for role in ("foreground", "background")]
    yield from photograph(folder / "chinese.png")
    yield from close(stranger)
    yield from choose_language("English", "保存", "设置…")
    facts["back"] = "Ready" in docker_texts()
    facts["errors"] = script_errors()
    yield from close(document)
    return facts


def style_menu(text):
    button = docker().findChild(QtWidgets.QToolButton, "layerfusion_style_menu")
    next(action for action in button.menu().actions() if action.text() == text).trigger()


def styles():
    choice = docker().findChild(QtWidgets.QComboBox, "layerfusion_styles")
    return [choice.itemText(index) for index in range(choice.count())], choice.currentText()


def draw_in_a_style(folder):
    """The artist makes a style, draws in it, changes its name, chooses none, and deletes it."""
    document = yield from new_document("Styled", SMALL)
    set_steps(2)
    yield from wait_until(lambda: docker().findChild(QtWidgets.QComboBox, "layerfusion_styles").isVisible(), 10)
    facts = {"at first": styles()}
    style_menu("New style…")
    dialog = window("layerfusion_style")
    click(dialog, "Save")
    facts["without a name"] = texts_of(dialog)[-1]
    dialog.findChild(QtWidgets.QLineEdit).setText("Ink  wash")
    fields = dialog.findChildren(QtWidgets.QPlainTextEdit)
    next(each for each in fields if "added to every prompt" in each.toolTip()).setPlainText("at night")
    next(each for each in fields if "added to every negative" in each.toolTip()).setPlainText("fog")
    loras = next(each for each in fields if each.toolTip().startswith("LoRAs"))
    loras.setPlainText("<ink>")
    click(dialog, "Save")
    facts["wrong lora"] = texts_of(dialog)[-1]
    loras.setPlainText("")
    preset = next(each for each in dialog.findChildren(QtWidgets.QComboBox) if each.findText("Fast") >= 0)
    preset.setCurrentIndex(preset.findText("Fast"))
    yield from photograph(folder / "style.png")
    click(dialog, "Save")
    yield from pause(0.3)
    facts["made"] = styles()
    facts["preset"] = next(
        each.currentText() for each in docker().findChildren(QtWidgets.QComboBox) if each.findText("Balanced") >= 0
    )
    yield from photograph(folder / "styles.png")
    group = yield from draw(document, "Generate")
    record = next(
        json.loads(bytes(document.annotation(key)))
        for key in document.annotationTypes()
        if key.startswith("layerfusion/")
    )
    facts["group"] = group.name()
    models = next(each for each in docker().findChildren(QtWidgets.QComboBox) if each.findData("tiny") >= 0)
    facts["model picture"] = not models.itemIcon(models.findData("tiny")).isNull()
    facts["own words"] = [record["foreground"], record["style"]]
    facts["asked for"] = [record["submit"]["foregrounds"][0]["prompt"], record["submit"]["preset"]]
    facts["negative"] = record["submit"]["background"]["negative_prompt"]
    yield from draw(document, "Again")
    newest = max(
        (
            json.loads(bytes(document.annotation(key)))
            for key in document.annotationTypes()
            if key.startswith("layerfusion/")
        ),
        key=lambda each: each["made"],
    )
    facts["again"] = [newest["submit"]["foregrounds"][0]["prompt"], newest["foreground"]]
    style_menu("Change this style…")
    dialog = window("layerfusion_style")
    dialog.findChild(QtWidgets.QLineEdit).setText("Wash")
    click(dialog, "Save")
    yield from pause(0.5)
    facts["renamed"] = styles()
    style_menu("Delete this style")
    box = window("layerfusion_delete_style")
    click(box, "Cancel")
    yield from pause(0.3)
    facts["kept"] = styles()
    style_menu("Delete this style")
    click(window("layerfusion_delete_style"), "Delete")
    yield from pause(0.5)
    facts["deleted"] = styles()
    preset = next(each for each in docker().findChildren(QtWidgets.QComboBox) if each.findText("Balanced") >= 0)
    preset.setCurrentIndex(0)
    facts["errors"] = script_errors()
    yield from close(document)
    return facts


def complete_a_prompt(folder):
    """The artist types the beginning of a phrase, takes a completion, and takes an earlier prompt from the menu."""
    document = yield from new_document("Typed", SMALL)
    set_steps(2)
    yield from draw(document, "Generate")
    prompt = field(QtWidgets.QPlainTextEdit, "What is in the foreground")
    prompt.setPlainText("")
    qwindow().activateWindow()
    prompt.setFocus()
    yield from pause(0.2)
    QtTest.QTest.keyClicks(prompt, "a re")
    yield from wait_until(lambda: window("layerfusion_completions_foreground") is not None, 5)
    popup = window("layerfusion_completions_foreground")
    assert isinstance(popup, QtWidgets.QAbstractItemView)
    model = popup.model()
    facts = {"offered": [model.index(row, 0).data() for row in range(model.rowCount())]}
    yield from photograph(folder / "completion.png")
    QtTest.QTest.keyClick(popup, QtCore.Qt.Key.Key_Down)
    QtTest.QTest.keyClick(popup, QtCore.Qt.Key.Key_Return)
    yield from pause(0.2)
    facts["completed"] = prompt.toPlainText()
    prompt.setPlainText("something else")
    prompt.customContextMenuRequested.emit(prompt.rect().center())
    yield from pause(0.3)
    menu = QtWidgets.QApplication.activePopupWidget()
    earlier = next(action.menu() for action in menu.actions() if action.text() == "Earlier prompts")
    facts["earlier"] = [action.text() for action in earlier.actions() if action.text()]
    next(action for action in earlier.actions() if action.text() == FOREGROUND).trigger()
    menu.close()
    facts["used"] = prompt.toPlainText()
    facts["errors"] = script_errors()
    type_prompts()
    yield from close(document)
    return facts


def walk_through_the_fields_with_tab(folder):
    """The Tab key goes through the docker from the top to the bottom."""
    document = yield from new_document("Tabs", SMALL)
    qwindow().activateWindow()
    first = field(QtWidgets.QPlainTextEdit, "What is in the foreground")
    first.setFocus()
    yield from pause(0.2)
    places, seen = [], set()
    while id(widget := QtWidgets.QApplication.focusWidget()) not in seen and len(places) < 60:
        seen.add(id(widget))
        if not docker().isAncestorOf(widget):
            break
        place = widget.mapTo(docker(), widget.rect().topLeft())
        places.append([type(widget).__name__, widget.toolTip().split("\n")[0], place.x(), place.y()])
        QtTest.QTest.keyClick(widget, QtCore.Qt.Key.Key_Tab)
        yield from pause(0.02)
    yield from close(document)
    return {"places": places}


def themes():
    """The actions of Krita's menu of themes, by name."""
    menu = Krita.instance().action("theme_menu").menu()
    menu.aboutToShow.emit()  # Krita fills it only now
    return {action.text().replace("&", ""): action for action in menu.actions() if action.text()}


def brightness_of_icons():
    """How bright the icons beside the seed are, from 0 to 255: the lock is Krita's, the die is drawn."""
    found = []
    for description in ("Keep this seed", "Choose another seed"):
        image = next(each for each in docker().findChildren(QtWidgets.QToolButton) if each.toolTip() == description)
        pixels = image.icon().pixmap(22, 22).toImage()
        solid = [
            pixels.pixelColor(x, y).lightness()
            for x in range(pixels.width())
            for y in range(pixels.height())
            if pixels.pixelColor(x, y).alpha() > 128
        ]
        found.append(round(sum(solid) / len(solid)))
    return found


def work_in_a_light_theme(folder):
    """The artist changes Krita's theme. Icons and words can be seen before and after."""
    document = yield from new_document("Themes", SMALL)
    qwindow().setGeometry(0, 0, 1280, 800)
    yield from draw(document, "Generate")
    facts = {"themes": sorted(themes()), "dark": brightness_of_icons()}
    text = field(QtWidgets.QPlainTextEdit, "What is in the foreground").toPlainText()
    before = next(name for name in sorted(themes()) if "dark" in name.lower())
    light = next(name for name in sorted(themes()) if "bright" in name.lower())
    themes()[light].trigger()
    yield from pause(1)
    facts["light"] = brightness_of_icons()
    facts["text stays"] = field(QtWidgets.QPlainTextEdit, "What is in the foreground").toPlainText() == text
    facts["history"] = docker().findChild(QtWidgets.QListWidget, "layerfusion_history").count()
    yield from photograph(folder / "light.png")
    yield from settings()
    yield from photograph(folder / "light-settings.png")
    click(window("layerfusion_settings"), "Cancel")
    themes()[before].trigger()
    yield from pause(1)
    facts["dark again"] = brightness_of_icons()
    yield from photograph(folder / "dark.png")
    qwindow().setGeometry(0, 0, 1600, 1000)
    facts["errors"] = script_errors()
    yield from close(document)
    return facts


ALL = [
    try_servers_in_the_settings,
    leave_prompts_out_of_files,
    work_in_other_languages,
    draw_in_a_style,
    complete_a_prompt,
    walk_through_the_fields_with_tab,
    work_in_a_light_theme,
]
