"""Scenarios with large sheets: Krita goes on reacting while layers are added and exported."""

import hashlib
import random
import time

from krita import Krita, Selection

from .documents import close, do, draw, layer_of, new_document, select, tree
from .hands import (
    Stalls,
    busy,
    click_picture,
    docker_texts,
    history_texts,
    pause,
    photograph,
    press,
    save_next_dialog_as,
    says,
    set_steps,
    tick,
    wait_until,
)

SIZES = ((768, 512), (4000, 3000))
A3 = (4961, 3508)
"""At 300 pixels per inch."""


def bounds(node):
    box = node.bounds()
    return [box.x(), box.y(), box.width(), box.height()]


def export(path):
    """Export the selected group. Returns how long the window did not react meanwhile."""
    save_next_dialog_as(path)
    press("Export PSD…")
    stalls = Stalls()  # the dialog is over
    yield from wait_until(lambda: says(path.name))
    return stalls.end()


def go_on_while_layers_come_and_go(folder):
    """A small and a large picture are inserted and exported."""
    facts = {}
    for size in SIZES:
        name = f"{size[0]}x{size[1]}"
        document = yield from new_document(name, size)
        set_steps(2)
        press("Generate")
        stalls = Stalls()
        yield from wait_until(lambda: not busy())
        facts[name] = {"insertion": stalls.end(), "tree": tree(document)}
        yield from pause(0.5)
        facts[name]["export"] = yield from export(folder / f"{name}.psd")
        facts[name]["texts"] = docker_texts()
        yield from close(document)
    return facts


def keep_a_large_layer_with_a_mask(folder):
    """The artist's noisy layer fills the sheet, and has a mask. It is kept, its group deleted and put back."""
    size = SIZES[1]
    document = yield from new_document("Masked", size)
    layer = document.createNode("Noise", "paintlayer")
    rows = 250
    noise = random.Random(7).randbytes(4 * size[0] * rows)
    for top in range(0, size[1], rows):
        layer.setPixelData(noise, 0, top, size[0], rows)
    document.rootNode().addChildNode(layer, None)
    yield from select(document, layer)
    selection = Selection()
    selection.select(200, 150, 3000, 2000, 180)
    document.setSelection(selection)
    yield from do("add_new_transparency_mask")
    document.setSelection(None)
    layer.setBlendingMode("screen")
    document.refreshProjection()
    document.waitForDone()
    yield from select(document, layer)
    set_steps(2)
    press("New background")
    stalls = Stalls()
    yield from wait_until(lambda: not busy())
    facts = {"keeping": stalls.end()}
    yield from pause(0.5)
    group = document.rootNode().childNodes()[-1]
    before = look_at_kept(group)
    yield from select(document, group)
    yield from do("remove_layer")
    yield from wait_until(lambda: "was deleted" in history_texts()[0])
    click_picture(0)
    stalls = Stalls()
    yield from wait_until(lambda: not busy())
    facts["putting back"] = stalls.end()
    yield from pause(0.5)
    after = look_at_kept(document.rootNode().childNodes()[-1])
    facts["opening"] = time_to_open(folder / "small.kra")
    facts |= {"same": after == before, "masks": len(before) - 3, "texts": docker_texts()}
    yield from close(document)
    return facts


def time_to_open(path):
    """Milliseconds of CPU time in which Krita opens a file of one pixel: putting back has one such call."""
    document = Krita.instance().createDocument(1, 1, "Small", "RGBA", "U8", "", 300.0)
    document.setBatchmode(True)
    document.saveAs(str(path))
    document.close()
    began = time.thread_time()
    document = Krita.instance().openDocument(str(path))
    took = time.thread_time() - began
    document.close()
    return round(1000 * took)


def look_at_kept(group):
    """Name, blending mode, pixels and masks of the layer that was kept."""
    copy = layer_of(group, "Noise")
    digests = [
        hashlib.sha256(bytes(node.pixelData(0, 0, *SIZES[1]))).hexdigest() for node in (copy, *copy.childNodes())
    ]
    return [copy.name(), copy.blendingMode(), *digests]


def draw_on_a_sheet_of_a3(folder):
    """The sheet is larger than the server draws. A foreground comes into a selection of it."""
    document = yield from new_document("A3", A3)
    selection = Selection()
    selection.select(2600, 1800, 1800, 1400, 255)
    document.setSelection(selection)
    tick("Draw the foreground in the selection")
    group = yield from draw(document, "Generate")
    tick("Draw the foreground in the selection")
    document.setSelection(None)
    facts = {"texts": docker_texts(), "background": bounds(layer_of(group, "Background"))}
    facts["foreground"] = bounds(layer_of(group, "Foreground"))
    yield from photograph(folder / "a3.png")
    facts["export"] = yield from export(folder / "a3.psd")
    yield from close(document)
    return facts


ALL = [go_on_while_layers_come_and_go, keep_a_large_layer_with_a_mask, draw_on_a_sheet_of_a3]
