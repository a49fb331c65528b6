"""Fetching models from Hugging Face: the only part of the engine that may use the network, and only when it is told to.

Files go into the usual cache of `huggingface_hub`, so other programs share them; downloads show a bar and go on where
they were interrupted. `HF_HUB_OFFLINE`, `HF_HOME`, `HF_TOKEN` and `HF_ENDPOINT` work as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from layerfusion.engine.errors import DownloadFailed
from layerfusion.engine.models.catalog.weight_source import HubWeights

T = TypeVar("T")

_SMALL = ("model_index.json", "scheduler/*.json", "tokenizer/*", "tokenizer_2/*")
_WEIGHTS = {
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "text_encoder": "model",
    "text_encoder_2": "model",
}


def fetch(place: HubWeights) -> tuple[HubWeights, Path]:
    """Fetch a file, or a whole model in diffusers layout in half precision where it has that.

    Returns:
        the place with its commit in it, so that it never changes by itself, and where it lies now.

    Raises:
        DownloadFailed: offline, no such repository, file or revision, no permission, or the disk is full.
    """
    path = _downloading(place, lambda: Path(_fetch_file(place) if place.file else _fetch_folder(place)))
    return replace(place, revision=_commit(path) or place.revision), path


def _fetch_file(place: HubWeights) -> str:
    return hf_hub_download(place.repo, place.file, revision=place.revision)


def _fetch_folder(place: HubWeights) -> str:
    names = [sibling.rfilename for sibling in HfApi().model_info(place.repo, revision=place.revision).siblings or ()]
    return snapshot_download(place.repo, revision=place.revision, allow_patterns=wanted_files(names))


def wanted_files(names: list[str]) -> list[str]:
    """Of a repository's files, those of one SDXL model: of each part the half-precision weights, else the full ones.

    Pickles, other formats and other variants are left where they are.
    """
    wanted: list[str] = list(_SMALL)
    for folder, stem in _WEIGHTS.items():
        wanted.append(f"{folder}/config.json")
        own = [name for name in names if name.startswith(f"{folder}/{stem}") and name.endswith(".safetensors")]
        half = [name for name in own if ".fp16" in name]
        full = [name for name in own if name.count(".") == 1]
        wanted += half or full
        wanted += [name for name in names if name.startswith(f"{folder}/{stem}.safetensors.index")]
    return wanted


def _commit(path: Path) -> str | None:
    """The commit a path in the cache belongs to: …/snapshots/<commit>/…"""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts[:-1] else None


def _downloading(place: HubWeights, download: Callable[[], T]) -> T:
    """What goes wrong becomes one sentence with a remedy."""
    page = f"https://huggingface.co/{place.repo}"
    try:
        return download()
    except GatedRepoError as error:
        raise DownloadFailed(
            f"{place.repo} is given only to those who accept its terms.",
            f"Accept them at {page}, run “hf auth login”, and try again.",
        ) from error
    except RepositoryNotFoundError as error:
        raise DownloadFailed(
            f"There is no model {place.repo} at Hugging Face, or it is private.", f"Look at {page}."
        ) from error
    except RevisionNotFoundError as error:
        raise DownloadFailed(f"{place.repo} has no revision “{place.revision}”.", f"Look at {page}.") from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        offline = constants.is_offline_mode()
        reason = "offline mode is on (HF_HUB_OFFLINE)" if offline else "huggingface.co cannot be reached"
        remedy = "Unset HF_HUB_OFFLINE" if offline else "Check the connection"
        raise DownloadFailed(
            f"{place} is not on this machine, and {reason}.",
            f"{remedy}, or fetch it elsewhere and name the file: see “layerfusion models add --help”.",
        ) from error
    except EntryNotFoundError as error:
        raise DownloadFailed(f"{place.repo} has no file “{place.file}”.", f"Look at {page}/tree/main.") from error
    except Exception as error:  # the library's network errors are those of whichever HTTP client its version uses
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DownloadFailed(
            f"{place} could not be fetched: {reason}",
            "Check the connection and the free space, and try again: it goes on where it stopped.",
        ) from error
