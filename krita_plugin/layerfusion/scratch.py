"""Hidden documents, in which Krita composites, converts and scales layers without touching the artist's document."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from typing import Any

from krita import Krita

SRGB = "sRGB-elle-V2-srgbtrc.icc"
"""The profile in which the server draws, by the name that Krita gives it."""
PATIENCE = 60
"""Seconds after which a hidden document is used as it is."""
SMALLEST = 1, 1
"""The size of a document in which Krita has nothing to composite while layers are added."""


@contextlib.contextmanager
def hidden(size: tuple[int, int], resolution: float, profile: str = SRGB) -> Iterator[Any]:
    """A document of 8-bit RGB without layers and without a window; it is closed at the end of the block.

    Args:
        size: width and height in pixels.
        resolution: in pixels per inch.
        profile: the name of its colour profile.
    """
    # Krita fills the first layer of a new document, which takes as long as it is large
    document = Krita.instance().createDocument(*SMALLEST, "LayerFusion", "RGBA", "U8", profile, resolution)
    try:
        document.setBatchmode(True)  # no dialogs, for example about features that a file format does not support
        document.setModified(False)
        for node in document.rootNode().childNodes():
            node.remove()
        if size != SMALLEST:
            document.resizeImage(0, 0, *size)
            document.waitForDone()
        yield document
    finally:
        document.setModified(False)
        document.close()


def until_done(document: Any) -> Generator[None, None, bool]:
    """Yields until Krita has finished what it does to a document in other threads, without blocking this one.

    Returns:
        False if it has not finished after `PATIENCE` seconds. Krita 5.1.5
        can keep a document locked for minutes.
    """
    began = time.monotonic()
    while not document.tryBarrierLock():
        if time.monotonic() - began > PATIENCE:
            return False
        yield
    document.unlock()
    return True
