"""SHA-256 of model files, remembered on disk: a checkpoint has several gigabytes and hardly ever changes."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from layerfusion.engine.errors import EngineError
from layerfusion.engine.formats.files import replacing
from layerfusion.engine.models.catalog.published import digest_of
from layerfusion.engine.models.catalog.registry import manifests_folder
from layerfusion.engine.models.catalog.weight_source import WeightSource

_NAME = ".digests"
_SMALL = 2**26
"""Files below this size, in bytes, are read again: it takes no time to speak of."""

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
            return digest_of(file)
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
