"""Scenarios of an artist who opens files: some that LayerFusion has written, and one for which a picture waits."""

from krita import Krita

from .documents import close, draw, layer_of, new_document, pixels, select, show, tree
from .hands import busy, docker_texts, pause, press, says, set_steps, type_into, wait_for_step, wait_until
from .processes import slowed_down

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


def open_a_file_for_which_a_picture_waits(folder):
    """A saved document is closed while a picture is drawn for it, and opened again when that is finished."""
    document = yield from new_document("Waiting", SIZE)
    path = folder / "waiting.kra"
    document.setBatchmode(True)
    document.saveAs(str(path))
    set_steps(20)
    with slowed_down():
        press("Generate")
        yield from wait_for_step()
        yield from close(document)
    yield from wait_until(lambda: not busy())
    facts = {"closed": docker_texts()}
    document = Krita.instance().openDocument(str(path))
    facts["saved"] = tree(document)
    Krita.instance().activeWindow().addView(document)
    yield from wait_until(lambda: says("Drawn into “waiting.kra”."))
    yield from pause(0.3)
    facts |= {
        "tree": tree(document),
        "layers": [node.name() for node in document.rootNode().childNodes()[-1].childNodes()],
    }
    yield from close(document)
    return facts


ALL = [harmonise_our_files, open_a_file_for_which_a_picture_waits]
