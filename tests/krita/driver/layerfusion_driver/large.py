"""Scenarios with large sheets: Krita goes on reacting while layers are added and exported."""

from krita import Selection

from .documents import close, draw, layer_of, new_document, tree
from .hands import (
    Stalls,
    busy,
    docker_texts,
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
    yield from wait_until(lambda: says(path.name), 400)
    return stalls.end()


def go_on_while_layers_come_and_go(folder):
    """A small and a large picture are inserted and exported."""
    facts = {}
    for size in SIZES:
        name = f"{size[0]}x{size[1]}"
        document = yield from new_document(name, size)
        set_steps(2)
        press("Generate")
        yield from wait_until(lambda: says("Adding the layers"))
        stalls = Stalls()
        yield from wait_until(lambda: not busy())
        facts[name] = {"insertion": stalls.end(), "tree": tree(document)}
        yield from pause(0.5)
        facts[name]["export"] = yield from export(folder / f"{name}.psd")
        facts[name]["texts"] = docker_texts()
        yield from close(document)
    return facts


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


ALL = [go_on_while_layers_come_and_go, draw_on_a_sheet_of_a3]
