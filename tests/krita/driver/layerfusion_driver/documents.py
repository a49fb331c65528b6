"""What a person sees and does in Krita's documents: layers, the undo history, and pictures that are drawn into them."""

import hashlib
import os

from krita import Krita

from .hands import SIZE, busy, docker_texts, patiently, pause, press, set_steps, wait_until
from .qt import QtCore, QtWidgets


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
        yield from pause(0.1)  # a layer that was just added can not be the active one yet
        yield from wait_until(is_active)
    yield from pause(0.1)
    yield from wait_until(is_active)


def close(document):
    document.setBatchmode(True)
    document.setModified(False)
    document.close()
    yield from pause(0.3)


def layer_list():
    """The names in Krita's Layers docker, bottom first. A list with the names in a group follows the group's name."""
    docker = next(docker for docker in Krita.instance().dockers() if docker.objectName() == "KisLayerBox")
    model = docker.findChild(QtWidgets.QTreeView).model()

    def below(parent):
        items = []
        for row in reversed(range(model.rowCount(parent))):
            index = model.index(row, 0, parent)
            items += [index.data(), below(index)] if model.rowCount(index) else [index.data()]
        return items

    return below(QtCore.QModelIndex())


def visible_rows():
    """How many rows Krita's Layers docker has, with its groups folded as they are."""
    docker = next(docker for docker in Krita.instance().dockers() if docker.objectName() == "KisLayerBox")
    view = docker.findChild(QtWidgets.QTreeView)
    index, rows = view.model().index(0, 0), 0
    while index.isValid():
        index, rows = view.indexBelow(index), rows + 1
    return rows


def undo_history():
    """The entries of Krita's Undo History docker for the active document, oldest first."""
    docker = next(docker for docker in Krita.instance().dockers() if docker.objectName() == "History")
    model = docker.findChild(QtWidgets.QListView).model()
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
    """Trigger an action of Krita, and wait until it is done. One that is greyed for a moment would do nothing."""
    yield from patiently(Krita.instance().action(action).isEnabled)
    Krita.instance().action(action).trigger()
    yield from pause(0.3)
    document = Krita.instance().activeDocument()
    if document is not None:
        document.waitForDone()
    yield from pause(0.2)


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
