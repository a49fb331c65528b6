"""Scenarios about the language, styles, prompts that are completed, and themes."""

import json

from krita import Krita

from .documents import close, draw, layer_of, new_document
from .hands import (
    FOREGROUND,
    activate_window,
    docker,
    docker_texts,
    field,
    patiently,
    pause,
    photograph,
    pick_button,
    qwindow,
    script_errors,
    set_steps,
    type_prompts,
    wait_until,
)
from .qt import QtCore, QtTest, QtWidgets
from .settings_window import click, settings, texts_of, window

SMALL = (128, 128)


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
    yield from wait_until(lambda: pick_button("foreground").text().startswith("Vordergrund"))
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
    yield from patiently(lambda: pick_button("foreground").text().startswith("前景: Vordergrund"))
    facts["japanese"] = [pick_button(role).text() for role in ("foreground", "background")]
    yield from photograph(folder / "japanese.png")
    yield from choose_language("简体中文", "保存", "設定…")
    copy = stranger.rootNode().childNodes()[-1]
    copy.setName("x + y 的副本")
    facts["widths"].append(width_needed())
    yield from patiently(lambda: pick_button("foreground").text().startswith("前景: Vordergrund"))
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


def usual_steps():
    """What the field of the steps says if none are chosen."""
    return field(QtWidgets.QSpinBox, "Number of drawing steps").specialValueText()


def draw_in_a_style(folder):
    """The artist makes a style, draws in it, changes its name, chooses none, and deletes it."""
    document = yield from new_document("Styled", SMALL)
    set_steps(2)
    yield from wait_until(lambda: docker().findChild(QtWidgets.QComboBox, "layerfusion_styles").isVisible())
    facts = {"at first": styles(), "steps": [usual_steps()]}
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
    facts["steps"].append(usual_steps())
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
    yield from activate_window()
    prompt.setFocus()
    yield from patiently(prompt.hasFocus)
    QtTest.QTest.keyClicks(prompt, "a re")
    yield from wait_until(lambda: window("layerfusion_completions_foreground") is not None)
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
    yield from wait_until(lambda: QtWidgets.QApplication.activePopupWidget() is not None)
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
    yield from activate_window()
    first = field(QtWidgets.QPlainTextEdit, "What is in the foreground")
    first.setFocus()
    yield from patiently(first.hasFocus)
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
    yield from wait_until(lambda: max(brightness_of_icons()) < 128)
    facts["light"] = brightness_of_icons()
    facts["text stays"] = field(QtWidgets.QPlainTextEdit, "What is in the foreground").toPlainText() == text
    facts["history"] = docker().findChild(QtWidgets.QListWidget, "layerfusion_history").count()
    yield from photograph(folder / "light.png")
    yield from settings()
    yield from photograph(folder / "light-settings.png")
    click(window("layerfusion_settings"), "Cancel")
    themes()[before].trigger()
    yield from wait_until(lambda: min(brightness_of_icons()) > 128)
    facts["dark again"] = brightness_of_icons()
    yield from photograph(folder / "dark.png")
    qwindow().setGeometry(0, 0, 1600, 1000)
    facts["errors"] = script_errors()
    yield from close(document)
    return facts


ALL = [
    work_in_other_languages,
    draw_in_a_style,
    complete_a_prompt,
    walk_through_the_fields_with_tab,
    work_in_a_light_theme,
]
