"""Starting worker processes so that they import this package and Python's own modules, and nothing else."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext

SAFE_PATH = "PYTHONSAFEPATH"
"""The environment variable that keeps Python from adding the current folder to `sys.path` (since Python 3.11)."""

_one_at_a_time = threading.Lock()


@contextmanager
def spawning() -> Iterator[SpawnContext]:
    """Give `multiprocessing`'s spawn context; processes started inside the block never import from the current folder.

    `multiprocessing` starts its processes and its resource tracker with `python -c`, which searches for modules in the
    current folder first: a `types.py` or `json.py` in that folder would run instead of Python's own. `multiprocessing`
    cannot pass an interpreter option to a child, so the environment variable is set in this process while the block
    runs. The processes then get this process's `sys.path`.
    """
    with _one_at_a_time:  # two blocks in two threads would end each other's
        before = os.environ.get(SAFE_PATH)
        os.environ[SAFE_PATH] = "1"
        try:
            yield multiprocessing.get_context("spawn")
        finally:
            if before is None:
                del os.environ[SAFE_PATH]
            else:
                os.environ[SAFE_PATH] = before
