"""What the plugin registers with Krita: the docker, and a menu entry that shows the docker after it was closed."""

from __future__ import annotations

from krita import DockWidgetFactory, DockWidgetFactoryBase, Extension, Krita, Window

from .application import Application
from .docker import ID, TITLE, Docker
from .qt import QtWidgets


class LayerFusion(Extension):
    """Tools ▸ Scripts ▸ Show LayerFusion."""

    def setup(self) -> None:
        """Krita requires this method. There is nothing to set up."""

    def createActions(self, window: Window) -> None:
        action = window.createAction("layerfusion_show", f"Show {TITLE}", "tools/scripts")
        action.triggered.connect(lambda *_: _show_docker())


def _show_docker() -> None:
    """Show the docker, which may be hidden in the saved layout of the window."""
    window = Krita.instance().activeWindow().qwindow()
    for docker in window.findChildren(QtWidgets.QDockWidget, ID):  # Krita 5.1 has no list of a window's dockers
        docker.setVisible(True)
        docker.raise_()


def register() -> None:
    """Register the plugin with Krita; called once, when Krita imports the package."""
    krita = Krita.instance()
    # Krita 5 has the dock positions directly on the class, Krita 6 in an enum
    positions = getattr(DockWidgetFactoryBase, "DockPosition", DockWidgetFactoryBase)
    application = Application()
    krita.addDockWidgetFactory(DockWidgetFactory(ID, positions.DockRight, lambda: Docker(application)))
    krita.addExtension(LayerFusion(krita))
