"""What the plugin registers with Krita: the docker, a menu entry that shows it, and an action for each button."""

from __future__ import annotations

from krita import DockWidgetFactory, DockWidgetFactoryBase, Extension, Krita, Window

from . import preferences
from .application import Application
from .docker import ID, Docker
from .qt import QtWidgets
from .shortcuts import ACTIONS, action_id, caption
from .translation import tr


class LayerFusion(Extension):
    """Tools ▸ Scripts ▸ Show LayerFusion, and actions without a menu entry, to which the artist may give shortcuts."""

    def setup(self) -> None:
        """Krita requires this method. There is nothing to set up."""

    def createActions(self, window: Window) -> None:
        show = window.createAction(action_id("show"), "", "tools/scripts")
        show.setText(tr("Show LayerFusion"))
        show.triggered.connect(lambda *_: _show_docker())
        for name in ACTIONS:
            action = window.createAction(action_id(name), "", "")
            action.setText(caption(name))  # afterwards, because Krita has taken it from the .action file
            action.setToolTip(action.text())
            action.triggered.connect(lambda *_, name=name: _press(name))


def _press(name: str) -> None:
    """Press a button of the docker of the active window."""
    window = Krita.instance().activeWindow().qwindow()
    for docker in window.findChildren(Docker):
        docker.press(name)


def _show_docker() -> None:
    """Show the docker, which may be hidden in the saved layout of the window."""
    window = Krita.instance().activeWindow().qwindow()
    for docker in window.findChildren(QtWidgets.QDockWidget, ID):  # Krita 5.1 has no list of a window's dockers
        docker.setVisible(True)
        docker.raise_()


def register() -> None:
    """Register the plugin with Krita; called once, when Krita imports the package."""
    krita = Krita.instance()
    preferences.use_language()
    # Krita 5 has the dock positions directly on the class, Krita 6 in an enum
    positions = getattr(DockWidgetFactoryBase, "DockPosition", DockWidgetFactoryBase)
    application = Application()
    krita.addDockWidgetFactory(DockWidgetFactory(ID, positions.DockRight, lambda: Docker(application)))
    krita.addExtension(LayerFusion(krita))
