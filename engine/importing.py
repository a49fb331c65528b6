"""Importing the engine's networks: thousands of modules of torch, diffusers and transformers, in seconds."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collection() -> Iterator[None]:
    """Pause Python's cyclic garbage collector while modules are imported inside the block.

    Hardly anything that importing makes becomes garbage, but the collector looks through all of it again and again,
    which takes a quarter of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def without(package: str) -> Iterator[None]:
    """Inside the block, a package that has not been imported yet seems not to be installed.

    For one that others import if it is there, and that nothing in this process uses: diffusers imports SciPy's
    statistics for one option of its samplers, and transformers its optimisation for detectors, together a seventh of
    all that a first picture imports. Both remember that it is missing. So a process of our own may do this, and a
    library may not.
    """
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment] - Python's way to say that a module does not exist
    try:
        yield
    finally:
        del sys.modules[package]
