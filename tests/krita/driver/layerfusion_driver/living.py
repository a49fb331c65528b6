"""Scenarios of an artist who moves, scales and paints a foreground while its Shadow and Light follow."""

import time

from .documents import close, draw, group_facts, layer_of, new_document, pixels, select, tree, undo_history
from .hands import busy, button, docker_texts, pause, photograph, press, says, wait_until
from .processes import cpu_time
from .qt import QtCore

SIZE = (512, 512)


def follow_with_shadow_and_light(folder):
    """Live is switched on; the foreground is moved, scaled and painted; Live is switched off."""
    document = yield from new_document("Live", SIZE)
    group = yield from draw(document, "Generate")
    foreground = layer_of(group, "Foreground")
    yield from select(document, foreground)
    before, entries = group_facts(group, SIZE), len(undo_history())
    press("Live")
    yield from wait_until(lambda: says("Shadow and Light follow"))
    facts = {"layers": [node.name() for node in group.childNodes()], "entries": [len(undo_history()) - entries]}
    facts["active"] = document.activeNode().name()
    shadow = layer_of(group, "Shadow")
    seen, took, work = [pixels(shadow, SIZE)], [], []

    def move():
        foreground.move(foreground.position().x() + 60, foreground.position().y())

    def scale():
        box = foreground.bounds()
        corner = QtCore.QPointF(box.x(), box.y())
        foreground.scaleNode(corner, box.width() * 2 // 3, box.height() * 2 // 3, "Bicubic")
        document.waitForDone()

    def paint():
        foreground.setPixelData(bytes((10, 200, 30, 255)) * 14400, 30, 30, 120, 120)

    entries = len(undo_history())
    for change in (move, scale, paint):
        change()
        document.refreshProjection()
        began, used = time.monotonic(), cpu_time()
        yield from wait_until(lambda: pixels(shadow, SIZE) not in seen)
        took.append(round(time.monotonic() - began, 2))
        work.append(round(cpu_time() - used, 2))
        seen.append(pixels(shadow, SIZE))
        yield from pause(0.2)
    yield from photograph(folder / "live.png")
    facts |= {"took": took, "work": work, "differ": len(set(seen)), "texts": docker_texts(), "busy": busy()}
    facts["entries"].append(len(undo_history()) - entries)
    press("Live")
    yield from pause(0.4)
    facts |= {"layers after": [node.name() for node in group.childNodes()], "pressed": button("Live").isChecked()}
    after = group_facts(group, SIZE)
    facts["same"] = [one == other for one, other in zip(before, after, strict=True)]
    facts["entries"].append(len(undo_history()) - entries)
    press("Live")
    others = seen[0], seen[-1]  # the docker's words are still those of before
    yield from wait_until(lambda: pixels(shadow, SIZE) not in others)
    entries = len(undo_history())
    new = yield from draw(document, "Harmonise")
    facts["entries"].append(len(undo_history()) - entries)
    facts |= {"tree": tree(document), "in the result": [node.name() for node in new.childNodes()]}
    facts["shadow at the end"] = group_facts(group, SIZE)[2] == before[2]
    press("Live")
    yield from wait_until(lambda: says("Shadow and Light follow"))
    shadow = layer_of(new, "Shadow")
    shadow.setPixelData(bytes((0, 0, 0, 255)) * 10000, 0, 0, 100, 100)
    yield from wait_until(lambda: says("You have changed Shadow or Light"))
    facts |= {"painted": bytes(shadow.pixelData(5, 5, 1, 1)).hex(), "still pressed": button("Live").isChecked()}
    yield from close(document)
    return facts


ALL = [follow_with_shadow_and_light]
