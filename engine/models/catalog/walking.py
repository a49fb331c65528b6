"""Walking through folders of model files, along links to other folders and never twice through the same."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

LARGEST = 20_000
"""Files after which a search ends, because the folder is probably a whole disk."""


def walk(folders: Iterable[Path]) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Every folder below some folders, with its sub-folders and files, both sorted, as `os.walk` gives them.

    Links are followed; one that leads back is not. Hidden folders are left out. Clearing the list of sub-folders
    keeps the walk out of them.
    """
    count, walked = 0, set[str]()
    for folder in folders:
        for current, subfolders, names in os.walk(folder, followlinks=True):
            real = os.path.realpath(current)
            if real in walked:
                subfolders.clear()
                continue
            walked.add(real)
            count += len(names)
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            yield Path(current), subfolders, sorted(names)
            if count > LARGEST:
                return
