"""Where other programs keep their models: the folders that they make, and those that their settings name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from layerfusion.engine.models.catalog.program_settings import read_settings

_INNER = (".", "ComfyUI", "app", "Data")
"""Where the program itself is inside a folder that holds it: krita-ai-diffusion's server and ComfyUI's portable version
have `ComfyUI`, Pinokio has `app`, StabilityMatrix has `Data`."""

_MODELS = ("models", "Models")

_MODEL_KINDS = (
    *("checkpoints", "Stable-diffusion", "Stable-Diffusion", "StableDiffusion", "vae", "VAE", "layer_model"),
    *("unet", "diffusion_models", "DiffusionModels", "diffusers", "Diffusers"),
)
"""Folders below `models`: ComfyUI's and Fooocus', A1111's and Forge's, SwarmUI's, StabilityMatrix'."""

_NETWORK_KINDS = ("loras", "Lora", "lora", "LyCORIS", "embeddings", "Embeddings", "Embedding", "TextualInversion")

_PROGRAMS = (
    *("ComfyUI", "comfyui", "ComfyUI_windows_portable", "stable-diffusion-webui", "stable-diffusion-webui-forge"),
    *("invokeai", "InvokeAI", "SwarmUI", "Fooocus", "StabilityMatrix", "pinokio"),
)


@dataclass(frozen=True)
class Places:
    """Where a program's models are.

    Attributes:
        models: folders to search, and files.
        networks: the folders among them that have LoRAs and textual inversions.
        unread: settings that cannot be read, with the reason.
    """

    models: tuple[Path, ...]
    networks: tuple[Path, ...]
    unread: tuple[tuple[Path, str], ...] = ()


def places(program: Path) -> Places:
    """Where the models of a program are.

    Args:
        program: its folder, its folder of models, or any folder. One that is of no known form is searched whole.
    """
    models: list[Path] = []
    networks: list[Path] = []
    unread: list[tuple[Path, str]] = []
    for root in _roots(program):
        folders = [root / name for name in _MODELS]
        models += [folder / kind for folder in folders for kind in _MODEL_KINDS]
        found = [folder / kind for folder in (*folders, root) for kind in _NETWORK_KINDS]
        set_models, set_networks, problems = read_settings(root)
        models += [*found, *set_models]
        networks += [*found, *set_networks]
        unread += problems
        if (root / "databases").is_dir():  # InvokeAI's own folder has a sub-folder for each model
            models.append(root / "models")
    models = _once([*models, *sorted((program / "drive" / "drives" / "peers").glob("*"))])  # Pinokio's shared folders
    if not any(path not in networks for path in models):
        models = _once([*([program / "models"] if (program / "models").is_dir() else [program]), *models])
    return Places(tuple(models), tuple(path for path in _once(networks) if path.is_dir()), tuple(unread))


def usual_folders(home: Path | None = None) -> tuple[Path, ...]:
    """The folders of other programs on this machine, as far as they are where the programs' installers put them."""
    home = home or Path.home()
    roots = [home, home / "Documents", home / "AI", home / "git"]
    data = _data_folder(home)
    if sys.platform == "win32":
        roots += [Path(f"{letter}:/") for letter in "CDE"]
        roots.append(Path(os.environ.get("LOCALAPPDATA", str(home))) / "Programs")
    candidates = [
        *(root / program for root in roots for program in _PROGRAMS),
        data / "krita" / "ai_diffusion" / "server",
        data / "ComfyUI",
        data / "StabilityMatrix",
        *([home / ".config" / "ComfyUI", home / ".config" / "StabilityMatrix"] if sys.platform == "linux" else []),
    ]
    return tuple(_once(path for path in candidates if _has_models(path)))


def _data_folder(home: Path) -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", str(home / "AppData" / "Roaming")))
    return home / "Library" / "Application Support" if sys.platform == "darwin" else home / ".local" / "share"


def _roots(program: Path) -> list[Path]:
    """The folders that may have models folders and settings: the program's, and those of Pinokio's programs."""
    roots = [program / inner for inner in _INNER]
    if (program / "api").is_dir() and (program / "drive").is_dir():  # Pinokio
        apps = [path for path in sorted((program / "api").iterdir()) if path.is_dir()]
        roots += [app / inner for app in apps for inner in _INNER]
    return [root for root in roots if root.is_dir()]


def _has_models(path: Path) -> bool:
    if not path.is_dir():
        return False
    found = places(path)
    return bool(found.unread) or any(place != path for place in found.models)


def _once(paths: Iterable[Path]) -> list[Path]:
    """The paths that exist, each once: on a file system that ignores case, two names may be the same folder."""
    found: dict[Path, Path] = {}
    for path in paths:
        if path.exists():
            found.setdefault(path.resolve(), path)
    return list(found.values())
