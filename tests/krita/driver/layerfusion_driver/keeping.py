"""Scenarios that start from existing layers: they keep, move and relight them."""

import hashlib
import json

from krita import Krita, Selection

from .documents import close, do, draw, generate, group_facts, new_document, pixels, seen, select, solid_box, tree
from .hands import (
    FOREGROUND,
    busy,
    button,
    choose_for_picture,
    docker_texts,
    field,
    pause,
    photograph,
    press,
    set_pictures,
    set_steps,
    tick,
    tool,
    type_into,
    wait_until,
)
from .qt import QtCore, QtTest, QtWidgets


def draw_another_background(folder):
    """The artist has painted over the foreground and moved it. It must be returned in that state."""
    document = Krita.instance().activeDocument()
    old = document.rootNode().childNodes()[-1]
    foreground = next(node for node in old.childNodes() if node.name() == "Foreground")
    # a stroke, the last pixels of it invisible: colour under alpha 0 has to survive as well
    foreground.setPixelData(bytes((10, 200, 30, 255)) * 400 + bytes((9, 8, 7, 0)) * 100, 40, 50, 25, 20)
    foreground.move(foreground.position().x() + 31, foreground.position().y() - 17)
    document.refreshProjection()
    document.waitForDone()
    before, kept = group_facts(old), pixels(foreground)
    yield from select(document, foreground)
    type_into("in the background;", "a night sky with stars")
    type_into("should not appear", "people")
    type_into("whole picture", "an apple at night")
    set_steps(4)
    press("New background")
    yield from wait_until(lambda: not busy())
    yield from pause(0.5)
    yield from photograph(folder / "new-background.png")
    new = document.rootNode().childNodes()[-1]
    copy = next(node for node in new.childNodes() if node.name() == "Foreground")
    record = json.loads(bytes(document.annotation(f"layerfusion/{new.uniqueId().toString()}")))
    around = (-50, -50, 700, 500)
    return {
        "texts": docker_texts(),
        "tree": tree(document),
        "layers": group_facts(new),
        "record": record,
        "old before": before,
        "old after": group_facts(old),
        "kept": hashlib.sha256(kept).hexdigest(),
        "copy": hashlib.sha256(pixels(copy)).hexdigest(),
        "same beyond the canvas": bytes(copy.pixelData(*around)) == bytes(foreground.pixelData(*around)),
    }


def keep_the_last_foreground(folder):
    """The active white background fills the canvas, so the foreground drawn last is kept."""
    document = Krita.instance().activeDocument()
    yield from select(document, document.rootNode().childNodes()[0])
    youngest = document.rootNode().childNodes()[-1]
    kept = next(node for node in youngest.childNodes() if node.name() == "Foreground")
    press("New background")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    new = document.rootNode().childNodes()[-1]
    facts = {
        "tree": tree(document),
        "same": pixels(next(n for n in new.childNodes() if n.name() == "Foreground")) == pixels(kept),
    }
    yield from do("edit_undo")
    facts["after undo"] = tree(document)
    return facts


def draw_another_foreground(folder):
    """The background has a stroke on it. The active layer is the white paper, which the groups hide."""
    document = Krita.instance().activeDocument()
    yield from select(document, document.rootNode().childNodes()[0])
    old = document.rootNode().childNodes()[-1]
    background = next(node for node in old.childNodes() if node.name() == "Background")
    background.setPixelData(bytes((10, 200, 30, 255)) * 400, 300, 50, 20, 20)
    before = group_facts(old)
    type_into("in the foreground;", "a penguin")
    type_into("should not appear", "")
    type_into("whole picture", "")
    press("New foreground")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    new = document.rootNode().childNodes()[-1]
    facts = {
        "tree": tree(document),
        "layers": group_facts(new),
        "old before": before,
        "old after": group_facts(old),
        "record": json.loads(bytes(document.annotation(f"layerfusion/{new.uniqueId().toString()}"))),
        "texts": docker_texts(),
    }
    yield from photograph(folder / "new-foreground.png")
    yield from do("edit_undo")
    facts["after undo"] = tree(document)
    type_into("in the foreground;", FOREGROUND)
    return facts


def harmonise_after_a_move(folder):
    """The artist moves the foreground partly off the canvas and paints on the background; both are kept like that."""
    document = Krita.instance().documents()[0]
    old = document.rootNode().childNodes()[1]
    foreground = next(node for node in old.childNodes() if node.name() == "Foreground")
    foreground.move(foreground.position().x() + 150, foreground.position().y() + 20)
    document.refreshProjection()
    document.waitForDone()
    yield from select(document, foreground)
    before, around = group_facts(old), (-200, -200, 1000, 900)
    set_steps(4)
    press("Harmonise")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    new = document.rootNode().childNodes()[-1]
    copy = next(node for node in new.childNodes() if node.name() == "Foreground")
    facts = {
        "tree": tree(document),
        "texts": docker_texts(),
        "layers": group_facts(new),
        "old before": before,
        "old after": group_facts(old),
        "beyond the canvas": [seen(node, around) for node in (foreground, copy)],
    }
    yield from photograph(folder / "harmonised.png")
    yield from do("edit_undo")
    facts["after undo"] = tree(document)
    return facts


def relight_a_foreground(folder):
    """The white paper is active, so the foreground drawn last is relit."""
    document = Krita.instance().documents()[0]
    yield from select(document, document.rootNode().childNodes()[0])
    old = document.rootNode().childNodes()[-1]
    before = group_facts(old)
    strength = field(QtWidgets.QSpinBox, "How much Relight may change")
    strength.selectAll()
    QtTest.QTest.keyClicks(strength, "33")
    press("Relight")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    new = document.rootNode().childNodes()[-1]
    facts = {
        "texts": docker_texts(),
        "strengths": [
            strength.value(),
            field(QtWidgets.QSlider, "How much Relight may change").value(),
            json.loads(bytes(document.annotation(f"layerfusion/{new.uniqueId().toString()}")))["submit"]["foregrounds"][
                0
            ]["strength"],
        ],
        "layers": group_facts(new),
        "old before": before,
        "old after": group_facts(old),
    }
    yield from photograph(folder / "relit.png")
    strength.setValue(30)
    yield from do("edit_undo")
    return facts


def draw_in_the_selection(folder):
    """First there is no selection, which is refused; then there is one that reaches beyond the canvas."""
    document = yield from new_document("Boxed")
    tick("Draw the foreground in the selection")
    press("Generate")
    facts = {"without": docker_texts(), "busy": busy()}
    selection = Selection()
    selection.select(320, 200, 400, 140, 255)
    document.setSelection(selection)
    yield from generate(document, steps=4)
    group = next(node for node in document.rootNode().childNodes() if node.type() == "grouplayer")
    foreground = next(node for node in group.childNodes() if node.name() == "Foreground")
    facts["solid"] = solid_box(foreground)
    yield from photograph(folder / "in-the-selection.png")
    document.setSelection(None)
    tick("Draw the foreground in the selection")
    yield from close(document)
    return facts


def draw_two_pictures(folder):
    """One press gives one group with both pictures, of which the first is shown."""
    document = yield from new_document("Pictures", (128, 128))
    set_steps(2)
    set_pictures(2)
    press("Generate")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    set_pictures(1)
    groups = document.rootNode().childNodes()[-1].childNodes()
    notes = [bytes(document.annotation(f"layerfusion/{group.uniqueId().toString()}")) for group in groups]
    facts = {
        "tree": tree(document),
        "names": [group.name() for group in groups],
        "visible": [group.visible() for group in groups],
        "seeds": [json.loads(note)["seed"] for note in notes],
        "layers": [group_facts(group, (128, 128)) for group in groups],
    }
    yield from do("edit_undo")
    facts["after undo"] = [node.name() for node in document.rootNode().childNodes()[-1].childNodes()]
    yield from close(document)
    return facts


def change_a_part_of_the_background(folder):
    """The artist selects an ellipse of the background, and lets that part be drawn anew behind the same foreground."""
    size = (128, 128)
    document = yield from new_document("Part", size)
    first = yield from draw(document, "Generate")
    tick("Change the background in the selection")
    type_into("in the background;", "a night sky with stars")
    press("New background")
    yield from pause(0.2)
    facts = {"without": docker_texts(), "busy": busy()}
    mask = bytes(255 if (x - 30) ** 2 + (y - 20) ** 2 < 225 else 0 for y in range(40) for x in range(60))
    selection = Selection()
    selection.resize(60, 40)
    selection.setPixelData(QtCore.QByteArray(mask), 0, 0, 60, 40)
    selection.move(40, 5)
    document.setSelection(selection)
    second = yield from draw(document, "New background")
    document.setSelection(None)
    facts |= {"tree": tree(document), "layers": [node.name() for node in second.childNodes()]}
    old, drawn = pixels(first.childNodes()[0], size), pixels(second.childNodes()[0], size)
    kept = pixels(second.childNodes()[1], size)
    places = [(x - 40, y - 5) for y in range(128) for x in range(128)]
    inside = [0 <= x < 60 and 0 <= y < 40 and mask[60 * y + x] == 255 for x, y in places]
    facts["inside"] = sum(inside)
    facts["erased inside"] = all(kept[4 * at + 3] == 0 for at, each in enumerate(inside) if each)
    facts["kept outside"] = all(
        kept[4 * at : 4 * at + 4] == old[4 * at : 4 * at + 4] for at, each in enumerate(inside) if not each
    )
    facts["new inside"] = any(
        drawn[4 * at : 4 * at + 3] != old[4 * at : 4 * at + 3] for at, each in enumerate(inside) if each
    )
    facts["same foreground"] = pixels(second.childNodes()[2], size) == pixels(first.childNodes()[1], size)
    yield from photograph(folder / "part.png")
    tick("Change the background in the selection")
    yield from close(document)
    return facts


def draw_two_foregrounds(folder):
    """Another foreground with a seed and a place of its own; afterwards the fields are emptied and filled again."""
    size = (256, 256)
    document = yield from new_document("Two", size)
    set_steps(2)
    press("Add another foreground")
    type_into("What foreground 2 shows", "a penguin")
    field(QtWidgets.QLineEdit, "The seed of foreground 2").setText("5")
    press("Place…")
    facts = {"without a selection": docker_texts()}
    selection = Selection()
    selection.select(150, 140, 90, 100, 255)
    document.setSelection(selection)
    press("Place…")
    facts["place"] = button("90x100 at 150, 140").isVisible()
    document.setSelection(None)
    yield from photograph(folder / "two-foregrounds.png")
    press("Generate")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    group = next(node for node in document.rootNode().childNodes() if node.type() == "grouplayer")
    facts |= {"tree": tree(document), "layers": [node.name() for node in group.childNodes()]}
    facts["solid"] = solid_box(group.childNodes()[2], size)
    yield from photograph(folder / "two-foregrounds-drawn.png")
    tool("Do not draw foreground 2").click()
    type_into("in the foreground;", "something else")
    yield from pause(0.2)
    facts["removed"] = [
        field(QtWidgets.QPlainTextEdit, "What foreground 2").isVisible(),
        button("Add another foreground").isVisible(),
    ]
    choose_for_picture(0, "Use its prompts")
    facts["again"] = [
        field(QtWidgets.QPlainTextEdit, "What foreground 2 shows").toPlainText(),
        field(QtWidgets.QLineEdit, "The seed of foreground 2").text(),
        button("90x100 at 150, 140").isVisible(),
    ]
    tool("Do not draw foreground 2").click()
    yield from close(document)
    return facts


def keep_a_background_with_holes(folder):
    """The artist's lake covers the left half. The rest is drawn on a layer below it; Harmonise keeps both as one."""
    size = (128, 128)
    document = yield from new_document("Lake", size)
    lake = document.createNode("Lake", "paintlayer")
    lake.setPixelData(bytes((200, 120, 40, 255)) * (80 * 160), -16, -16, 80, 160)
    document.rootNode().addChildNode(lake, None)
    document.refreshProjection()
    yield from select(document, lake)
    set_steps(2)
    press("New foreground")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    drawn = document.rootNode().childNodes()[-1]
    facts: dict[str, object] = {"tree": tree(document), "layers": [node.name() for node in drawn.childNodes()]}
    around = (-20, -20, 168, 168)
    facts["same"] = bytes(drawn.childNodes()[1].pixelData(*around)) == bytes(lake.pixelData(*around))
    yield from select(document, drawn)
    documents = len(Krita.instance().documents())
    press("Harmonise")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    harmonised = document.rootNode().childNodes()[-1]
    facts["harmonised"] = [node.name() for node in harmonised.childNodes()]
    left, right = (0, 0, 64, 128), (64, 0, 64, 128)
    below, above, whole = *drawn.childNodes()[:2], harmonised.childNodes()[0]
    facts["left as the lake"] = bytes(whole.pixelData(*left)) == bytes(above.pixelData(*left))
    facts["right as what was missing"] = bytes(whole.pixelData(*right)) == bytes(below.pixelData(*right))
    facts["further documents"] = len(Krita.instance().documents()) - documents
    yield from close(document)
    return facts


def keep_layers_of_other_kinds(folder):
    """The artist's own vector layer, group, and paint layer with a mask and an opacity."""
    document = yield from new_document("Kinds")
    root = document.rootNode()
    facts = {}
    empty = document.createNode("Empty", "paintlayer")
    root.addChildNode(empty, None)
    yield from select(document, empty)
    press("New background")
    facts["Empty"] = {"texts": docker_texts()}
    empty.remove()
    vector = document.createVectorLayer("Sign")
    root.addChildNode(vector, None)
    vector.addShapesFromSvg(
        '<svg xmlns="http://www.w3.org/2000/svg" width="100pt" height="90pt">'
        '<rect x="20" y="20" width="50" height="40" fill="#c00"/></svg>'
    )
    group = document.createGroupLayer("Pair")
    for name, x in (("one", 20), ("two", 200)):
        node = document.createNode(name, "paintlayer")
        node.setPixelData(bytes((x, 99, 255 - x, 255)) * (60 * 60), x, 100, 60, 60)
        group.addChildNode(node, None)
    root.addChildNode(group, None)
    faded = document.createNode("Faded", "paintlayer")
    faded.setPixelData(bytes((0, 128, 255, 255)) * (90 * 90), 100, 120, 90, 90)
    root.addChildNode(faded, None)
    faded.setOpacity(128)
    faded.setBlendingMode("multiply")
    document.refreshProjection()
    document.waitForDone()
    yield from pause(0.5)  # until Krita has made the last of them the active one
    for node in (vector, group):
        yield from select(document, node)
        projection = bytes(node.projectionPixelData(0, 0, 512, 384))
        new = yield from draw(document, "New background", steps=4)
        names = tree(document)
        copy = next(child for child in new.childNodes() if child.name() == node.name())
        facts[node.name()] = {
            "tree": names,
            "same": pixels(copy) == projection,
            "empty": not any(projection[3::4]),
            "kind": copy.type(),
        }
    yield from select(document, faded)
    new = yield from draw(document, "New background")
    copy = next(child for child in new.childNodes() if child.name() == "Faded")
    facts["Faded"] = {"opacity": copy.opacity(), "blend": copy.blendingMode(), "texts": docker_texts()}
    yield from close(document)
    return facts
