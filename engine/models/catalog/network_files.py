"""LoRAs and textual inversions that prompts name, in the folders where they are looked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from layerfusion.engine.models.catalog.registry import manifests_folder

OWN_FOLDERS = ("loras", "embeddings")
"""Sub-folders of the folder of manifests that are always searched; they may be links to another program's."""

PROGRAM_FOLDERS = ("models/loras", "models/Lora", "models/lora", "models/embeddings", "embeddings")
"""Where other programs keep them, relative to the program's folder."""

_SUFFIXES = (".safetensors", ".sft")
_LARGEST = 20_000
"""Files after which a search ends."""


def network_folders(more: Iterable[Path] = ()) -> tuple[Path, ...]:
    """The folders to search, in order: LayerFusion's own, then others."""
    own = [manifests_folder() / name for name in OWN_FOLDERS]
    return tuple(folder for folder in (*own, *more) if folder.is_dir())


def networks_of(program: Path) -> tuple[Path, ...]:
    """The folders in which another program keeps LoRAs and textual inversions."""
    return tuple(program / inside for inside in PROGRAM_FOLDERS if (program / inside).is_dir())


def find_network(name: str, folders: Iterable[Path]) -> Path | None:
    """The file that a prompt names, or None.

    Args:
        name: the file's name without its suffix, or its path below one of the folders (“style/ink”); upper and lower
            case count only if several files differ in nothing else. A name can lead nowhere else.
        folders: where to look, with all folders inside.
    """
    wanted = name.strip().replace("\\", "/").removesuffix(".safetensors").strip("/")
    similar = None
    count = 0
    for folder in folders:
        for current, subfolders, names in os.walk(folder, followlinks=True):
            subfolders[:] = sorted(sub for sub in subfolders if not sub.startswith("."))
            for file in sorted(names):
                count += 1
                if count > _LARGEST:
                    return similar
                path = Path(current, file)
                if path.suffix.lower() not in _SUFFIXES:
                    continue
                below = path.relative_to(folder).with_suffix("").as_posix()
                if wanted in (path.stem, below):
                    return path
                if similar is None and wanted.casefold() in (path.stem.casefold(), below.casefold()):
                    similar = path
    return similar
