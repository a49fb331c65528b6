"""A scenario of an artist who draws a foreground into selections that are no rectangles."""

from krita import Selection

from .documents import close, draw, layer_of, new_document, pixels
from .hands import docker, photograph, press, tick, tool, type_into
from .qt import QtCore, QtWidgets

SIZE = (256, 256)


def wedge():
    """A triangle in the lower left of 150 x 150 px, with an edge that fades over 32 px."""
    return bytes(min(255, max(0, 8 * (y - x + 16))) for y in range(150) for x in range(150))


def select_mask(document, mask, x, y, width, height):
    selection = Selection()
    selection.resize(width, height)
    selection.setPixelData(QtCore.QByteArray(mask), 0, 0, width, height)
    selection.move(x, y)
    document.setSelection(selection)


def draw_in_a_lasso(folder):
    """The first foreground is drawn in a soft triangle; the place of the second is an ellipse."""
    document = yield from new_document("Lasso", SIZE)
    select_mask(document, wedge(), 20, 80, 150, 150)
    yield from photograph(folder / "lasso.png")
    tick("Draw the foreground in the selection")
    group = yield from draw(document, "Generate", steps=4)
    tick("Draw the foreground in the selection")
    alpha, mask = pixels(layer_of(group, "Foreground"), SIZE)[3::4], wedge()
    places = [(256 * (y + 80) + x + 20, mask[150 * y + x]) for y in range(150) for x in range(150)]
    facts = {
        "outside": sum(alpha) - sum(alpha[at] for at, _ in places),
        "more than the selection": max(alpha[at] - inside for at, inside in places),
        "solid": sum(alpha[at] > 127 for at, _ in places),
    }
    yield from photograph(folder / "lasso-drawn.png")
    press("Add another foreground")
    type_into("What foreground 2 shows", "a penguin")
    ellipse = bytes(
        255 if ((x - 50) / 50) ** 2 + ((y - 60) / 60) ** 2 < 1 else 0 for y in range(120) for x in range(100)
    )
    select_mask(document, ellipse, 130, 20, 100, 120)
    press("Place…")
    facts["place"] = [each.text() for each in rows() if " at " in each.text()]
    document.setSelection(None)
    second = yield from draw(document, "Generate", steps=4)
    other = next(node for node in second.childNodes() if node.name() == "Foreground 2")
    alpha = pixels(other, SIZE)[3::4]
    inside = [256 * (y + 20) + x + 130 for y in range(120) for x in range(100) if ellipse[100 * y + x]]
    facts |= {"inside": sum(alpha[at] for at in inside) / max(1, sum(alpha)), "all": sum(alpha) // 255}
    yield from photograph(folder / "lasso-place.png")
    tool("Do not draw foreground 2").click()
    yield from close(document)
    return facts


def rows():
    return [each for each in docker().findChildren(QtWidgets.QPushButton) if each.isVisible()]


ALL = [draw_in_a_lasso]
