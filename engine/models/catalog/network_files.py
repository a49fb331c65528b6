"""LoRAs and textual inversions that prompts name, in the folders where they are looked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from layerfusion.engine.models.catalog.registry import manifests_folder
from layerfusion.engine.models.catalog.walking import walk

OWN_FOLDERS = ("loras", "embeddings")
"""Sub-folders of the folder of manifests that are always searched; they may be links to another program's."""

_INVERSIONS = ("embeddings", "embedding", "textualinversion")
"""Names of folders with textual inversions, in lower case."""

_SUFFIXES = (".safetensors", ".sft")


def network_folders(more: Iterable[Path] = ()) -> tuple[Path, ...]:
    """The folders to search, in order: LayerFusion's own, then others."""
    own = [manifests_folder() / name for name in OWN_FOLDERS]
    return tuple(folder for folder in (*own, *more) if folder.is_dir())


def inversions(folders: Iterable[Path]) -> dict[str, Path]:
    """The textual inversions that a prompt can name without `embedding:`, as in A1111: name -> file.

    Only folders called so count, because any other network's name is an ordinary word in a prompt.
    """
    found: dict[str, Path] = {}
    for current, _, names in walk(folder for folder in folders if folder.name.casefold() in _INVERSIONS):
        for path in (current / file for file in names if file.lower().endswith(_SUFFIXES)):
            found.setdefault(path.stem, path)
    return found


def find_network(name: str, folders: Iterable[Path]) -> Path | None:
    """The file that a prompt names, or None.

    Args:
        name: the file's name without its suffix, or its path below one of the folders (“style/ink”); upper and lower
            case count only if several files differ in nothing else. A name can lead nowhere else.
        folders: where to look, with all folders inside.
    """
    wanted = name.strip().replace("\\", "/").strip("/")
    wanted = next((wanted.removesuffix(ending) for ending in _SUFFIXES if wanted.lower().endswith(ending)), wanted)
    similar = None
    for folder in folders:
        for current, _, names in walk([folder]):
            for path in (current / file for file in names if file.lower().endswith(_SUFFIXES)):
                below = path.relative_to(folder).with_suffix("").as_posix()
                if wanted in (path.stem, below):
                    return path
                if similar is None and wanted.casefold() in (path.stem.casefold(), below.casefold()):
                    similar = path
    return similar
