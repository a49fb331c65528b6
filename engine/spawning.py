"""Starting worker processes that run our code and nobody else's."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext

SAFE_PATH = "PYTHONSAFEPATH"
"""The variable that keeps a starting Python from putting the current folder before its own modules (Python 3.11)."""


@contextmanager
def spawning() -> Iterator[SpawnContext]:
    """Give `multiprocessing`'s spawn context; processes started inside the block never import from the current folder.

    `multiprocessing` starts them, and its resource tracker, with `python -c`, which looks for modules in the current
    folder first: a `types.py` or `json.py` that lies there would be run instead of Python's. It offers no way to hand
    a child an option, so the variable is set in this process for the time of the block. The processes then get this
    process's `sys.path`.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield multiprocessing.get_context("spawn")
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before
