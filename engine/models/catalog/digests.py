"""SHA-256 of model files, which are asked for in every job and hardly ever change. Those of large files, which have
several gigabytes, are remembered on disk."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from layerfusion.engine.errors import EngineError
from layerfusion.engine.formats.files import replacing
from layerfusion.engine.models.catalog.published import digest_of
from layerfusion.engine.models.catalog.registry import manifests_folder
from layerfusion.engine.models.catalog.weight_source import WeightSource

_NAME = ".digests"
_SMALL = 2**26
"""Files below this size, in bytes, are remembered in this process only: reading one again takes 10 ms or so."""

_UNET = Path("unet", "diffusion_pytorch_model.safetensors")
_MAX_ENTRIES = 1000


def known_digest(source: WeightSource) -> str:
    """The SHA-256 of a model's file, or of the UNet's file in a folder, in hexadecimal digits; empty if there is none.

    A file of the same path, size and time of change is not read again.
    """
    path = source.locate()
    file = path / _UNET if path is not None and path.is_dir() else path
    if file is None or not file.is_file():
        return ""
    store = manifests_folder() / _NAME
    entries: dict[str, Any] = {}
    try:
        stat = file.stat()
        if stat.st_size < _SMALL:
            return _of_small(file, _fingerprint(stat))
        with suppress(OSError, ValueError, RecursionError):
            known = json.loads(store.read_bytes())
            entries = known if isinstance(known, dict) else {}
        state = [stat.st_size, stat.st_mtime_ns]
        entry = entries.get(str(file))
        if isinstance(entry, list) and entry[:2] == state and isinstance(entry[-1], str):
            return entry[-1]
        digest = digest_of(file)
    except (OSError, EngineError):
        return ""
    newest = dict([*entries.items(), (str(file), [*state, digest])][-_MAX_ENTRIES:])
    with suppress(OSError, EngineError):  # without the folder, or without the right to write there, it is read again
        store.parent.mkdir(parents=True, exist_ok=True)
        with replacing(store) as stream:
            stream.write(json.dumps(newest).encode())
    return digest


@lru_cache(maxsize=100)
def _of_small(file: Path, _state: tuple[int, ...]) -> str:
    """The SHA-256 of a file that is in this state."""
    return digest_of(file)


def _fingerprint(found: os.stat_result) -> tuple[int, ...]:
    """What changes when somebody writes to a file."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
