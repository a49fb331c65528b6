"""What an artist does, one scenario after the other in the same Krita. Each returns facts; the tests judge them."""

import hashlib
import json
import os
import time
from pathlib import Path

from krita import Krita, Selection

from .hands import (
    answer_next_box,
    busy,
    button,
    close,
    do,
    docker_texts,
    group_facts,
    kill,
    layer_list,
    new_document,
    pause,
    photograph,
    pixels,
    press,
    preview_size,
    progress,
    save_next_dialog_as,
    says,
    seed,
    select,
    set_pictures,
    set_steps,
    show,
    solid_box,
    tick,
    tool,
    tree,
    type_into,
    wait_until,
)

FOREGROUND, BACKGROUND = "a red apple", "a beach at sunset"


def server_pid():
    return json.loads(Path(os.environ["LAYERFUSION_RUNTIME"]).read_text())["pid"]


def generate(document, *, steps=0):
    """Press Generate and wait for the layers."""
    before = len(document.rootNode().childNodes())
    set_steps(steps)
    press("Generate")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    assert len(document.rootNode().childNodes()) == before + 1, docker_texts()


def start_server(folder):
    yield from wait_until(lambda: says("No server is running"))
    offline = docker_texts()
    yield from photograph(folder / "offline.png")
    press("Start server")
    starting = docker_texts()
    seconds = yield from wait_until(lambda: says("Ready"))
    return {
        "offline": offline,
        "starting": starting,
        "ready after": seconds,
        "can start another": button("Start server").isVisible(),
        "pid": server_pid(),
    }


def refuse_without_a_document(folder):
    type_into("in front", FOREGROUND)
    type_into("behind", BACKGROUND)
    press("Generate")
    yield 0.1
    return {"texts": docker_texts()}


def draw_two_prompts(folder):
    document = yield from new_document("Sketch")
    Krita.instance().activeWindow().activeView().canvas().setZoomLevel(2.0)
    seed(1234)
    tool("Keep this seed").click()
    set_steps(0)
    press("Generate")
    seen, previews, last_step = [], [], None
    yield from wait_until(lambda: progress() is not None)
    while busy():
        last_step = last_step or (time.monotonic() if says("Drawing 20 of 20") else None)
        seen += [text for text in docker_texts() if " of " in text and text not in seen]
        if preview_size() and not previews:
            previews.append(preview_size())
            yield from photograph(folder / "drawing.png")
        yield from pause(0.03)
    in_place = time.monotonic()
    yield from pause(0.5)
    group = document.rootNode().childNodes()[-1]
    annotations = [key for key in document.annotationTypes() if key.startswith("layerfusion/")]
    facts = {
        "texts": docker_texts(),
        "progress": seen,
        "previews": previews,
        "in place after the last step": last_step and in_place - last_step,
        "tree": tree(document),
        "layer list": layer_list(),
        "group": group.name(),
        "layers": group_facts(group),
        "record": json.loads(bytes(document.annotation(annotations[0]))),
        "active": document.activeNode().name(),
    }
    yield from photograph(folder / "drawn.png")
    yield from do("edit_undo")
    facts["after undo"] = tree(document)
    yield from do("edit_redo")
    facts["after redo"] = tree(document)
    facts["layer list after redo"] = layer_list()
    facts["layers after redo"] = group_facts(document.rootNode().childNodes()[-1])
    return facts


def draw_another_background(folder):
    """The artist has painted over the foreground and moved it; it must come back as it is now."""
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
    type_into("behind", "a night sky with stars")
    type_into("neither", "people")
    type_into("both show", "an apple at night")
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
    """The white background fills the canvas, so the youngest foreground is meant."""
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
    """Before a background with a stroke on it; the active layer is the paper, which the groups hide."""
    document = Krita.instance().activeDocument()
    yield from select(document, document.rootNode().childNodes()[0])
    old = document.rootNode().childNodes()[-1]
    background = next(node for node in old.childNodes() if node.name() == "Background")
    background.setPixelData(bytes((10, 200, 30, 255)) * 400, 300, 50, 20, 20)
    before = group_facts(old)
    type_into("in front", "a penguin")
    type_into("neither", "")
    type_into("both show", "")
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
    type_into("in front", FOREGROUND)
    return facts


def harmonise_after_a_move(folder):
    """The artist moves the foreground partly off the canvas and paints on the background; both stay as they are."""
    document = Krita.instance().documents()[0]
    old = document.rootNode().childNodes()[1]
    foreground = next(node for node in old.childNodes() if node.name() == "Foreground")
    foreground.move(foreground.position().x() + 150, foreground.position().y() + 20)
    document.refreshProjection()
    document.waitForDone()
    yield from select(document, foreground)
    before = group_facts(old)
    set_steps(4)
    press("Harmonise")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    new = document.rootNode().childNodes()[-1]
    facts = {
        "tree": tree(document),
        "texts": docker_texts(),
        "layers": group_facts(new),
        "old before": before,
        "old after": group_facts(old),
    }
    yield from photograph(folder / "harmonised.png")
    yield from do("edit_undo")
    facts["after undo"] = tree(document)
    return facts


def relight_a_foreground(folder):
    """The one drawn last: the paper is selected."""
    document = Krita.instance().documents()[0]
    yield from select(document, document.rootNode().childNodes()[0])
    old = document.rootNode().childNodes()[-1]
    before = group_facts(old)
    press("Relight")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    facts = {
        "texts": docker_texts(),
        "layers": group_facts(document.rootNode().childNodes()[-1]),
        "old before": before,
        "old after": group_facts(old),
    }
    yield from photograph(folder / "relit.png")
    yield from do("edit_undo")
    return facts


def draw_in_the_selection(folder):
    """A selection that reaches beyond the canvas; without one it says so."""
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
    """One press, two groups; the later one lies above."""
    document = yield from new_document("Pictures", (128, 128))
    set_steps(2)
    set_pictures(2)
    press("Generate")
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    set_pictures(1)
    groups = document.rootNode().childNodes()[1:]
    notes = [bytes(document.annotation(f"layerfusion/{group.uniqueId().toString()}")) for group in groups]
    facts = {
        "tree": tree(document),
        "seeds": [json.loads(note)["seed"] for note in notes],
        "layers": [group_facts(group, (128, 128)) for group in groups],
    }
    yield from do("edit_undo")
    facts["after undo"] = tree(document)
    yield from close(document)
    return facts


def keep_a_background_with_holes(folder):
    """A lake of the artist's on the left half; what is missing comes below it, and both are one when harmonised."""
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
    facts = {"tree": tree(document), "layers": [node.name() for node in drawn.childNodes()]}
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
    """A vector layer, a group and a masked, faded paint layer, drawn by the artist."""
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
        press("New background")
        yield from wait_until(lambda: not busy())
        yield from pause(0.3)
        names = tree(document)
        new = root.childNodes()[names.index(node.name()) + 1]
        copy = next(child for child in new.childNodes() if child.name() == node.name())
        facts[node.name()] = {
            "tree": names,
            "same": pixels(copy) == projection,
            "empty": not any(projection[3::4]),
            "kind": copy.type(),
        }
    questions = []
    yield from select(document, faded)
    answer_next_box("Cancel", questions)
    before = tree(document)
    press("New background")
    yield from pause(0.3)
    facts["Faded"] = {"questions": questions, "busy": busy(), "same tree": tree(document) == before}
    yield from close(document)
    return facts


def state_of(document):
    return [
        document.name(),
        document.fileName(),
        document.modified(),
        len(Krita.instance().documents()),
        tree(document),
    ]


def export_a_psd(folder):
    document = Krita.instance().documents()[0]
    yield from show(document)
    document.setModified(False)
    group = document.rootNode().childNodes()[1]
    yield from select(document, group.childNodes()[0])
    for index, node in enumerate(group.childNodes()):
        (folder / f"layer-{index}.bgra").write_bytes(pixels(node))
    before = state_of(document)
    save_next_dialog_as(folder / "out.psd")
    began = time.monotonic()
    press("Export PSD…")
    return {
        "group": group.name(),
        "layers": group_facts(group),
        "before": before,
        "after": state_of(document),
        "texts": docker_texts(),
        "took": time.monotonic() - began,
    }


def refuse_other_colours(folder):
    facts = {}
    for name, model, depth in (("deep", "RGBA", "U16"), ("float", "RGBA", "F32"), ("grey", "GRAYA", "U8")):
        document = yield from new_document(name, (256, 256), model, depth)
        press("Generate")
        facts[name] = {"texts": docker_texts(), "busy": busy(), "tree": tree(document)}
        press("Export PSD…")
        facts[name]["export"] = docker_texts()
        yield from close(document)
    return facts


def name_other_profiles(folder):
    document = yield from new_document("wide", (256, 256), profile="ClayRGB-elle-V4-srgbtrc.icc")
    yield from generate(document, steps=2)
    texts = docker_texts()
    yield from close(document)
    return {"texts": texts}


def cancel_a_job(folder):
    document = yield from new_document("Cancelled")
    before = tree(document)
    set_steps(150)
    press("Generate")
    yield from wait_until(lambda: progress() is not None and progress()[0] >= 1)
    press("Cancel")
    texts, still_busy = docker_texts(), busy()
    yield from pause(1)
    facts = {"texts": texts, "busy": still_busy, "tree": tree(document), "before": before}
    began = time.monotonic()
    yield from generate(document, steps=2)
    facts["next job took"] = time.monotonic() - began
    yield from close(document)
    return facts


def switch_documents(folder):
    """The layers go where the button was pressed, not where the artist is when they come."""
    first = yield from new_document("First")
    set_steps(4)
    press("Generate")
    second = yield from new_document("Second", (300, 200))
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    facts = {"first": tree(first), "second": tree(second), "texts": docker_texts()}
    yield from close(first)
    yield from close(second)
    return facts


def close_the_document(folder):
    document = yield from new_document("Closed")
    other = Krita.instance().documents()[0]
    before = tree(other)
    set_steps(4)
    press("Generate")
    yield from wait_until(lambda: progress() is not None)
    yield from close(document)
    yield from wait_until(lambda: not busy())
    return {"texts": docker_texts(), "other": [before, tree(other)]}


def lose_the_anchor(folder):
    """The layer the result was to go above is deleted meanwhile: it goes to the top."""
    document = yield from new_document("Anchor")
    doomed = document.createNode("Doomed", "paintlayer")
    document.rootNode().addChildNode(doomed, None)
    yield from select(document, doomed)
    set_steps(4)
    press("Generate")
    yield from wait_until(lambda: progress() is not None)
    doomed.remove()
    yield from wait_until(lambda: not busy())
    facts = {"tree": tree(document), "texts": docker_texts()}
    yield from close(document)
    return facts


def kill_the_server(folder):
    """Its next start draws the picture that was interrupted, and the layers come into the document."""
    document = yield from new_document("Orphan")
    set_steps(60)
    press("Generate")
    yield from wait_until(lambda: progress() is not None and progress()[0] >= 1)
    kill(server_pid())
    seconds = yield from wait_until(lambda: says("Waiting for the server"), 20)
    yield from pause(0.5)
    facts = {"texts": docker_texts(), "noticed after": seconds, "tree": tree(document)}
    yield from photograph(folder / "killed.png")
    node = document.createNode("Krita goes on", "paintlayer")
    document.rootNode().addChildNode(node, None)
    facts["tree after"] = tree(document)
    press("Start server")
    yield from wait_until(lambda: says("Ready"))
    yield from wait_until(lambda: not busy(), 180)
    facts["tree with the new server"] = tree(document)
    facts["pid"] = server_pid()
    yield from close(document)
    return facts


IN_ORDER = [
    start_server,
    refuse_without_a_document,
    draw_two_prompts,
    draw_another_background,
    keep_the_last_foreground,
    draw_another_foreground,
    harmonise_after_a_move,
    relight_a_foreground,
    draw_in_the_selection,
    draw_two_pictures,
    keep_a_background_with_holes,
    keep_layers_of_other_kinds,
    export_a_psd,
    refuse_other_colours,
    name_other_profiles,
    cancel_a_job,
    switch_documents,
    close_the_document,
    lose_the_anchor,
    kill_the_server,
]
