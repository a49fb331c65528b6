"""Scenarios of an artist who looks back at earlier pictures of a document, and goes on from one of them."""

from krita import Krita, Selection

from .documents import close, do, draw, group_facts, layer_of, new_document, select, tree, undo_history, visible_rows
from .hands import (
    busy,
    choose_for_picture,
    click_picture,
    docker_texts,
    field,
    history_texts,
    patiently,
    pause,
    photograph,
    pick_button,
    press,
    says,
    seed,
    set_pictures,
    set_steps,
    tool,
    type_into,
    wait_until,
)
from .qt import QtWidgets

SMALL = (128, 128)


def visible(document):
    """Whether each top-level group is visible, bottom first."""
    return [node.visible() for node in document.rootNode().childNodes() if node.type() == "grouplayer"]


def groups_of(document):
    return [node for node in document.rootNode().childNodes() if node.type() == "grouplayer"]


def is_in(node, group):
    return node is not None and node.parentNode() is not None and node.parentNode().uniqueId() == group.uniqueId()


def open_again(document, path):
    """Save a document, close it and open it again. Until the docker has seen that, it shows the history of before."""
    before, count = history_texts(), len(history_texts())
    document.setBatchmode(True)
    document.saveAs(str(path))
    yield from close(document)
    yield from wait_until(lambda: history_texts() != before)
    document = Krita.instance().openDocument(str(path))
    Krita.instance().activeWindow().addView(document)
    yield from wait_until(lambda: len(history_texts()) == count)
    yield from wait_until(lambda: document.activeNode() is not None)
    yield from pause(1)
    return document


def two_pictures(name):
    """A new document with two pictures."""
    document = yield from new_document(name, SMALL)
    seed(11)
    first = yield from draw(document, "Generate")
    type_into("in the background;", "a night sky with stars")
    seed(22)
    second = yield from draw(document, "Generate")
    return document, first, second


def look_at_an_earlier_picture(folder):
    """A click shows the earlier picture and hides the later one; nothing is added."""
    document, first, second = yield from two_pictures("Back")
    yield from wait_until(lambda: len(history_texts()) == 2)
    yield from photograph(folder / "history.png")
    facts = {"texts": history_texts(), "tree": tree(document), "entries": len(undo_history())}
    yield from select(document, layer_of(second, "Background"))
    click_picture(1)
    yield from patiently(lambda: is_in(document.activeNode(), first))
    yield from pause(0.5)
    facts |= {"visible": visible(document), "active": document.activeNode().name()}
    facts["active in the first"] = is_in(document.activeNode(), first)
    new = yield from draw(document, "New background")
    facts["went on from the first"] = group_facts(new, SMALL)[1]["sha256"] == group_facts(first, SMALL)[1]["sha256"]
    click_picture(1)
    yield from pause(0.3)
    facts |= {"visible after": visible(document), "tree after": tree(document)}
    facts["entries after"] = len(undo_history())
    yield from close(document)
    return facts


def put_a_deleted_picture_back(folder):
    """The group of a picture is deleted, the document saved, closed and opened again; a click puts the picture back."""
    document, first, _ = yield from two_pictures("Deleted")
    path = folder / "deleted.kra"
    before = group_facts(first, SMALL)
    yield from select(document, first)
    yield from do("remove_layer")
    yield from wait_until(lambda: any("was deleted" in text for text in history_texts()))
    facts = {"tree": tree(document), "texts": history_texts()}
    yield from photograph(folder / "history-deleted.png")
    document = yield from open_again(document, path)
    entries = len(undo_history())
    click_picture(1)
    yield from wait_until(lambda: not busy())
    yield from pause(0.5)
    facts |= {"tree after": tree(document), "texts after": history_texts(), "said": docker_texts()}
    facts["entries"] = len(undo_history()) - entries
    facts["same"] = [group_facts(group, SMALL) for group in groups_of(document)].count(before)
    yield from close(document)
    return facts


def put_a_picture_with_a_mask_back(folder):
    """The artist's layer has a soft mask and a blending mode of Krita's own. The group with its copy is deleted."""
    document = yield from new_document("Masked", SMALL)
    cat = document.createNode("Cat", "paintlayer")
    cat.setPixelData(bytes((0, 128, 255, 255)) * 6400, 20, 20, 80, 80)
    document.rootNode().addChildNode(cat, None)
    yield from select(document, cat)
    selection = Selection()
    selection.select(0, 0, 64, 128, 100)
    document.setSelection(selection)
    yield from do("add_new_transparency_mask")
    document.setSelection(None)
    cat.setBlendingMode("screen")
    cat.setOpacity(200)
    document.refreshProjection()
    yield from select(document, cat)
    first = yield from draw(document, "New background")

    def look(group):
        copy = layer_of(group, "Cat")
        masks = [[mask.type(), bytes(mask.pixelData(0, 0, *SMALL)).hex()] for mask in copy.childNodes()]
        shown = bytes(copy.projectionPixelData(0, 0, *SMALL)).hex()
        return [group_facts(group, SMALL), masks, shown, group.collapsed()]

    before = look(first)
    yield from select(document, first)
    yield from do("remove_layer")
    path = folder / "masked.kra"
    document = yield from open_again(document, path)
    documents, entries = len(Krita.instance().documents()), len(undo_history())
    click_picture(0)
    yield from wait_until(lambda: not busy())
    yield from pause(0.5)
    back = groups_of(document)[-1]
    after = look(back)
    facts = {"same": [one == other for one, other in zip(before, after, strict=True)], "masks": len(after[1])}
    facts |= {"entries": len(undo_history()) - entries, "documents": len(Krita.instance().documents()) - documents}
    facts |= {"folded": back.collapsed(), "active": document.activeNode().name() == back.name()}
    yield from photograph(folder / "masked-back.png")
    yield from close(document)
    return facts


def find_a_duplicate_in_the_history(folder):
    """The artist duplicates a group and deletes the original: the picture is still there, in the copy."""
    document, first, _ = yield from two_pictures("Doubled")
    yield from select(document, first)
    yield from do("duplicatelayer")
    yield from select(document, first)
    yield from do("remove_layer")
    click_picture(0)
    yield from pause(0.3)
    click_picture(1)
    yield from pause(0.3)
    facts = {"tree": tree(document), "visible": visible(document), "texts": history_texts()}
    yield from close(document)
    return facts


def go_on_from_the_history(folder):
    """The context menu: prompts, seed, the same again, another seed, remove."""
    document, first, second = yield from two_pictures("Menu")
    yield from wait_until(lambda: len(history_texts()) == 2)
    type_into("in the foreground;", "a red car")
    prompt = field(QtWidgets.QPlainTextEdit, "What is in the background")
    facts = {"menu": choose_for_picture(1, "Use its seed")}
    facts["seed"] = [seed(), prompt.toPlainText()]
    choose_for_picture(1, "Use its prompts")
    facts["prompts"] = [
        field(QtWidgets.QPlainTextEdit, "What is in the foreground").toPlainText(),
        prompt.toPlainText(),
    ]
    choose_for_picture(1, "Draw it again as it is")
    yield from wait_until(lambda: not busy())
    yield from pause(0.4)
    again = groups_of(document)[-1]
    facts["again is the same"] = group_facts(again, SMALL) == group_facts(first, SMALL)
    choose_for_picture(1, "Draw it again with another seed")
    yield from wait_until(lambda: not busy())
    yield from pause(0.4)
    other = groups_of(document)[-1]
    facts["another is another"] = group_facts(other, SMALL) != group_facts(second, SMALL)
    yield from patiently(lambda: len(history_texts()) == 4)
    facts["texts"] = history_texts()
    choose_for_picture(0, "Remove from the history")
    yield from patiently(lambda: len(history_texts()) == 3)
    facts |= {"texts after": history_texts(), "tree": tree(document)}
    yield from close(document)
    return facts


def choose_among_variants(folder):
    """Three pictures of one press: page through them, go on from the second, and keep it."""
    document = yield from new_document("Variants", SMALL)
    seed(100)
    set_steps(2)
    set_pictures(3)
    entries = len(undo_history())
    press("Generate")
    yield from wait_until(lambda: not busy())
    yield from pause(0.5)
    set_pictures(1)
    around = groups_of(document)[-1]

    def seen():
        return [child.visible() for child in around.childNodes()]

    second = around.childNodes()[1]
    yield from patiently(lambda: says("1 of 3"))
    facts = {"tree": tree(document), "names": [child.name() for child in around.childNodes()]}
    facts |= {"rows": visible_rows(), "entries": len(undo_history()) - entries, "visible": seen()}
    facts |= {"active": document.activeNode().name(), "words": docker_texts()}
    yield from photograph(folder / "variants.png")
    entries = len(undo_history())
    for name, description in (
        ("next", "next"),
        ("first", "previous"),
        ("last", "previous"),
        ("second", "previous"),
    ):
        tool(f"Show the {description} picture of this press").click()
        yield from pause(0.2)
        facts[name] = seen()
    facts["paged"] = [len(undo_history()) - entries, document.activeNode().name(), says("2 of 3")]
    before = group_facts(second, SMALL)
    new = yield from draw(document, "New background")
    facts["tree with a new background"] = tree(document)
    facts["of the second"] = group_facts(new, SMALL)[1]["sha256"] == before[1]["sha256"]
    yield from do("edit_undo")
    yield from wait_until(lambda: len(groups_of(document)) == 1)
    yield from select(document, around)
    entries = len(undo_history())
    press("Keep this one")
    yield from patiently(lambda: len(undo_history()) > entries)
    yield from pause(0.5)
    facts |= {"kept": tree(document), "said": docker_texts(), "entries to keep": len(undo_history()) - entries}
    facts["same"] = group_facts(groups_of(document)[-1], SMALL) == before
    facts["active at the end"] = document.activeNode().name()
    yield from patiently(lambda: ["deleted" in text for text in history_texts()][1:] == [True, False, True])
    facts["history"] = history_texts()
    facts["row"] = tool("Show the next picture of this press").isVisible()
    click_picture(1)
    yield from wait_until(lambda: not busy())
    yield from pause(0.5)
    facts["with the third again"] = [node.name() for node in groups_of(document)]
    facts["one to keep"] = tool("Show the next picture of this press").isVisible()
    yield from close(document)
    return facts


def draw_the_selected_picture_again(folder):
    """A new background behind a painted foreground, and then again with another prompt: the foreground stays."""
    document = yield from new_document("Again", SMALL)
    group = yield from draw(document, "Generate")
    foreground = layer_of(group, "Foreground")
    foreground.setPixelData(bytes((10, 200, 30, 255)) * 400, 20, 20, 20, 20)
    yield from select(document, foreground)
    second = yield from draw(document, "New background")
    type_into("in the background;", "a night sky with stars")
    yield from wait_until(lambda: "seed " in pick_button("foreground").toolTip())
    facts = {"hover": pick_button("foreground").toolTip(), "behind": pick_button("background").toolTip()}
    third = yield from draw(document, "Again")
    names = [child.name() for child in third.childNodes()]
    facts |= {"tree": tree(document), "names": names}
    before, after = group_facts(second, SMALL), group_facts(third, SMALL)
    facts["same foreground"] = before[1]["sha256"] == after[1]["sha256"]
    facts["same background"] = before[0]["sha256"] == after[0]["sha256"]
    yield from photograph(folder / "again.png")
    yield from close(document)
    return facts


ALL = [
    look_at_an_earlier_picture,
    put_a_deleted_picture_back,
    put_a_picture_with_a_mask_back,
    find_a_duplicate_in_the_history,
    go_on_from_the_history,
    choose_among_variants,
    draw_the_selected_picture_again,
]
