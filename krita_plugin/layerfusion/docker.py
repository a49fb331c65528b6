"""The docker of one Krita window, with its fields and buttons. All decisions are in the controller."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from krita import DockWidget, Krita

from . import launcher, layout
from .application import Application
from .drawing_buttons import DrawingButtons
from .fields import Fields, rolled_seed
from .history_entry import Entry
from .history_strip import HistoryStrip, StripIntents
from .images import Picture
from .interfaces import GenerationParams, Pick, Picks, Region, Stored, Waiting
from .job_panel import JobPanel
from .jobs import Remedy
from .keys import Keys
from .picks_panel import PicksPanel
from .picture_browser import BrowserIntents, PictureBrowser
from .protocol.messages import Style, Welcome
from .qt import QtCore, QtGui, QtWidgets
from .queue_list import QueueList
from .settings_dialog import SettingsDialog
from .style_row import StyleIntents
from .translation import tr
from .variants_row import VariantsRow
from .widgets import StateLine, push_button, tool

ID = "layerfusion_docker"
TITLE = "LayerFusion"
FIRST_SIZE = QtCore.QSize(300, 420)
"""The size that the docker gets when it is shown for the first time."""
BESIDE = "PresetDocker"
"""Krita's Brush Presets. A fourth docker in their column would have the height of two lines on a small screen."""


class Docker(DockWidget):
    """The docker of one Krita window; it implements the controller's `View`.

    Args:
        application: what all windows share.
    """

    def __init__(self, application: Application) -> None:
        self._colours = ""  # Qt sends events before the docker is complete
        super().__init__()
        self.setWindowTitle(TITLE)
        self._application = application
        self._online = self._busy = False
        self._build()
        self._colours = self._window_colour()
        application.attach(self)
        self.destroyed.connect(lambda *_: application.views.detach(self))  # Krita deletes it with its window

    def canvasChanged(self, canvas: object) -> None:
        """Krita calls this when another document is shown, or none; the first time before the docker is complete."""
        if canvas is not None and hasattr(self, "_panel"):
            self._application.later(self._show_document)

    def enterEvent(self, a0: QtCore.QEvent) -> None:
        """The pointer comes in, perhaps to press a button: show what it would work on."""
        self._application.guarded(lambda: self._application.controller.look(anew=True))(None)
        super().enterEvent(a0)

    def changeEvent(self, event: QtCore.QEvent) -> None:
        """Krita has another theme: icons have the colours of the one for which they were made."""
        super().changeEvent(event)
        kinds = QtCore.QEvent.Type.PaletteChange, QtCore.QEvent.Type.StyleChange
        if event.type() in kinds and self._colours:
            self._application.later(self._follow_theme)  # Krita 5.3 and 6 have the new colours only after the event

    def showEvent(self, a0: QtGui.QShowEvent) -> None:
        """The first time, take a place where it can be used; afterwards the artist's arrangement counts."""
        super().showEvent(a0)
        if Krita.instance().readSetting(ID, "placed", "") == "":
            Krita.instance().writeSetting(ID, "placed", "yes")
            self._application.later(self._take_place)

    def _follow_theme(self) -> None:
        """One change of the theme brings several events."""
        if self._colours != self._window_colour():
            self._colours = self._window_colour()
            self._application.views.rebuild()

    def _window_colour(self) -> str:
        return self.palette().color(QtGui.QPalette.ColorRole.Window).name()

    def _take_place(self) -> None:
        window = self.window()
        beside = window.findChild(QtWidgets.QDockWidget, BESIDE)
        if not isinstance(window, QtWidgets.QMainWindow) or beside is None or self.isFloating():
            return
        window.tabifyDockWidget(beside, self)
        self.raise_()
        needed = self._content.minimumSizeHint().width() + self._scroll_bar.sizeHint().width()
        width = max(FIRST_SIZE.width(), needed)  # words are longer in some languages
        window.resizeDocks([self], [width], QtCore.Qt.Orientation.Horizontal)
        window.resizeDocks([self], [FIRST_SIZE.height()], QtCore.Qt.Orientation.Vertical)

    # ---- the controller's View ---------------------------------------------------------------------------------------

    def rebuild(self) -> None:
        before, params = self.widget(), self._params()
        if self._browser is not None:
            self._browser.close()
        self._build()
        before.deleteLater()
        self._fill(params)

    def show_server(self, welcome: Welcome | None, words: str, startable: bool = False) -> None:
        self._online = welcome is not None
        self._server.show_state(words, good=self._online)
        self._start_box.setVisible(startable)
        if welcome is not None:
            self._fields.show_models(welcome)
            self._server.setToolTip(self._fields.about_model())
        self._update_buttons()

    def show_job(self, words: str, step: int, total: int) -> None:
        self._busy = True
        self._panel.show_job(words, step, total)

    def show_idle(self) -> None:
        self._busy = False
        self._panel.show_idle()

    def show_queue(self, waiting: tuple[Waiting, ...]) -> None:
        self._queue.show_waiting(waiting)

    def show_preview(self, picture: Picture) -> None:
        self._panel.show_preview(picture)

    def show_picks(self, picks: Picks) -> None:
        self._picks.show_picks(picks)
        self._picks.show_current(self._params())

    def show_history(self, entries: tuple[Entry, ...]) -> None:
        self._history.show_entries(entries)
        self._fields.show_model_pictures(self._history.by_model())
        self._all.setText("…" if entries else tr("Your pictures…"))
        vertical = QtWidgets.QSizePolicy.Policy.Expanding if entries else QtWidgets.QSizePolicy.Policy.Fixed
        self._all.setSizePolicy(QtWidgets.QSizePolicy.Policy.Fixed, vertical)

    def show_stored(self, pictures: tuple[Stored, ...], more: bool) -> None:
        if self._browser is not None:
            self._browser.show_stored(pictures, more)

    def show_variants(self, index: int, count: int) -> None:
        self._variants.show_variants(index, count)

    def show_styles(self, styles: tuple[Style, ...] | None) -> None:
        self._fields.show_styles(styles)

    def show_live(self, on: bool) -> None:
        self._live.setChecked(on)

    def note(self, text: str) -> None:
        self._panel.note(text)

    def say(self, message: str, hint: str = "", remedy: Remedy | None = None) -> None:
        self._panel.show_message(message, hint, remedy, warning=False)

    def warn(self, message: str, hint: str = "", remedy: Remedy | None = None) -> None:
        self._panel.show_message(message, hint, remedy, warning=True)

    def clear(self) -> None:
        self._panel.clear()

    def press(self, name: str) -> None:
        """Press the button of an action of `shortcuts`, as a click does: nothing happens if it cannot be pressed."""
        button = self._pressed_by[name]
        if button.isEnabled() and not button.isHidden():
            button.click()

    # ---- buttons -----------------------------------------------------------------------------------------------------

    def _show_document(self) -> None:
        """Another document is shown: show what was typed for it, and add what waits for it."""
        params = self._application.controller.typed.of_document()
        if params is not None:
            self._fill(params)
        self._application.controller.document_shown()

    def _fill(self, params: GenerationParams) -> None:
        self._fields.fill(params)
        self._buttons.strength.set_fraction(params.strength)

    def _params(self) -> GenerationParams:
        return self._fields.params(self._buttons.strength.fraction())

    def _remember(self) -> None:
        self._application.controller.typed.remember(self._params())
        self._picks.show_current(self._params())

    def _use(self, params: GenerationParams) -> None:
        """Fill in how a group was made."""
        self._fill(params)
        self._remember()

    def _use_seed(self, params: GenerationParams) -> None:
        """Fill in the seed of a picture, and keep it for the next one."""
        self._fields.keep_seed(params.seed)
        self._remember()

    def _again(self, key: str, other_seed: bool) -> None:
        """Draw a picture of the history again."""
        history = self._application.controller.history
        params = history.params(key)
        if params is not None:
            self._application.views.clear()
            history.again(key, rolled_seed() if other_seed else params.seed)

    def _fill_from_history(self, key: str, fill: Callable[[GenerationParams], None]) -> None:
        params = self._application.controller.history.params(key)
        if params is not None:
            fill(params)

    def _show_picture(self, key: str) -> None:
        self._application.views.clear()
        self._application.controller.history.show(key)

    def _browse(self) -> None:
        """Open the window with all pictures of the user, or bring it to the front."""
        stored = self._application.controller.stored
        self._application.views.clear()
        if self._browser is None and stored.open():
            self._browser = PictureBrowser(
                self,
                BrowserIntents(take=self._take, more=stored.more, close=self._close_browser),
                self._application.guarded,
            )
            self._browser.show()
        elif self._browser is not None:
            self._browser.raise_()
            self._browser.activateWindow()

    def _close_browser(self) -> None:
        self._browser = None
        self._application.controller.stored.close()

    def _take(self, job: str) -> None:
        self._application.views.clear()
        self._application.controller.stored.take(job)

    def _draw(self, name: str) -> None:
        """Do what one of the buttons that draw is for; they have the names of the controller's methods."""
        controller = self._application.controller
        self._application.views.clear()
        self._fields.roll_unless_locked()
        self._fields.remember_prompts()
        controller.live.end()
        intent = controller.history.again_with if name == "again" else getattr(controller, name)
        intent(self._params())

    def _toggle_live(self) -> None:
        self._application.views.clear()
        if self._live.isChecked():
            self._application.controller.live.begin(self._params())
        else:
            self._application.controller.live.end()

    def _generate(self) -> None:
        if self._buttons.by_name["generate"].isEnabled():
            self._draw("generate")

    def _cancel(self) -> None:
        if self._busy:
            self._application.controller.cancel()

    def _export(self) -> None:
        self._application.controller.export_psd(self._choose_path)

    def _choose_path(self, suggested: Path) -> str:
        dialog = QtWidgets.QFileDialog(self, tr("Export PSD"), str(suggested.parent), "Photoshop (*.psd)")
        dialog.setAcceptMode(QtWidgets.QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("psd")  # so that the dialog asks about the file that is written
        dialog.selectFile(suggested.name)
        return dialog.selectedFiles()[0] if dialog.exec() else ""

    def _open_settings(self) -> None:
        application = self._application
        SettingsDialog(self, self._start_server, application.change_language, application.guarded).open()

    def _copy_command(self) -> None:
        QtGui.QGuiApplication.clipboard().setText(self._command.text())

    def _start_server(self) -> None:
        self._application.views.clear()
        self._application.controller.start_server()

    def _selected_region(self) -> Region | None:
        self._application.views.clear()
        return self._application.controller.typed.selected_region()

    def _candidates(self, role: str) -> list[Pick]:
        return self._application.controller.choosing.candidates(role)

    def _choose(self, role: str, layer: str | None) -> None:
        self._application.controller.choosing.choose(role, layer)

    def _update_buttons(self) -> None:
        for button in self._buttons.by_name.values():
            button.setEnabled(self._online)
        self._all.setEnabled(self._online)

    # ---- layout ------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        guarded = self._application.guarded
        styles = StyleIntents(
            save=lambda style, replaces: self._application.controller.styles.save(style, replaces),
            delete=lambda name: self._application.controller.styles.delete(name),
        )
        server, buttons = self._build_server(), self._build_buttons()
        self._fields = Fields(self._selected_region, styles, guarded, buttons)
        self._fields.changed.connect(lambda: guarded(self._remember)(None))
        self._content = content = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(content)
        column.setContentsMargins(8, 6, 8, 8)
        column.setSpacing(6)
        column.addWidget(server)
        column.addWidget(self._fields)
        column.addStretch(1)
        scroll = QtWidgets.QScrollArea()
        scroll.setWidget(content)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._scroll_bar = scroll.verticalScrollBar()
        self._panel = JobPanel(guarded(self._cancel), guarded)
        self._queue = QueueList(
            lambda job: self._application.controller.draw_earlier(job),
            lambda job: self._application.controller.cancel_one(job),
            guarded,
        )
        self._variants = VariantsRow(
            lambda by: self._application.controller.variants.step(by),
            lambda: self._application.controller.variants.keep(),
            guarded,
        )
        self._history = HistoryStrip(
            StripIntents(
                show=self._show_picture,
                use_prompts=lambda key: self._fill_from_history(key, self._use),
                use_seed=lambda key: self._fill_from_history(key, self._use_seed),
                again=self._again,
                remove=lambda key, deleted: self._application.controller.history.remove(key, deleted),
            ),
            guarded,
        )
        self._all = QtWidgets.QToolButton()
        self._all.setObjectName("layerfusion_all_pictures")
        self._all.setText(tr("Your pictures…"))
        self._all.setToolTip(tr("All your pictures: from the studio, other documents and the command line"))
        self._all.setAccessibleName(tr("Your pictures…"))
        self._all.clicked.connect(guarded(self._browse))
        self._browser: PictureBrowser | None = None
        pictures = layout.row(self._history, self._all, stretch=0)
        pictures.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Fixed)
        export = push_button(
            tr("Export PSD…"), tr("Write the selected group of layers to a PSD file"), guarded(self._export)
        )
        self._pressed_by |= {"export_psd": export, "cancel": self._panel.cancel, **self._variants.buttons}
        pinned = layout.row(self._buttons.by_name["generate"], export, stretch=0)
        pinned.setContentsMargins(8, 0, 8, 6)
        whole = layout.box(scroll, self._variants, pictures, self._panel, self._queue, pinned)
        self.setWidget(whole)
        self._keys = Keys(whole, guarded(self._generate), guarded(self._cancel))

    def _build_server(self) -> QtWidgets.QWidget:
        guarded = self._application.guarded
        self._server = StateLine()
        self._command = QtWidgets.QLineEdit(launcher.as_text(launcher.command()))
        self._command.setReadOnly(True)
        self._command.setToolTip(tr("The command that starts the server, to type in a terminal"))
        self._command.setCursorPosition(0)
        copy = tool(Krita.instance().icon("edit-copy"), tr("Copy the command"), guarded(self._copy_command))
        start = push_button(
            tr("Start server"), tr("Start the drawing server on this computer"), guarded(self._start_server)
        )
        self._start_box = layout.box(start, layout.row(self._command, copy))
        self._settings = tool(Krita.instance().icon("configure"), tr("Settings…"), guarded(self._open_settings))
        return layout.box(layout.row(self._server, self._settings, stretch=0), self._start_box)

    def _build_buttons(self) -> QtWidgets.QWidget:
        guarded = self._application.guarded
        self._picks = PicksPanel(self._candidates, self._choose, self._use, guarded)
        self._buttons = DrawingButtons(self._picks, self._draw, self._toggle_live, guarded)
        self._live = self._buttons.by_name["live"]
        self._pressed_by: dict[str, QtWidgets.QAbstractButton] = {**self._buttons.by_name, "settings": self._settings}
        return self._buttons
