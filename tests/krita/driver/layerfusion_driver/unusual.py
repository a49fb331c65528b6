"""Scenarios with documents and layers that are not plain: masks, animation, other colours and sizes, hidden places."""

import json
from pathlib import Path

from krita import InfoObject, Krita, Selection

from .documents import close, do, draw, layer_of, new_document, pixels, select, show, tree, undo_history
from .hands import (
    busy,
    button,
    docker_texts,
    field,
    patiently,
    pause,
    photograph,
    press,
    set_steps,
    type_into,
    type_prompts,
    wait_for_step,
    wait_until,
)
from .processes import slowed_down
from .qt import QtCore, QtGui, QtWidgets

SMALL = (128, 128)


def typed():
    """The texts of the two prompts."""
    return [
        field(QtWidgets.QPlainTextEdit, words).toPlainText()
        for words in ("What is in the foreground", "What is in the background")
    ]


def paint(document, name, colour, box, parent=None):
    """A layer with one rectangle (x, y, width, height) of a BGRA colour, on top of a group or of the document."""
    node = document.createNode(name, "paintlayer")
    node.setPixelData(bytes(colour) * (box[2] * box[3]), *box)
    (parent or document.rootNode()).addChildNode(node, None)
    document.refreshProjection()
    return node


def keep_what_a_layer_has(folder):
    """The artist's layer has an opacity, a blending mode and a mask. Its copy has them, too, and nobody asks."""
    document = yield from new_document("Looks", SMALL)
    cat = paint(document, "Cat", (0, 128, 255, 255), (20, 20, 80, 80))
    yield from select(document, cat)
    selection = Selection()
    selection.select(0, 0, 64, 128, 255)
    document.setSelection(selection)
    yield from do("add_new_transparency_mask")
    document.setSelection(None)
    cat.setOpacity(128)
    cat.setBlendingMode("screen")
    document.refreshProjection()
    yield from select(document, cat)
    group = yield from draw(document, "New background")
    copy = layer_of(group, "Cat")
    facts = {
        "masks": [[mask.type() for mask in node.childNodes()] for node in (cat, copy)],
        "look": [(node.opacity(), node.blendingMode()) for node in (cat, copy)],
        "same pixels": pixels(cat, SMALL) == pixels(copy, SMALL),
        "same effect": bytes(cat.projectionPixelData(0, 0, *SMALL)) == bytes(copy.projectionPixelData(0, 0, *SMALL)),
        "texts": docker_texts(),
        "entries": undo_history(),
    }
    yield from photograph(folder / "looks.png")
    yield from close(document)
    return facts


def keep_layers_that_refer_to_something(folder):
    """The foreground is a file layer, a clone of a painted layer, and a fill layer with a selection."""
    document = yield from new_document("References", SMALL)
    root = document.rootNode()
    image = QtGui.QImage(60, 40, QtGui.QImage.Format.Format_ARGB32)
    image.fill(QtGui.QColor(200, 90, 20))
    image.save(str(folder / "referred.png"))
    source = paint(document, "Source", (30, 160, 90, 255), (10, 20, 50, 50))
    part = Selection()
    part.select(40, 50, 30, 60, 255)
    nodes = {
        "File": document.createFileLayer("File", str(folder / "referred.png"), "None"),
        "Clone": document.createCloneLayer("Clone", source),
        "Fill": document.createFillLayer("Fill", "color", InfoObject(), part),
    }
    for node in nodes.values():
        root.addChildNode(node, None)
    document.refreshProjection()
    file = nodes["File"]
    yield from wait_until(lambda: any(bytes(file.projectionPixelData(0, 0, *SMALL))[3::4]))  # Krita reads it later
    yield from pause(0.5)
    facts = {}
    for name, node in nodes.items():
        yield from select(document, node)
        shown = bytes(node.projectionPixelData(0, 0, *SMALL))
        new = yield from draw(document, "New background")
        copy = layer_of(new, name)
        facts[name] = {
            "kind": copy.type(),
            "solid": sum(alpha == 255 for alpha in shown[3::4]),
            "same": pixels(copy, SMALL) == shown,
            "still": node.type(),
        }
        new.setVisible(False)
    yield from close(document)
    return facts


def keep_an_animated_layer(folder):
    """Frame 0 is red, frame 5 is green, and frame 5 is shown."""
    document = yield from new_document("Moving", SMALL)
    cat = paint(document, "Cat", (0, 0, 255, 255), (20, 20, 60, 60))
    cat.enableAnimation()
    yield from select(document, cat)
    for _ in range(20):  # Krita goes to another time in a thread of its own, which other work of the document can stop
        document.setCurrentTime(5)
        document.waitForDone()
        yield from do("add_blank_frame")
        if cat.hasKeyframeAtTime(5):
            break
    cat.setPixelData(bytes((0, 255, 0, 255)) * 1600, 40, 40, 40, 40)
    document.refreshProjection()
    shown = pixels(cat, SMALL)
    group = yield from draw(document, "New background")
    copy = layer_of(group, "Cat")
    facts = {
        "frames": [time for time in range(10) if cat.hasKeyframeAtTime(time)],
        "animated": [node.animated() for node in (cat, copy)],
        "same": pixels(copy, SMALL) == shown,
        "middle": bytes(copy.pixelData(60, 60, 1, 1)).hex(),
        "texts": docker_texts(),
    }
    document.setCurrentTime(0)
    yield from pause(0.3)
    facts["at frame 0"] = pixels(copy, SMALL) == shown
    yield from close(document)
    return facts


def draw_in_other_colours(folder):
    """Documents of other depths and colour models. Krita converts what is drawn, and kept layers stay as they are."""
    facts = {}
    for name, model, depth in (
        ("deep", "RGBA", "U16"),
        ("float", "RGBA", "F32"),
        ("grey", "GRAYA", "U8"),
        ("print", "CMYKA", "U8"),
    ):
        document = yield from new_document(name, SMALL, model, depth)
        entries = len(undo_history())
        first = yield from draw(document, "Generate")
        found = facts[name] = {
            "texts": docker_texts(),
            "entries": len(undo_history()) - entries,
            "layers": [node.name() for node in first.childNodes()],
            "colours": [first.childNodes()[0].colorModel(), first.childNodes()[0].colorDepth()],
            "shown": [node.name() for node in first.childNodes() if node.visible()],
            "middle": [
                each // 8
                for each in document.thumbnail(9, 9)
                .convertToFormat(QtGui.QImage.Format.Format_RGB32)
                .pixelColor(4, 1)
                .getRgb()[:3]
            ],
            "painted": [not node.bounds().isEmpty() for node in first.childNodes()[:2]],
        }
        document.waitForDone()
        yield from photograph(folder / f"colours-{name}.png")
        second = yield from draw(document, "New background")
        kept, copy = layer_of(first, "Foreground"), layer_of(second, "Foreground")
        found["same"] = bytes(kept.pixelData(0, 0, *SMALL)) == bytes(copy.pixelData(0, 0, *SMALL))
        yield from close(document)
    return facts


def draw_on_a_large_canvas(folder):
    """The canvas is wider than the server draws."""
    size = (4400, 1104)
    document = yield from new_document("Wide", size)
    first = yield from draw(document, "Generate")
    background, foreground = layer_of(first, "Background"), layer_of(first, "Foreground")
    bounds = background.bounds()
    facts = {
        "texts": docker_texts(),
        "bounds": [bounds.x(), bounds.y(), bounds.width(), bounds.height()],
        "blends": [node.blendingMode() for node in first.childNodes()],
        "foreground": not foreground.bounds().isEmpty(),
    }
    yield from photograph(folder / "large.png")
    second = yield from draw(document, "New background")
    facts["same"] = pixels(layer_of(second, "Foreground"), size) == pixels(foreground, size)
    third = yield from draw(document, "Harmonise")
    facts["harmonised"] = [node.name() for node in third.childNodes()]
    facts["same again"] = [
        pixels(layer_of(second, name), size) == pixels(layer_of(third, name), size)
        for name in ("Background", "Foreground")
    ]
    yield from close(document)
    return facts


def change_the_document_meanwhile(folder):
    """The document is scaled, cropped and converted while a picture is drawn."""
    document = yield from new_document("Changing", SMALL)
    facts = {}

    def scaled():
        document.scaleImage(256, 256, 300, 300, "Bicubic")

    def cropped():
        document.crop(10, 10, 200, 100)

    def converted():
        document.setColorSpace("RGBA", "U16", document.colorProfile())

    for change in (scaled, cropped, converted):
        before = tree(document)
        set_steps(30)
        with slowed_down():
            press("Generate")
            yield from wait_for_step()
            change()
            document.waitForDone()
            assert busy(), docker_texts()
        yield from wait_until(lambda: not busy())
        yield from pause(0.3)
        group = document.rootNode().childNodes()[-1]
        background = layer_of(group, "Background")
        facts[change.__name__] = {
            "added": len(tree(document)) - len(before),
            "size": [background.bounds().width(), background.bounds().height()],
            "depth": background.colorDepth(),
            "texts": docker_texts(),
        }
    yield from close(document)
    return facts


def land_where_nothing_is_seen(folder):
    """An opaque layer covers the place; then the place is in a hidden group."""
    document = yield from new_document("Covered", SMALL)
    paper = document.rootNode().childNodes()[0]
    cover = paint(document, "Cover", (90, 90, 90, 255), (0, 0, *SMALL))
    yield from select(document, paper)
    yield from draw(document, "Generate")
    facts = {"covered": docker_texts(), "tree": tree(document)}
    cover.remove()
    folder_layer = document.createGroupLayer("Sketches")
    document.rootNode().addChildNode(folder_layer, None)
    sketch = paint(document, "Sketch", (0, 0, 255, 255), (5, 5, 9, 9), folder_layer)
    folder_layer.setVisible(False)
    document.refreshProjection()
    yield from select(document, sketch)
    set_steps(2)
    press("Generate")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    facts["hidden"] = docker_texts()
    press("Show it")
    facts["shown"] = folder_layer.visible()
    facts["inside"] = [node.name() for node in folder_layer.childNodes()]
    yield from close(document)
    return facts


def find_the_prompts_again(folder):
    """The fields live in the document: another document has its own, and a file that is opened again has them back."""
    first = yield from new_document("One", SMALL)
    type_into("in the foreground;", "a blue bird")
    type_into("in the background;", "a forest")
    group = yield from draw(first, "Generate")
    second = yield from new_document("Two", SMALL)
    type_into("in the foreground;", "a red car")
    facts = {"second": typed()}
    yield from show(first)
    yield from patiently(lambda: typed()[0] == "a blue bird")
    facts["first again"] = typed()
    type_into("in the background;", "the moon")
    yield from select(first, group)
    offer = button("Use the prompts of this group")
    yield from wait_until(offer.isVisible)
    press("Use the prompts of this group")
    facts["of the group"], facts["still offered"] = typed(), offer.isVisible()
    type_into("in the background;", "the moon at night")
    path = folder / "one.kra"
    first.setBatchmode(True)
    first.saveAs(str(path))
    yield from close(first)
    yield from show(second)
    yield from patiently(lambda: typed()[0] == "a red car")
    facts["second again"] = typed()
    reopened = Krita.instance().openDocument(str(path))
    Krita.instance().activeWindow().addView(reopened)
    yield from pause(0.5)
    yield from show(reopened)
    yield from patiently(lambda: typed()[0] == "a blue bird")
    facts["reopened"] = typed()
    facts["saved"] = json.loads(bytes(reopened.annotation("layerfusion-settings")))["background"]
    yield from close(reopened)
    yield from close(second)
    type_prompts()
    return facts


def export_without_replacing(folder):
    """The dialog starts beside the document. The name “picture” means picture.psd, which is there already."""
    place = folder / "art"
    place.mkdir()
    older = place / "picture.psd"
    older.write_text("an older export")
    document = yield from new_document("Art", SMALL)
    yield from draw(document, "Generate")
    document.setBatchmode(True)
    document.saveAs(str(place / "art.kra"))
    document.setBatchmode(False)
    facts: dict[str, object] = {"asked": []}

    def dialog_of(kind):
        found = QtWidgets.QApplication.activeModalWidget()
        return found if isinstance(found, kind) else None

    def refuse():
        box = dialog_of(QtWidgets.QMessageBox)
        if box is None:
            QtCore.QTimer.singleShot(50, refuse)
            return
        facts["asked"].append(box.text())
        next(each for each in box.buttons() if "No" in each.text()).click()
        QtCore.QTimer.singleShot(100, leave)

    def leave():
        dialog = dialog_of(QtWidgets.QFileDialog)
        if dialog is None:
            QtCore.QTimer.singleShot(50, leave)
            return
        dialog.reject()

    def fill():
        dialog = dialog_of(QtWidgets.QFileDialog)
        if dialog is None:
            QtCore.QTimer.singleShot(50, fill)
            return
        facts["directory"] = Path(dialog.directory().absolutePath()).name
        facts["suggested"] = dialog.findChild(QtWidgets.QLineEdit).text()
        dialog.findChild(QtWidgets.QLineEdit).setText(str(place / "picture"))
        QtCore.QTimer.singleShot(50, refuse)
        next(each for each in dialog.findChildren(QtWidgets.QPushButton) if each.text() == "&Save").click()

    QtCore.QTimer.singleShot(50, fill)
    press("Export PSD…")
    yield from pause(0.3)
    facts["older"] = older.read_text()
    facts["files"] = sorted(each.name for each in place.iterdir())
    yield from close(document)
    return facts


ALL = [
    keep_what_a_layer_has,
    keep_layers_that_refer_to_something,
    keep_an_animated_layer,
    draw_in_other_colours,
    draw_on_a_large_canvas,
    change_the_document_meanwhile,
    land_where_nothing_is_seen,
    find_the_prompts_again,
    export_without_replacing,
]
