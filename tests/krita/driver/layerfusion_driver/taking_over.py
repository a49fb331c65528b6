"""Scenarios of an artist who goes on in Krita from a picture that was begun elsewhere."""

import json
import os
import subprocess

from krita import Krita

from .documents import close, draw, group_facts, layer_of, new_document, select, tree, undo_history
from .hands import (
    busy,
    choose_for_picture,
    docker,
    docker_texts,
    field,
    history_texts,
    pause,
    photograph,
    queue,
    seed,
    set_steps,
    tool,
    type_into,
    wait_until,
)
from .processes import slowed_down
from .qt import QtCore, QtTest, QtWidgets
from .settings_window import window

SIZE = (256, 192)
"""Of the picture that is drawn elsewhere."""


def all_pictures():
    return docker().findChild(QtWidgets.QToolButton, "layerfusion_all_pictures")


def browser():
    """The list in the window with all pictures."""
    return window("layerfusion_pictures").findChild(QtWidgets.QListWidget)


def stored():
    """What is said about each picture in that window when the pointer is over it, the newest first."""
    return [browser().item(index).toolTip() for index in range(browser().count())]


def open_browser():
    all_pictures().click()
    yield from wait_until(lambda: window("layerfusion_pictures") is not None and browser().count() > 0)
    yield from pause(0.8)  # until thumbnails are there, for the photograph


def close_browser():
    window("layerfusion_pictures").close()
    yield from wait_until(lambda: window("layerfusion_pictures") is None)


def click_stored(index, count=1):
    browser().scrollToItem(browser().item(index))
    place = browser().visualItemRect(browser().item(index)).center()
    left, none = QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier
    for _ in range(count):
        QtTest.QTest.mouseClick(browser().viewport(), left, none, place)


def groups_of(document):
    return [node for node in document.rootNode().childNodes() if node.type() == "grouplayer"]


def record_of(document, group):
    return json.loads(bytes(document.annotation(f"layerfusion/{group.uniqueId().toString()}")))


def reach(group):
    """Left, top, width and height of the background of a group."""
    bounds = layer_of(group, "Background").bounds()
    return [bounds.x(), bounds.y(), bounds.width(), bounds.height()]


def elsewhere(folder, name, steps):
    """Let the command line draw a lemon into a file of this name."""
    command = [folder / "bin/layerfusion", "generate", "a lemon", "--background", "a forest", "--negative", "rain"]
    command += ["--size", "256x192", "--seed", "77", "--steps", steps, "--server", "local", "--out", folder / name]
    # Krita's Python has paths of its own, which another program must not take over
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def take_a_picture_from_elsewhere(folder):
    """The command line lets the server draw; no document is open. A click makes one, and the artist goes on in it."""
    facts = {"first": [all_pictures().text(), all_pictures().isEnabled()]}
    first = elsewhere(folder, "first.psd", "2")
    yield from wait_until(lambda: first.poll() is not None)  # the server has loaded its model
    with slowed_down():
        other = elsewhere(folder, "elsewhere.psd", "150")
        yield from wait_until(lambda: "Drawing" in "".join(text for text, _ in queue()))
        facts["elsewhere"] = queue()[0][0]
        facts["own"] = busy()
        yield from photograph(folder / "elsewhere.png")
    yield from wait_until(lambda: other.poll() is not None)
    facts["other program"] = other.returncode
    yield from wait_until(lambda: queue() == [])
    yield from open_browser()
    facts["stored"] = stored()
    yield from photograph(folder / "your-pictures.png")
    click_stored(0, 2)  # twice, as some do
    yield from wait_until(lambda: Krita.instance().activeDocument() is not None)
    yield from wait_until(lambda: not busy() and len(history_texts()) == 1)
    yield from pause(0.5)
    document = Krita.instance().activeDocument()
    facts |= {"size": [document.width(), document.height()], "tree": tree(document), "said": docker_texts()}
    (group,) = groups_of(document)
    facts |= {"layers": group_facts(group, SIZE), "collapsed": group.collapsed()}
    facts |= {"record": record_of(document, group), "history": history_texts()}
    facts["marked"] = stored()[0]
    yield from photograph(folder / "taken-over.png")
    yield from close_browser()
    type_into("in the background;", "a night sky with stars")
    second = yield from draw(document, "New background")
    facts["same foreground"] = group_facts(second, SIZE)[1]["sha256"] == group_facts(group, SIZE)[1]["sha256"]
    yield from select(document, layer_of(second, "Foreground"))
    third = yield from draw(document, "Harmonise")
    facts["harmonised"] = [node.name() for node in third.childNodes()]
    choose_for_picture(2, "Draw it again as it is")
    yield from wait_until(lambda: not busy())
    yield from pause(0.4)
    facts["again is the same"] = group_facts(groups_of(document)[-1], SIZE) == group_facts(group, SIZE)
    choose_for_picture(3, "Use its prompts")
    facts["prompts"] = [
        field(QtWidgets.QPlainTextEdit, f"What is in the {place}").toPlainText()
        for place in ("foreground", "background")
    ]
    choose_for_picture(3, "Use its seed")
    facts["seed"] = seed()
    type_into("should not appear", "")
    set_steps(0)
    lock = tool("Keep this seed")
    facts["locked"] = lock.isChecked()
    lock.click()
    yield from close(document)
    return facts


def take_a_picture_into_other_canvases(folder):
    """The picture of the scenario before goes into a canvas of twice its size, and into one of another shape."""
    facts = {}
    for name, size in (("larger", (512, 384)), ("wider", (400, 192))):
        document = yield from new_document(name, size)
        entries = len(undo_history())
        yield from open_browser()
        at = next(index for index, text in enumerate(stored()) if text.startswith("a lemon + a forest"))
        titles = stored()
        click_stored(at)
        yield from wait_until(lambda: not busy() and len(history_texts()) == 1)
        yield from pause(0.5)
        (group,) = groups_of(document)
        facts[name] = {"said": docker_texts(), "reach": reach(group), "entries": len(undo_history()) - entries}
        facts[name]["tree"] = tree(document)
        group.setVisible(False)
        click_stored(at)
        yield from pause(0.5)
        facts[name] |= {"shown": group.visible(), "groups": len(groups_of(document)), "listed": len(titles)}
        yield from photograph(folder / f"taken-into-{name}.png")
        yield from close_browser()
        if name == "wider":
            again = yield from draw(document, "Again")
            facts["again"] = reach(again)
        yield from close(document)
    return facts


ALL = [take_a_picture_from_elsewhere, take_a_picture_into_other_canvases]
