"""Copies of kept layers with masks, saved in the document, so that a picture that is put back has them byte for byte.

The server has only what a kept layer shows. A layer with masks or with a blending mode that the server does not know is
saved whole, as a small .kra file in an annotation of the document, which is saved and copied with it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from krita import InfoObject, Krita

from .jobs import KeptLayer
from .qt import QtCore
from .scratch import SMALLEST, hidden

ANNOTATION = "layerfusion-kept/"
"""Prefix of the annotations' names; the SHA-256 of what the layer shows follows."""

_PLAIN = ("normal", "multiply", "add")
"""The blending modes that the server knows."""


def save(document: Any, kept: dict[str, KeptLayer]) -> Iterator[None]:
    """Save the copies that the server could not give back, step by step.

    Args:
        document: Krita's document.
        kept: the layers that were kept, by the SHA-256 of what they show.
    """
    for sha256, layer in kept.items():
        name = ANNOTATION + sha256
        if layer.copy is None or name in document.annotationTypes():
            continue
        if not layer.copy.childNodes() and layer.copy.blendingMode() in _PLAIN:
            continue
        with (
            hidden(SMALLEST, document.resolution(), document.colorProfile()) as scratch,
            tempfile.TemporaryDirectory(prefix="layerfusion-") as folder,
        ):
            if (scratch.colorModel(), scratch.colorDepth()) != (document.colorModel(), document.colorDepth()):
                scratch.setColorSpace(document.colorModel(), document.colorDepth(), document.colorProfile())
            scratch.rootNode().addChildNode(layer.copy.duplicate(), None)
            path = Path(folder) / "kept.kra"
            if scratch.exportImage(str(path), InfoObject()):
                document.setAnnotation(name, "LayerFusion", QtCore.QByteArray(path.read_bytes()))
        yield


def find(document: Any, sha256: str) -> Any | None:
    """A copy that was saved, which is in no document; None if there is none."""
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
            nodes = opened.rootNode().childNodes()
            return nodes[0].duplicate() if nodes else None
        finally:
            opened.setModified(False)
            opened.close()
