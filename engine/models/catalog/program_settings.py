"""The settings of other programs, as far as they say where their models are. They are read and never written.

| program | file | what it says |
|---|---|---|
| ComfyUI, krita-ai-diffusion's server | `extra_model_paths.yaml`, `extra_models_config.yaml` | more folders |
| Fooocus | `config.txt` | its folders |
| SwarmUI | `Data/Settings.fds` | its models folders |
| StabilityMatrix | `library.json` | its data folder |
| InvokeAI | `databases/invokeai.db` | each model that it knows, in its folder or elsewhere |
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

_LARGEST = 2**20
"""Largest file of settings in bytes."""

_NETWORK_KINDS = ("loras", "embeddings", "path_loras", "path_embeddings")
"""What the programs call folders with LoRAs and textual inversions."""

Named = Iterator[tuple[str, Path]]
"""Kinds and paths of what settings name."""


def read_settings(program: Path) -> tuple[list[Path], list[Path], list[tuple[Path, str]]]:
    """Where a program's settings say that its models are.

    Args:
        program: its folder.

    Returns:
        Folders and files of models; those folders among them that have LoRAs and textual inversions; and the settings
        that cannot be read, with the reason.
    """
    models: list[Path] = []
    networks: list[Path] = []
    unread: list[tuple[Path, str]] = []
    for inside, read in _READERS.items():
        file = program / inside
        if not file.is_file():
            continue
        try:
            for kind, path in read(file):
                models.append(path)
                if kind in _NETWORK_KINDS:
                    networks.append(path)
        except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError, sqlite3.Error) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            unread.append((file, f"{file} cannot be read: {reason:.200}"))
    return models, networks, unread


def _text(file: Path) -> str:
    if file.stat().st_size > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST} bytes")
    return file.read_text(encoding="utf-8-sig")


def _comfyui(file: Path) -> Named:
    import yaml

    try:
        sections = yaml.safe_load(_text(file)) or {}
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    for section in sections.values():
        if not section:
            continue
        base = _expanded(str(section.get("base_path") or "."), file.parent)
        for kind, paths in section.items():
            if kind not in ("base_path", "is_default", "custom_nodes"):
                for line in str(paths or "").splitlines():
                    if line.strip():
                        yield str(kind), _expanded(line.strip(), base)


def _fooocus(file: Path) -> Named:
    for key, value in json.loads(_text(file)).items():
        if key.startswith("path_") and key != "path_outputs":
            for path in value if isinstance(value, list) else [value]:
                yield key, _expanded(str(path), file.parent)


def _swarmui(file: Path) -> Named:
    root = re.search(r"^\s*ModelRoot:[ \t]*(\S.*?)\s*$", _text(file), re.MULTILINE)
    for path in root[1].split(";") if root else ():
        yield "models", _expanded(path.strip(), file.parents[1])


def _stability_matrix(file: Path) -> Named:
    library = json.loads(_text(file)).get("LibraryPath")
    if library:
        yield "models", _expanded(str(library), file.parent) / "Models"


def _invokeai(file: Path) -> Named:
    """What the table of models names; relative paths are relative to the folder `models` beside `databases`."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as database:
        rows = database.execute("SELECT config FROM models").fetchall()
    for (config,) in rows:
        values: Any = json.loads(config)
        if isinstance(values, dict) and isinstance(values.get("path"), str):
            yield str(values.get("type")), _expanded(values["path"], file.parents[1] / "models")


def _expanded(path: str, beside: Path) -> Path:
    return beside / Path(os.path.expandvars(path)).expanduser()


_READERS: dict[str, Callable[[Path], Named]] = {
    "extra_model_paths.yaml": _comfyui,
    "extra_models_config.yaml": _comfyui,
    "config.txt": _fooocus,
    "Data/Settings.fds": _swarmui,
    "library.json": _stability_matrix,
    "databases/invokeai.db": _invokeai,
}
"""A file of settings, relative to the program's folder -> its reader."""
