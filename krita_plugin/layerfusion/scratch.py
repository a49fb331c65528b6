"""Hidden documents, in which Krita composites, converts and scales layers without touching the artist's document."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from krita import Krita

SRGB = "sRGB-elle-V2-srgbtrc.icc"
"""The profile in which the server draws, by the name that Krita gives it."""


@contextlib.contextmanager
def hidden(size: tuple[int, int], resolution: float, profile: str = SRGB) -> Iterator[Any]:
    """A document of 8-bit RGB without layers and without a window; it is closed at the end of the block.

    Args:
        size: width and height in pixels.
        resolution: in pixels per inch.
        profile: the name of its colour profile.
    """
    # Krita fills the first layer of a new document, which takes as long as it is large
    document = Krita.instance().createDocument(1, 1, "LayerFusion", "RGBA", "U8", profile, resolution)
    try:
        document.setBatchmode(True)  # no dialogs, for example about features that a file format does not support
        document.setModified(False)
        for node in document.rootNode().childNodes():
            node.remove()
        document.resizeImage(0, 0, *size)
        document.waitForDone()
        yield document
    finally:
        document.setModified(False)
        document.close()


def until_done(document: Any) -> Iterator[None]:
    """Yields until Krita has finished what it does to a document in other threads, without blocking this one."""
    while not document.tryBarrierLock():
        yield
    document.unlock()
