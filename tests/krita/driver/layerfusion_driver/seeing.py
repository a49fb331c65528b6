"""Scenarios of an artist who presses one button after the other, and expects each to work on what is seen."""

from .documents import (
    close,
    do,
    draw,
    group_facts,
    layer_of,
    new_document,
    pixels,
    select,
    tree,
    undo_history,
    visible_rows,
)
from .hands import (
    BACKGROUND,
    FOREGROUND,
    busy,
    docker_texts,
    patiently,
    pause,
    photograph,
    press,
    set_steps,
    type_into,
    wait_until,
)
from .processes import slowed_down

SMALL = (128, 128)


def at(document):
    """Where the active layer is: the number of the top-level layer from the bottom, and its own name."""
    node = document.activeNode()
    name, top = node.name(), node
    while top.parentNode().parentNode() is not None:
        top = top.parentNode()
    ids = [each.uniqueId().toString() for each in document.rootNode().childNodes()]
    return [ids.index(top.uniqueId().toString()), name]


def work_on_what_is_seen(folder):
    """Five presses, each after a click on another kind of layer."""
    document = yield from new_document("Seen", SMALL)
    type_into("in the foreground;", FOREGROUND)
    type_into("in the background;", BACKGROUND)
    entries, facts = [len(undo_history())], {}
    first = yield from draw(document, "Generate")
    entries.append(len(undo_history()))
    facts["after generate"] = at(document)
    second = yield from draw(document, "New background")
    entries.append(len(undo_history()))
    facts["after new background"] = at(document)
    facts["same foreground"] = pixels(layer_of(second, "Foreground"), SMALL) == pixels(
        layer_of(first, "Foreground"), SMALL
    )
    yield from select(document, layer_of(second, "Background"))
    third = yield from draw(document, "New foreground")
    entries.append(len(undo_history()))
    facts["after new foreground"] = at(document)
    facts["background of the second"] = pixels(layer_of(second, "Background"), SMALL) == pixels(
        layer_of(third, "Background"), SMALL
    )
    yield from select(document, third)
    fourth = yield from draw(document, "Harmonise")
    entries.append(len(undo_history()))
    facts["after harmonise"] = at(document)
    fourth.setVisible(False)
    third.setVisible(False)
    document.refreshProjection()
    fifth = yield from draw(document, "New background")
    entries.append(len(undo_history()))
    facts["foreground of the second"] = pixels(layer_of(fifth, "Foreground"), SMALL) == pixels(
        layer_of(second, "Foreground"), SMALL
    )
    facts["history"], facts["entries"] = undo_history(), entries
    yield from photograph(folder / "seen.png")
    before = group_facts(fifth, SMALL)
    yield from do("edit_undo")
    facts["after undo"] = len(tree(document))
    yield from do("edit_redo")
    facts["after redo"] = len(tree(document))
    facts["same after redo"] = group_facts(fifth, SMALL) == before
    yield from close(document)
    return facts


def see_folded_groups(folder):
    """Three presses. Each adds one row to the list of layers; only the group that the artist unfolds is unfolded."""
    document = yield from new_document("Folded", SMALL)
    facts = {"rows": [visible_rows()], "active": [], "folded": []}
    for button in ("Generate", "New background"):
        group = yield from draw(document, button)
        yield from patiently(lambda: visible_rows() == facts["rows"][-1] + 1)  # Krita's list follows later
        yield from pause(0.5)
        facts["rows"].append(visible_rows())
        facts["active"].append(at(document))
        facts["folded"].append(group.collapsed())
    yield from photograph(folder / "folded.png")
    group.setCollapsed(False)
    yield from select(document, layer_of(group, "Background"))
    facts["unfolded"] = visible_rows()
    third = yield from draw(document, "New foreground")
    yield from pause(0.5)
    facts |= {"unfolded after": [group.collapsed(), third.collapsed(), visible_rows()], "then": at(document)}
    yield from photograph(folder / "folded-after.png")
    yield from close(document)
    return facts


def choose_another_layer_meanwhile(folder):
    """The artist goes on with another layer while the picture is drawn; that one stays active."""
    document = yield from new_document("Elsewhere", SMALL)
    other = document.createNode("Sketch", "paintlayer")
    document.rootNode().addChildNode(other, None)
    yield from select(document, document.rootNode().childNodes()[0])
    set_steps(4)
    with slowed_down():
        press("Generate")
        yield from select(document, other)
        assert busy(), docker_texts()
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    facts = {"active": at(document), "texts": docker_texts(), "tree": tree(document)}
    yield from close(document)
    return facts


def go_on_from_a_duplicated_group(folder):
    """The artist duplicates a group, renames the copy, and paints on its foreground."""
    document = yield from new_document("Twice", SMALL)
    group = yield from draw(document, "Generate")
    yield from select(document, group)
    yield from do("duplicatelayer")
    copy = document.rootNode().childNodes()[-1]
    facts = {"copy": copy.name()}
    layer_of(copy, "Foreground").setPixelData(bytes((10, 200, 30, 255)) * 400, 20, 20, 20, 20)
    yield from select(document, layer_of(copy, "Foreground"))
    new = yield from draw(document, "New background")
    facts["tree"] = [[node.name() for node in top.childNodes()] for top in document.rootNode().childNodes()]
    facts["same"] = pixels(layer_of(new, "Foreground"), SMALL) == pixels(layer_of(copy, "Foreground"), SMALL)
    copy.setName("My own name")
    for node in copy.childNodes():
        node.setName(f"{node.name()} of mine")
    yield from select(document, copy)
    yield from do("duplicatelayer")
    again = document.rootNode().childNodes()[2]
    facts["again"] = again.name()
    yield from select(document, layer_of(again, "Shadow of mine"))
    yield from draw(document, "Generate")
    facts["tree with other names"] = [
        [node.name() for node in top.childNodes()] for top in document.rootNode().childNodes()
    ]
    yield from close(document)
    return facts
