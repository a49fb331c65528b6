"""What a person at the screen does and sees: press, type, wait, look. Nothing here knows the plugin's insides.

What takes time is a generator that yields the seconds until it wants to go on: `yield from pause(1)`. A nested event
loop would be shorter, but inside one Krita puts off what keeps its own layer list up to date.
"""

import subprocess
import time

from krita import Krita

from .qt import QtCore, QtGui, QtTest, QtWidgets

SIZE = (512, 384)
FOREGROUND, BACKGROUND = "a red apple", "a beach at sunset"


def pause(seconds):
    yield seconds


def wait_until(condition, seconds=600):
    """Returns the seconds it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds} s: {docker_texts()}")
        yield 0.02
    return time.monotonic() - began


def patiently(condition, seconds=60):
    """Wait until a condition is met, but not for ever: a test then tells what was found instead."""
    began = time.monotonic()
    while not condition() and time.monotonic() - began < seconds:
        yield 0.02


class Stalls:
    """How long Krita's window does not react, measured as the CPU time that its thread uses between two turns of the
    event loop: a busy machine does not change it."""

    def __init__(self):
        self._began = self._last = time.thread_time()
        self.longest = 0.0
        self._timer = QtCore.QTimer()
        self._timer.timeout.connect(self._look)
        self._timer.start(1)

    def _look(self):
        now = time.thread_time()
        self.longest, self._last = max(self.longest, now - self._last), now

    def end(self):
        """Longest stall and all CPU time of the thread, in milliseconds."""
        self._look()
        self._timer.stop()
        return {"longest": round(1000 * self.longest), "all": round(1000 * (self._last - self._began))}


# ---- the window ------------------------------------------------------------------------------------------------------


def is_open():
    """Whether Krita's first window is there, with the docker in it."""
    window = Krita.instance().activeWindow()
    return window is not None and window.qwindow().isVisible() and docker(None) is not None


def first_look(folder):
    """The window as Krita opens it, on a screen of 1280x800 pixels; the artist has arranged nothing yet."""
    Krita.instance().activeWindow().qwindow().setGeometry(0, 0, 1280, 800)
    yield from pause(0.5)
    if Krita.instance().version().startswith("5.1"):  # the others begin without dockers
        yield from patiently(lambda: docker().isVisible() and in_sight(button("Generate")))
    yield from photograph(folder / "first-look.png")
    return {
        "visible": docker().isVisible(),
        "size": [docker().width(), docker().height()],
        "in sight": [text for text in ("Generate", "Export PSD…") if in_sight(button(text))],
        "window": [each() for each in (qwindow().width, qwindow().height)],
    }


def qwindow():
    return Krita.instance().activeWindow().qwindow()


def activate_window():
    """Give Krita's window the keyboard, as a click on it does."""
    qwindow().activateWindow()
    yield from patiently(lambda: QtWidgets.QApplication.activeWindow() == qwindow())
    yield from pause(0.2)


def show_window():
    Krita.instance().activeWindow().qwindow().setGeometry(0, 0, 1600, 1000)
    for other in Krita.instance().dockers():
        if other.objectName() in ("PresetDocker", "ColorSelectorNg", "sharedtooldocker"):
            other.setVisible(False)  # room for ours
    docker().setVisible(True)
    docker().raise_()
    window = Krita.instance().activeWindow().qwindow()
    window.resizeDocks([docker()], [320], QtCore.Qt.Orientation.Horizontal)
    window.resizeDocks([docker()], [560], QtCore.Qt.Orientation.Vertical)
    yield from pause(0.5)


def photograph(path):
    yield from pause(0.3)
    subprocess.run(["import", "-window", "root", str(path)], check=True, timeout=120)


def script_errors():
    """Titles and texts of Krita's dialogs about exceptions in plugins, and of other open error messages."""
    found = []
    for window in QtWidgets.QApplication.topLevelWidgets():
        title = f"{type(window).__name__} {window.windowTitle()}"
        if window.isVisible() and ("ExceptHook" in title or "error" in title.lower()):
            found.append(title + "".join(text.toPlainText() for text in window.findChildren(QtWidgets.QTextEdit)))
    return found


def quit_krita():
    for document in Krita.instance().documents():
        document.setBatchmode(True)
        document.setModified(False)
        document.close()
    QtCore.QTimer.singleShot(0, Krita.instance().action("file_quit").trigger)


# ---- the docker ------------------------------------------------------------------------------------------------------


def docker(*default):
    found = (docker for docker in Krita.instance().dockers() if docker.objectName() == "layerfusion_docker")
    return next(found, *default)


def docker_texts():
    return [label.text() for label in docker().findChildren(QtWidgets.QLabel) if label.isVisible() and label.text()]


def says(words):
    return any(words in text for text in docker_texts())


def button(text):
    return next(button for button in docker().findChildren(QtWidgets.QPushButton) if button.text() == text)


def press(text):
    assert button(text).isEnabled() and button(text).isVisible(), f"“{text}” can not be pressed: {docker_texts()}"
    button(text).click()


def tool(description):
    return next(tool for tool in docker().findChildren(QtWidgets.QToolButton) if tool.toolTip() == description)


def tick(text):
    next(box for box in docker().findChildren(QtWidgets.QCheckBox) if box.text() == text).click()


def type_into(place, text):
    field = next(field for field in docker().findChildren(QtWidgets.QPlainTextEdit) if place in field.toolTip())
    field.setPlainText(text)


def type_prompts():
    type_into("in the foreground;", FOREGROUND)
    type_into("in the background;", BACKGROUND)


def wait_for_step(step=1):
    """Wait until a picture is being drawn and has got so far. A quick machine may be through sooner: `slowed_down`."""
    assert busy(), docker_texts()
    yield from wait_until(lambda: progress() is not None and progress()[0] >= step)


def field(kind, description):
    """The field of a class whose tooltip begins with these words."""
    return next(field for field in docker().findChildren(kind) if field.toolTip().startswith(description))


def set_steps(steps):
    field(QtWidgets.QSpinBox, "Number of drawing steps").setValue(steps)


def set_pictures(pictures):
    field(QtWidgets.QSpinBox, "Number of pictures").setValue(pictures)


def seed(value=None):
    line = field(QtWidgets.QLineEdit, "The same seed")
    if value is not None:
        line.setText(str(value))
    return int(line.text())


def in_sight(widget):
    """Whether all of a widget is on the screen, not scrolled away and not cut off."""
    return widget.isVisible() and widget.visibleRegion().boundingRect().size() == widget.size()


def pick_button(role):
    return docker().findChild(QtWidgets.QToolButton, f"layerfusion_{role}")


def choose(role, words):
    """Click on the foreground or background that the docker shows, and on the entry of its menu with these words.

    Returns the texts of the menu's entries.
    """
    entries = []

    def click():
        menu = QtWidgets.QApplication.activePopupWidget()
        if menu is None:
            QtCore.QTimer.singleShot(50, click)
            return
        entries.extend(action.text() for action in menu.actions() if action.text())
        next(action for action in menu.actions() if words in action.text()).trigger()
        menu.close()

    QtCore.QTimer.singleShot(50, click)
    pick_button(role).showMenu()
    return entries


def history():
    """The row of thumbnails."""
    return docker().findChild(QtWidgets.QListWidget, "layerfusion_history")


def history_texts():
    """What is said about each picture of the history when the pointer is over it, the newest first."""
    return [history().item(index).toolTip() for index in range(history().count())] if history().isVisible() else []


def queue():
    """The texts of the rows of the list of waiting pictures, and the buttons of each."""
    widget = docker().findChild(QtWidgets.QWidget, "layerfusion_queue")
    if not widget.isVisible():
        return []
    labels = [label for label in widget.findChildren(QtWidgets.QLabel) if label.isVisible() and label.text()]
    labels.sort(key=lambda label: label.mapTo(widget, label.rect().topLeft()).y())
    return [(label.text(), label.parentWidget().findChildren(QtWidgets.QToolButton)) for label in labels]


def press_in_queue(row, description):
    """Press a button of a waiting picture."""
    next(button for button in queue()[row][1] if button.toolTip() == description).click()


def click_picture(index):
    """Click on a picture of the history; 0 is the newest."""
    history().scrollToItem(history().item(index))
    place = history().visualItemRect(history().item(index)).center()
    QtTest.QTest.mouseClick(
        history().viewport(), QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier, place
    )


def choose_for_picture(index, words):
    """Open the context menu of a picture of the history, and choose the entry with these words.

    Returns the texts of the menu's entries.
    """
    place = history().visualItemRect(history().item(index)).center()
    event = QtGui.QContextMenuEvent(
        QtGui.QContextMenuEvent.Reason.Mouse, place, history().viewport().mapToGlobal(place)
    )
    QtWidgets.QApplication.sendEvent(history().viewport(), event)
    menu = QtWidgets.QApplication.activePopupWidget()
    entries = [action.text() for action in menu.actions() if action.text()]
    next(action for action in menu.actions() if words in action.text()).trigger()
    menu.close()
    return entries


def busy():
    return button("Cancel").isVisible()


def progress_bar():
    return docker().findChildren(QtWidgets.QProgressBar)[0]


def progress():
    """(step, total) of the progress bar; None if it is hidden or has no total."""
    bar = progress_bar()
    return (bar.value(), bar.maximum()) if bar.isVisible() and bar.maximum() > 0 else None


def preview_size():
    shown = [label.pixmap() for label in docker().findChildren(QtWidgets.QLabel) if label.isVisible()]
    sizes = [pixmap.size() for pixmap in shown if pixmap is not None and not pixmap.isNull()]  # Qt 5 gives None
    return [sizes[0].width(), sizes[0].height()] if sizes else None


def save_next_dialog_as(path):
    """Type a path in the next file dialog and accept it."""

    def look():
        dialog = QtWidgets.QApplication.activeModalWidget()
        if not isinstance(dialog, QtWidgets.QFileDialog):
            QtCore.QTimer.singleShot(50, look)
            return
        dialog.findChild(QtWidgets.QLineEdit).setText(str(path))
        next(button for button in dialog.findChildren(QtWidgets.QPushButton) if button.text() == "&Save").click()

    QtCore.QTimer.singleShot(50, look)
