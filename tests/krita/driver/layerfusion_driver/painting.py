"""Scenarios of an artist whose pen is on the canvas when layers arrive or Shadow and Light are about to follow."""

import time

from krita import Krita

from .documents import close, draw, layer_of, new_document, pixels, select, tree, undo_history
from .hands import busy, docker_texts, pause, photograph, press, qwindow, says, set_steps, wait_for_step, wait_until
from .processes import slowed_down
from .qt import QtCore, QtTest, QtWidgets

SIZE = (512, 512)
BRUSH, MOVE, TRANSFORM = "KritaShape/KisToolBrush", "KritaTransform/KisToolMove", "KisToolTransform"


def canvas():
    """The widget on which one paints the active document; those of the others lie below it."""
    area = qwindow().findChild(QtWidgets.QMdiArea)
    widgets = area.activeSubWindow().findChildren(QtWidgets.QWidget)
    return next(each for each in widgets if each.metaObject().className() in ("KisOpenGLCanvas2", "KisQPainterCanvas"))


class Pen:
    """The pointer on the canvas, which shows the document at 100 percent. Places are seen from the canvas's middle."""

    def __init__(self, x, y):
        self._x, self._y = x, y
        self._act(QtTest.QTest.mouseMove)
        self._act(QtTest.QTest.mousePress, QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier)

    def go(self, x, step=4):
        """Move it to the right in small steps, as far as `x`."""
        while self._x < x:
            self._x = min(x, self._x + step)
            self._act(QtTest.QTest.mouseMove)
            yield 0.02

    def tremble(self, until, seconds=600):
        """Hold it down as a hand does, until a condition is met."""
        began = time.monotonic()
        while not until() and time.monotonic() - began < seconds:
            for step in (1, -1):
                self._x += step
                self._act(QtTest.QTest.mouseMove)
                yield 0.1

    def lift(self):
        self._act(QtTest.QTest.mouseRelease, QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier)

    def _act(self, what, *how):
        widget = canvas()
        what(widget, *how, pos=QtCore.QPoint(widget.width() // 2 + self._x, widget.height() // 2 + self._y))


def take(tool):
    Krita.instance().action(tool).trigger()
    Krita.instance().activeWindow().activeView().canvas().resetZoom()
    yield from pause(0.5)


def painted(node, before):
    """The first and the last column in which a layer's pixels have changed."""
    after = pixels(node, SIZE)
    columns = {at // 4 % SIZE[0] for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new}
    return [min(columns), max(columns)] if columns else None


def paint_while_layers_arrive(folder):
    """A stroke is begun while a picture is drawn, and ended after it was."""
    document = yield from new_document("Painting", SIZE)
    yield from take(BRUSH)
    paper = document.activeNode()
    before, entries = pixels(paper, SIZE), len(undo_history())
    set_steps(4)
    with slowed_down():
        press("Generate")
        yield from wait_for_step()
        pen = Pen(-150, 0)
        yield from pen.go(-100)
    yield from pen.tremble(lambda: says("Waiting until your stroke or dialog is finished") or not busy())
    facts = {"texts": docker_texts(), "meanwhile": tree(document)}
    yield from pen.go(150, 25)  # soon: the plugin waits for a minute, and no picture of the screen is taken meanwhile
    pen.lift()
    yield from wait_until(lambda: not busy())
    yield from pause(0.5)
    facts |= {"painted": painted(paper, before), "tree": tree(document), "entries": undo_history()[entries:]}
    yield from close(document)
    return facts


def answer_a_dialog_while_layers_arrive(folder):
    """Krita's dialog for a new document is open when a picture is finished, and is cancelled after that."""
    document = yield from new_document("Asked", SIZE)
    set_steps(2)
    press("Generate")
    facts, began = {}, time.monotonic()

    def look():
        dialog = QtWidgets.QApplication.activeModalWidget()
        facts["waits"] = says("Waiting until your stroke or dialog is finished")
        if dialog is None or (not facts["waits"] and busy() and time.monotonic() - began < 600):
            QtCore.QTimer.singleShot(50, look)
            return
        facts["meanwhile"] = tree(document)
        dialog.reject()

    QtCore.QTimer.singleShot(50, look)
    Krita.instance().action("file_new").trigger()
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    facts["tree"] = tree(document)
    yield from close(document)
    return facts


def draw_a_line(tool, document, group):
    """Press the pen with a tool on the foreground while an update is being drawn, and lift it after that came."""
    foreground, shadow = layer_of(group, "Foreground"), layer_of(group, "Shadow")
    yield from pause(3)  # what was done with the last tool has been followed
    with slowed_down():  # the update must not come before the pen is down
        foreground.move(foreground.position().x() + 8, foreground.position().y())
        document.refreshProjection()
        yield from take(tool)
        before, place, entries = pixels(foreground, SIZE), foreground.position().x(), len(undo_history())
        shown, width = pixels(shadow, SIZE), foreground.bounds().width()
        pen, began = Pen(-60, 20), time.monotonic()
        yield from pen.go(0)
    yield from pen.tremble(lambda: time.monotonic() - began > 6)
    facts = {"meanwhile": pixels(shadow, SIZE) == shown}
    yield from pen.go(100)
    pen.lift()
    if tool == TRANSFORM:
        yield from pause(2.5)
        facts["before it is applied"] = [len(undo_history()) - entries, pixels(shadow, SIZE) == shown]
        Krita.instance().action(BRUSH).trigger()
    yield from wait_until(lambda: pixels(shadow, SIZE) != shown)
    facts |= {"moved": foreground.position().x() - place, "wider": foreground.bounds().width() - width}
    return facts | {"painted": painted(foreground, before), "entries": undo_history()[entries:]}


def paint_and_drag_while_shadow_and_light_follow(folder):
    """Live draws while the pen is down: it paints on the foreground, drags it, and transforms it."""
    document = yield from new_document("Live painting", SIZE)
    group = yield from draw(document, "Generate")
    yield from select(document, layer_of(group, "Foreground"))
    press("Live")
    yield from wait_until(lambda: says("Shadow and Light follow"))
    facts = {}
    for tool in (BRUSH, MOVE, TRANSFORM):
        facts[tool] = yield from draw_a_line(tool, document, group)
        yield from photograph(folder / f"live-{tool.rpartition('/')[2]}.png")
    press("Live")
    yield from close(document)
    return facts


ALL = [paint_while_layers_arrive, answer_a_dialog_while_layers_arrive, paint_and_drag_while_shadow_and_light_follow]
