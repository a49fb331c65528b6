"""A scenario of an artist who moves and paints a foreground while its Shadow and Light follow."""

import time

from .documents import close, draw, group_facts, layer_of, new_document, pixels, select, tree, undo_history
from .hands import busy, button, docker_texts, pause, photograph, press, says, wait_until

SIZE = (512, 512)


def follow_with_shadow_and_light(folder):
    """Live is switched on; the foreground is moved, then painted; Live is switched off."""
    document = yield from new_document("Live", SIZE)
    group = yield from draw(document, "Generate")
    foreground = layer_of(group, "Foreground")
    yield from select(document, foreground)
    before, entries = group_facts(group, SIZE), len(undo_history())
    press("Live")
    yield from wait_until(lambda: says("Shadow and Light follow"))
    preview = group.childNodes()[-1]
    facts = {"layers": [node.name() for node in group.childNodes()], "entries": [len(undo_history()) - entries]}
    facts["hidden"] = [layer_of(group, name).visible() for name in ("Shadow", "Light")]
    facts["active"] = document.activeNode().name()
    shadow, light = preview.childNodes()
    facts["blends"] = [shadow.blendingMode(), light.blendingMode(), preview.name()]
    seen, took = [pixels(shadow, SIZE)], []
    entries = len(undo_history())
    for step in range(3):
        if step < 2:
            foreground.move(foreground.position().x() + 60, foreground.position().y())
        else:
            foreground.setPixelData(bytes((10, 200, 30, 255)) * 14400, 30, 30, 120, 120)
        document.refreshProjection()
        began = time.monotonic()
        yield from wait_until(lambda: pixels(shadow, SIZE) not in seen)
        took.append(round(time.monotonic() - began, 2))
        seen.append(pixels(shadow, SIZE))
        yield from pause(0.2)
    yield from photograph(folder / "live.png")
    facts |= {"took": took, "differ": len(set(seen)), "texts": docker_texts(), "busy": busy()}
    facts["entries"].append(len(undo_history()) - entries)
    press("Live")
    yield from pause(0.4)
    facts |= {"layers after": [node.name() for node in group.childNodes()], "pressed": button("Live").isChecked()}
    after = group_facts(group, SIZE)
    facts["same"] = [one == other for one, other in zip(before, after, strict=True)]
    press("Live")
    yield from wait_until(lambda: says("Shadow and Light follow"))
    new = yield from draw(document, "Harmonise")
    facts |= {"tree": tree(document), "in the result": [node.name() for node in new.childNodes()]}
    facts["layers at the end"] = [node.name() for node in group.childNodes()]
    yield from close(document)
    return facts


ALL = [follow_with_shadow_and_light]
