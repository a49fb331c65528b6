"""What Krita loads: the docker, and an entry in its menu that brings the docker back when it was closed."""

from __future__ import annotations

from krita import DockWidgetFactory, DockWidgetFactoryBase, Extension, Krita, Window

from .docker import ID, TITLE, Docker


class LayerFusion(Extension):
    """Tools ▸ Scripts ▸ Show LayerFusion."""

    def setup(self) -> None:
        """Krita calls this once, and there is nothing to do."""

    def createActions(self, window: Window) -> None:
        action = window.createAction("layerfusion_show", f"Show {TITLE}", "tools/scripts")
        action.triggered.connect(lambda *_: _show_docker())


def _show_docker() -> None:
    """A docker that is hidden in the saved layout of the window stays hidden until it is asked for."""
    for docker in Krita.instance().activeWindow().dockers():
        if docker.objectName() == ID:
            docker.setVisible(True)
            docker.raise_()


def register() -> None:
    """Tell Krita about the plugin; called once, when Krita imports it."""
    krita = Krita.instance()
    # Krita 5 has the place directly on the class, Krita 6 in an enum of its own
    positions = getattr(DockWidgetFactoryBase, "DockPosition", DockWidgetFactoryBase)
    krita.addDockWidgetFactory(DockWidgetFactory(ID, positions.DockRight, Docker))
    krita.addExtension(LayerFusion(krita))
