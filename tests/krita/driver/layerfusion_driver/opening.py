"""Scenarios of an artist who opens files that LayerFusion has written outside Krita."""

from krita import Krita

from .documents import close, draw, layer_of, pixels, select, show, tree
from .hands import docker_texts, type_into

SIZE = (128, 128)


def harmonise_our_files(folder):
    """The docker's fields are empty: what the layers show is known from the file alone."""
    facts = {}
    for name in ("ours.psd", "ours.ora"):
        document = Krita.instance().openDocument(str(folder / name))
        Krita.instance().activeWindow().addView(document)
        yield from show(document)
        group = next(node for node in document.rootNode().childNodes() if node.type() == "grouplayer")
        while [child.type() for child in group.childNodes()] == ["grouplayer"]:  # as Krita reads an ORA
            (group,) = group.childNodes()
        foreground = layer_of(group, "Foreground")
        foreground.move(foreground.position().x() + 40, foreground.position().y() - 20)
        document.refreshProjection()
        document.waitForDone()
        yield from select(document, foreground)
        type_into("in the foreground;", "")
        type_into("in the background;", "")
        before = tree(document)
        kept = [pixels(layer_of(group, name), SIZE).hex() for name in ("Background", "Foreground")]
        new = yield from draw(document, "Harmonise")
        facts[name] = {
            "before": before,
            "group": new.name(),
            "layers": [node.name() for node in new.childNodes()],
            "kept": kept == [pixels(layer_of(new, name), SIZE).hex() for name in ("Background", "Foreground")],
            "texts": docker_texts(),
        }
        yield from close(document)
    return facts


ALL = [harmonise_our_files]
