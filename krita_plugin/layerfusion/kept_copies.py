"""Copies of kept layers with masks, saved in the document, so that a picture that is put back has them byte for byte.

The server has only what a kept layer shows. A layer with masks or with a blending mode that the server does not know is
saved whole: its masks and properties as a small .kra file in an annotation of the document, which is saved and copied
with it, and its pixels in another one. Krita writes a .kra file in one call that blocks its window for as long as there
are pixels in it; pixels are read in strips and packed in another thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from krita import InfoObject, Krita

from . import packed_pixels
from .jobs import KeptLayer
from .qt import QtCore
from .scratch import SMALLEST, hidden, until_done

ANNOTATION = "layerfusion-kept/"
"""Prefix of the names of the annotations with .kra files; the SHA-256 of what the layer shows follows."""

PIXELS = "layerfusion-kept-pixels/"
"""Prefix of those with the pixels; `packed_pixels` says how they are written."""

_PLAIN = ("normal", "multiply", "add")
"""The blending modes that the server knows."""


def save(document: Any, kept: dict[str, KeptLayer]) -> Iterator[None]:
    """Save the copies that the server could not give back, step by step.

    Args:
        document: Krita's document.
        kept: the layers that were kept, by the SHA-256 of what they show.
    """
    for sha256, layer in kept.items():
        if document.rootNode() is None:  # the artist has closed it
            return
        if layer.copy is None or ANNOTATION + sha256 in document.annotationTypes():
            continue
        if not layer.copy.childNodes() and layer.copy.blendingMode() in _PLAIN:
            continue
        with (
            hidden(SMALLEST, document.resolution(), document.colorProfile()) as scratch,
            tempfile.TemporaryDirectory(prefix="layerfusion-") as folder,
        ):
            if (scratch.colorModel(), scratch.colorDepth()) != (document.colorModel(), document.colorDepth()):
                scratch.setColorSpace(document.colorModel(), document.colorDepth(), document.colorProfile())
            yield  # Krita takes long to make a document, and to close one
            scratch.rootNode().addChildNode(layer.copy.duplicate(), None)
            (node,) = scratch.rootNode().childNodes()
            masks = [mask.duplicate() for mask in node.childNodes()]
            for mask in node.childNodes():
                mask.remove()
            yield
            pixels = yield from packed_pixels.pack(node)
            node.cropNode(0, 0, *SMALLEST)  # masks would be cropped, too, and writing transparent pixels leaves them
            yield from until_done(scratch)
            for mask in masks:
                node.addChildNode(mask, None)
            yield
            path = Path(folder) / "kept.kra"
            if scratch.exportImage(str(path), InfoObject()):
                for name, data in ((PIXELS, pixels), (ANNOTATION, path.read_bytes())):
                    yield
                    value = QtCore.QByteArray(data)
                    yield
                    if document.rootNode() is not None:
                        document.setAnnotation(name + sha256, "LayerFusion", value)
            yield
        yield


def find(document: Any, sha256: str) -> Generator[None, None, Any | None]:
    """A copy that was saved, which is in no document, step by step; None if there is none, or a damaged one."""
    name = ANNOTATION + sha256
    if name not in document.annotationTypes():
        return None
    with tempfile.TemporaryDirectory(prefix="layerfusion-") as folder:
        path = Path(folder) / "kept.kra"
        path.write_bytes(bytes(document.annotation(name)))
        opened = Krita.instance().openDocument(str(path))
        if opened is None:
            return None
        try:
            yield
            nodes = opened.rootNode().childNodes()
            node = nodes[0].duplicate() if nodes else None
            yield
        finally:
            opened.setModified(False)
            opened.close()
    yield
    pixels = document.annotation(PIXELS + sha256)
    try:
        if node is not None:
            yield from packed_pixels.unpack(memoryview(pixels), node)
    except packed_pixels.Damaged:  # the file may come from a stranger
        return None
    return node
