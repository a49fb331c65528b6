"""Importing the engine's networks: thousands of modules of torch, diffusers and transformers, in seconds."""

from __future__ import annotations

import gc
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
