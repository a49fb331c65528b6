"""Scenarios about the docker itself: several windows, small windows, keys, buttons that solve problems."""

from krita import Krita

from .documents import close, draw, layer_of, new_document, pixels, select, show, tree
from .hands import (
    BACKGROUND,
    FOREGROUND,
    activate_window,
    busy,
    button,
    choose,
    docker,
    docker_texts,
    field,
    in_sight,
    patiently,
    pause,
    photograph,
    pick_button,
    press,
    qwindow,
    says,
    script_errors,
    seed,
    set_steps,
    type_prompts,
    wait_for_step,
    wait_until,
)
from .processes import slowed_down
from .qt import QtCore, QtTest, QtWidgets

SMALL = (128, 128)


def close_the_second_window(folder):
    """Generate is pressed in a second window, which is closed while the picture is drawn."""
    document = yield from new_document("Two windows", SMALL)
    first = Krita.instance().activeWindow()
    second = Krita.instance().openWindow()
    yield from pause(1.5)

    def docker_of_second():
        return second.qwindow().findChild(QtWidgets.QDockWidget, "layerfusion_docker")

    yield from wait_until(lambda: docker_of_second() is not None)
    second.addView(document)
    second.activate()
    yield from pause(0.5)
    other = docker_of_second()
    other.setVisible(True)
    facts = {"dockers": len({id(each) for each in (other, docker())})}
    other_button = next(each for each in other.findChildren(QtWidgets.QPushButton) if each.text() == "Generate")
    yield from patiently(other_button.isEnabled)
    facts["ready"] = other_button.isEnabled()
    for place, text in (("What is in the foreground", FOREGROUND), ("What is in the background", BACKGROUND)):
        next(
            each for each in other.findChildren(QtWidgets.QPlainTextEdit) if each.toolTip().startswith(place)
        ).setPlainText(text)
    next(each for each in other.findChildren(QtWidgets.QSpinBox) if "drawing steps" in each.toolTip()).setValue(40)
    with slowed_down():
        other_button.click()
        yield from wait_for_step()
        facts["first window shows it"] = busy()
        document.setModified(False)  # Krita 6 asks about it, although the other window shows it
        second.qwindow().close()
        yield from pause(0.5)
    first.activate()
    yield from show(document)
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    facts |= {"tree": tree(document), "texts": docker_texts(), "errors": script_errors()}
    type_prompts()
    again = yield from draw(document, "Generate")
    facts["again"] = [node.name() for node in again.childNodes()]
    yield from close(document)
    return facts


def work_in_a_small_docker(folder):
    """The docker is as low as Krita makes it; the job, Cancel and the message stay in sight."""
    document = yield from new_document("Low", SMALL)
    window = qwindow()
    docker().setVisible(False)
    Krita.instance().action("layerfusion_show").trigger()
    shown_again = docker().isVisible()
    window.resizeDocks([docker()], [200], QtCore.Qt.Orientation.Vertical)
    yield from pause(0.3)
    facts = {"height": docker().height(), "shown again": shown_again}
    set_steps(60)
    with slowed_down():
        press("Generate")
        yield from wait_for_step(2)
        facts["cancel in sight"] = in_sight(button("Cancel"))
        yield from photograph(folder / "small-docker.png")
        press("Cancel")
    yield from pause(0.2)
    window.resizeDocks([docker()], [560], QtCore.Qt.Orientation.Vertical)
    yield from close(document)
    return facts


def use_the_keyboard(folder):
    """Ctrl+Enter in a prompt generates, Escape cancels; Enter alone is a new line."""
    document = yield from new_document("Keys", SMALL)
    prompt = field(QtWidgets.QPlainTextEdit, "What is in the background")
    text = prompt.toPlainText()
    set_steps(60)
    with slowed_down():
        QtTest.QTest.keyClick(prompt, QtCore.Qt.Key.Key_Return, QtCore.Qt.KeyboardModifier.ControlModifier)
        facts = {"busy after ctrl+enter": busy(), "text": prompt.toPlainText() == text}
        yield from wait_for_step()
        QtTest.QTest.keyClick(prompt, QtCore.Qt.Key.Key_Escape)
    facts |= {"busy after escape": busy(), "texts": docker_texts()}
    QtTest.QTest.keyClick(prompt, QtCore.Qt.Key.Key_Return)
    facts["lines after enter"] = prompt.toPlainText().count("\n")
    prompt.setPlainText(text)
    facts["busy after enter"] = busy()
    yield from close(document)
    return facts


def press_keys(key):
    """Press Ctrl and a key in Krita's window."""
    QtTest.QTest.keyClick(qwindow(), key, QtCore.Qt.KeyboardModifier.ControlModifier)


def use_shortcuts(folder):
    """Every button has an action in Krita; the artist presses the keys that were given to some of them."""
    document = yield from new_document("Shortcuts", SMALL)
    names = ("generate", "new_background", "new_foreground", "harmonise", "again", "relight", "cancel", "export_psd")
    names += ("previous_variant", "next_variant", "keep_variant")
    facts = {"missing": [name for name in names if Krita.instance().action(f"layerfusion_{name}") is None]}
    for name, keys in (("generate", "Ctrl+F7"), ("new_background", "Ctrl+F8"), ("cancel", "Ctrl+F9")):
        Krita.instance().action(f"layerfusion_{name}").setShortcut(keys)
    set_steps(2)
    yield from activate_window()
    press_keys(QtCore.Qt.Key.Key_F7)
    facts["busy"] = busy()
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    press_keys(QtCore.Qt.Key.Key_F8)
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    facts["tree"] = tree(document)
    press_keys(QtCore.Qt.Key.Key_F9)  # there is nothing to cancel
    facts |= {"texts": docker_texts(), "errors": script_errors()}
    yield from close(document)
    return facts


def solve_a_problem_by_its_button(folder):
    """The foreground is hidden. The message has a button that shows it."""
    document = yield from new_document("Hidden", SMALL)
    group = yield from draw(document, "Generate")
    foreground = layer_of(group, "Foreground")
    foreground.setVisible(False)
    press("New background")
    facts = {"texts": docker_texts(), "in sight": in_sight(button("Show it"))}
    yield from photograph(folder / "remedy.png")
    press("Show it")
    facts["visible"] = foreground.visible()
    yield from draw(document, "New background")
    facts["tree"] = tree(document)
    yield from close(document)
    return facts


def choose_layers_in_the_docker(folder):
    """The docker shows what would be kept. The artist chooses the foreground of a group that is covered."""
    document = yield from new_document("Choices", SMALL)
    facts = {}
    yield from wait_until(lambda: "none yet" in pick_button("foreground").text())
    facts["empty"] = [pick_button(role).text() for role in ("foreground", "background")]
    first = yield from draw(document, "Generate")
    seed(99)
    second = yield from draw(document, "Generate")
    yield from wait_until(lambda: "none yet" not in pick_button("foreground").text())
    facts["drawn"] = [pick_button(role).text() for role in ("foreground", "background")]
    facts["thumbnails"] = [not pick_button(role).icon().isNull() for role in ("foreground", "background")]
    mine = document.createNode("R&D", "paintlayer")
    mine.setPixelData(bytes((10, 200, 30, 255)) * 1600, 20, 20, 40, 40)
    document.rootNode().addChildNode(mine, None)
    document.refreshProjection()
    yield from select(document, mine)
    yield from wait_until(lambda: "R&&D" in pick_button("foreground").text())
    facts["own layer"] = pick_button("foreground").text()
    first.setName("The first one")
    facts["entries"] = choose("foreground", "The first one")
    facts["chosen"] = pick_button("foreground").text()
    facts["other"] = pick_button("background").text()
    yield from photograph(folder / "choices.png")
    third = yield from draw(document, "Harmonise")
    facts["foreground of the first"] = pixels(layer_of(third, "Foreground"), SMALL) == pixels(
        layer_of(first, "Foreground"), SMALL
    )
    yield from patiently(lambda: "chosen" not in pick_button("foreground").text())
    facts["after"] = pick_button("foreground").text()
    facts["says"] = says("Drawn into")
    facts["second is another"] = pixels(layer_of(second, "Foreground"), SMALL) != pixels(
        layer_of(first, "Foreground"), SMALL
    )
    yield from close(document)
    return facts
