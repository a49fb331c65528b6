"""Processes that other processes have started, as Linux lists them."""

import contextlib


def children(process):
    """The ids of the processes that a process has started and that run.

    Args:
        process: its folder in `/proc`.
    """
    found = set()
    for thread in (process / "task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread may end while it is looked at
            found |= {int(child) for child in (thread / "children").read_text().split()}
    return found
