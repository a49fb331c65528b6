"""What a person at the screen does and sees: press, type, wait, look. Nothing here knows the plugin's insides.

What takes time is a generator that yields the seconds until it wants to go on: `yield from pause(1)`. A nested event
loop would be shorter, but inside one Krita puts off what keeps its own layer list up to date.
"""

import hashlib
import os
import subprocess
import time

from krita import Krita
from PyQt5.QtCore import QModelIndex, Qt, QTimer
from PyQt5.QtGui import QContextMenuEvent
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import (
    QApplication,
    QCheckBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QListView,
    QListWidget,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QTextEdit,
    QToolButton,
    QTreeView,
    QWidget,
)

SIZE = (512, 384)
FOREGROUND, BACKGROUND = "a red apple", "a beach at sunset"


def pause(seconds):
    yield seconds


def wait_until(condition, seconds=90):
    """Returns the seconds it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds} s: {docker_texts()}")
        yield 0.02
    return time.monotonic() - began


# ---- the window ------------------------------------------------------------------------------------------------------


def first_look(folder):
    """The window as Krita opens it, on a screen of 1280x800 pixels; the artist has arranged nothing yet."""
    Krita.instance().activeWindow().qwindow().setGeometry(0, 0, 1280, 800)
    yield from pause(0.5)
    yield from photograph(folder / "first-look.png")
    return {
        "visible": docker().isVisible(),
        "size": [docker().width(), docker().height()],
        "in sight": [text for text in ("Generate", "Export PSD…") if in_sight(button(text))],
        "window": [each() for each in (qwindow().width, qwindow().height)],
    }


def qwindow():
    return Krita.instance().activeWindow().qwindow()


def show_window():
    Krita.instance().activeWindow().qwindow().setGeometry(0, 0, 1600, 1000)
    for other in Krita.instance().dockers():
        if other.objectName() in ("PresetDocker", "ColorSelectorNg", "sharedtooldocker"):
            other.setVisible(False)  # room for ours
    docker().setVisible(True)
    docker().raise_()
    window = Krita.instance().activeWindow().qwindow()
    window.resizeDocks([docker()], [320], Qt.Horizontal)
    window.resizeDocks([docker()], [560], Qt.Vertical)
    yield from pause(0.5)


def photograph(path):
    yield from pause(0.3)
    subprocess.run(["import", "-window", "root", str(path)], check=True, timeout=20)


def script_errors():
    """Titles and texts of Krita's dialogs about exceptions in plugins, and of other open error messages."""
    found = []
    for window in QApplication.topLevelWidgets():
        title = f"{type(window).__name__} {window.windowTitle()}"
        if window.isVisible() and ("ExceptHook" in title or "error" in title.lower()):
            found.append(title + "".join(text.toPlainText() for text in window.findChildren(QTextEdit)))
    return found


def quit_krita():
    for document in Krita.instance().documents():
        document.setBatchmode(True)
        document.setModified(False)
        document.close()
    QTimer.singleShot(0, Krita.instance().action("file_quit").trigger)


# ---- the docker ------------------------------------------------------------------------------------------------------


def docker():
    return next(docker for docker in Krita.instance().dockers() if docker.objectName() == "layerfusion_docker")


def docker_texts():
    return [label.text() for label in docker().findChildren(QLabel) if label.isVisible() and label.text()]


def says(words):
    return any(words in text for text in docker_texts())


def button(text):
    return next(button for button in docker().findChildren(QPushButton) if button.text() == text)


def press(text):
    assert button(text).isEnabled() and button(text).isVisible(), f"“{text}” can not be pressed: {docker_texts()}"
    button(text).click()


def tool(description):
    return next(tool for tool in docker().findChildren(QToolButton) if tool.toolTip() == description)


def tick(text):
    next(box for box in docker().findChildren(QCheckBox) if box.text() == text).click()


def type_into(place, text):
    field = next(field for field in docker().findChildren(QPlainTextEdit) if place in field.toolTip())
    field.setPlainText(text)


def type_prompts():
    type_into("in the foreground;", FOREGROUND)
    type_into("in the background;", BACKGROUND)


def wait_for_step(step=1):
    """Wait until a picture is being drawn and has got so far."""
    assert busy(), docker_texts()
    yield from wait_until(lambda: progress() is not None and progress()[0] >= step)


def field(kind, description):
    """The field of a class whose tooltip begins with these words."""
    return next(field for field in docker().findChildren(kind) if field.toolTip().startswith(description))


def set_steps(steps):
    field(QSpinBox, "Number of drawing steps").setValue(steps)


def set_pictures(pictures):
    field(QSpinBox, "Number of pictures").setValue(pictures)


def seed(value=None):
    line = field(QLineEdit, "The same seed")
    if value is not None:
        line.setText(str(value))
    return int(line.text())


def in_sight(widget):
    """Whether all of a widget is on the screen, not scrolled away and not cut off."""
    return widget.isVisible() and widget.visibleRegion().boundingRect().size() == widget.size()


def pick_button(role):
    return docker().findChild(QToolButton, f"layerfusion_{role}")


def choose(role, words):
    """Click on the foreground or background that the docker shows, and on the entry of its menu with these words.

    Returns the texts of the menu's entries.
    """
    entries = []

    def click():
        menu = QApplication.activePopupWidget()
        if menu is None:
            QTimer.singleShot(50, click)
            return
        entries.extend(action.text() for action in menu.actions() if action.text())
        next(action for action in menu.actions() if words in action.text()).trigger()
        menu.close()

    QTimer.singleShot(50, click)
    pick_button(role).showMenu()
    return entries


def history():
    """The row of thumbnails."""
    return docker().findChild(QListWidget, "layerfusion_history")


def history_texts():
    """What is said about each picture of the history when the pointer is over it, the newest first."""
    return [history().item(index).toolTip() for index in range(history().count())] if history().isVisible() else []


def queue():
    """The texts of the rows of the list of waiting pictures, and the buttons of each."""
    widget = docker().findChild(QWidget, "layerfusion_queue")
    if not widget.isVisible():
        return []
    labels = [label for label in widget.findChildren(QLabel) if label.isVisible() and label.text()]
    labels.sort(key=lambda label: label.mapTo(widget, label.rect().topLeft()).y())
    return [(label.text(), label.parentWidget().findChildren(QToolButton)) for label in labels]


def press_in_queue(row, description):
    """Press a button of a waiting picture."""
    next(button for button in queue()[row][1] if button.toolTip() == description).click()


def click_picture(index):
    """Click on a picture of the history; 0 is the newest."""
    history().scrollToItem(history().item(index))
    place = history().visualItemRect(history().item(index)).center()
    QTest.mouseClick(history().viewport(), Qt.LeftButton, Qt.NoModifier, place)


def choose_for_picture(index, words):
    """Open the context menu of a picture of the history, and choose the entry with these words.

    Returns the texts of the menu's entries.
    """
    place = history().visualItemRect(history().item(index)).center()
    event = QContextMenuEvent(QContextMenuEvent.Mouse, place, history().viewport().mapToGlobal(place))
    QApplication.sendEvent(history().viewport(), event)
    menu = QApplication.activePopupWidget()
    entries = [action.text() for action in menu.actions() if action.text()]
    next(action for action in menu.actions() if words in action.text()).trigger()
    menu.close()
    return entries


def busy():
    return button("Cancel").isVisible()


def progress():
    """(step, total) of the progress bar; None if it is hidden or has no total."""
    bar = docker().findChildren(QProgressBar)[0]
    return (bar.value(), bar.maximum()) if bar.isVisible() and bar.maximum() > 0 else None


def preview_size():
    sizes = [label.pixmap().size() for label in docker().findChildren(QLabel) if label.isVisible() and label.pixmap()]
    return [sizes[0].width(), sizes[0].height()] if sizes else None


def save_next_dialog_as(path):
    """Type a path in the next file dialog and accept it."""

    def look():
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, QFileDialog):
            QTimer.singleShot(50, look)
            return
        dialog.findChild(QLineEdit).setText(str(path))
        next(button for button in dialog.findChildren(QPushButton) if button.text() == "&Save").click()

    QTimer.singleShot(50, look)


# ---- documents -------------------------------------------------------------------------------------------------------


def new_document(name, size=SIZE, model="RGBA", depth="U8", profile=""):
    width, height = size
    document = Krita.instance().createDocument(width, height, name, model, depth, profile, 300.0)
    Krita.instance().activeWindow().addView(document)
    yield from wait_until(lambda: Krita.instance().activeDocument() is not None and document.activeNode() is not None)
    yield from show(document)
    return document


def show(document):
    Krita.instance().setActiveDocument(document)
    for view in Krita.instance().activeWindow().views():
        if view.document() == document:
            view.setVisible()
            Krita.instance().activeWindow().showView(view)
    yield from pause(0.2)


def select(document, node):
    """Make a layer the active one until it stays so: Krita makes layers active that were added before, with a delay."""

    def is_active():
        if document.activeNode() and document.activeNode().uniqueId() == node.uniqueId():
            return True
        document.setActiveNode(node)
        return False

    for _ in range(5):
        yield from wait_until(is_active, 5)
        yield from pause(0.1)
    yield from wait_until(is_active, 5)


def close(document):
    document.setBatchmode(True)
    document.setModified(False)
    document.close()
    yield from pause(0.3)


def layer_list():
    """The names in Krita's Layers docker, bottom first. A list with the names in a group follows the group's name."""
    docker = next(docker for docker in Krita.instance().dockers() if docker.objectName() == "KisLayerBox")
    model = docker.findChild(QTreeView).model()

    def below(parent):
        items = []
        for row in reversed(range(model.rowCount(parent))):
            index = model.index(row, 0, parent)
            items += [index.data(), below(index)] if model.rowCount(index) else [index.data()]
        return items

    return below(QModelIndex())


def visible_rows():
    """How many rows Krita's Layers docker has, with its groups folded as they are."""
    docker = next(docker for docker in Krita.instance().dockers() if docker.objectName() == "KisLayerBox")
    view = docker.findChild(QTreeView)
    index, rows = view.model().index(0, 0), 0
    while index.isValid():
        index, rows = view.indexBelow(index), rows + 1
    return rows


def undo_history():
    """The entries of Krita's Undo History docker for the active document, oldest first."""
    docker = next(docker for docker in Krita.instance().dockers() if docker.objectName() == "History")
    model = docker.findChild(QListView).model()
    return [model.index(row, 0).data() for row in range(model.rowCount())]


def tree(document):
    """The names of the top-level layers, bottom first."""
    return [node.name() for node in document.rootNode().childNodes()]


def pixels(node, size=SIZE):
    return bytes(node.pixelData(0, 0, *size))


def solid_box(node, size=SIZE):
    """Left, top, right and bottom of the pixels with an alpha above one half."""
    alpha, width = pixels(node, size)[3::4], size[0]
    rows = [row for row in range(size[1]) if max(alpha[row * width : (row + 1) * width]) > 127]
    columns = [column for column in range(width) if max(alpha[column::width]) > 127]
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def group_facts(group, size=SIZE):
    """The properties of a group's layers that tests compare, bottom first."""
    return [
        {
            "name": node.name(),
            "blend": node.blendingMode(),
            "opacity": node.opacity(),
            "visible": node.visible(),
            "sha256": hashlib.sha256(pixels(node, size)).hexdigest(),
        }
        for node in group.childNodes()
    ]


def do(action):
    Krita.instance().action(action).trigger()
    yield from pause(0.5)


def kill(pid):
    os.kill(pid, 9)


def generate(document, *, steps=0):
    """Press Generate and wait for the layers."""
    before = len(document.rootNode().childNodes())
    set_steps(steps)
    press("Generate")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    assert len(document.rootNode().childNodes()) == before + 1, docker_texts()


def draw(document, button_text, *, steps=2):
    """Press a button that draws, wait for the layers, and return the group of them."""
    before = {node.uniqueId().toString() for node in document.rootNode().childNodes()}
    set_steps(steps)
    press(button_text)
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    new = [node for node in document.rootNode().childNodes() if node.uniqueId().toString() not in before]
    assert len(new) == 1, docker_texts()
    return new[0]


def layer_of(group, name):
    return next(node for node in group.childNodes() if node.name() == name)


def path_of(node):
    """The names of the groups around a node and its own, from the outside."""
    names = []
    while node is not None and node.parentNode() is not None:
        names.insert(0, node.name())
        node = node.parentNode()
    return names


def seen(node, area):
    """A digest of a layer's visible pixels, without the colours of fully transparent ones."""
    data = bytearray(node.pixelData(*area))
    for at in range(0, len(data), 4):
        if data[at + 3] == 0:
            data[at : at + 3] = b"\0\0\0"
    return hashlib.sha256(data).hexdigest()
