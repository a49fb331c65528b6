"""Downloading models from Hugging Face for `layerfusion models pull`; no other module of the engine uses the network.

Files go into the cache of `huggingface_hub`, which other programs share. Downloads show a progress bar and continue
where they were interrupted. `HF_HUB_OFFLINE`, `HF_HOME`, `HF_TOKEN` and `HF_ENDPOINT` have their usual effect.
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
from layerfusion.engine.models.catalog.model_folders import NETWORKS
from layerfusion.engine.models.catalog.weight_source import HubWeights

T = TypeVar("T")

_SMALL = ("model_index.json", "scheduler/*.json", "tokenizer/*", "tokenizer_2/*")


def fetch(source: HubWeights) -> tuple[HubWeights, Path]:
    """Download a file, or a whole model in diffusers layout, with half-precision weights if the repository has them.

    Returns:
        The source with the downloaded commit as its revision, so that it always means the same files, and the local
        path.

    Raises:
        DownloadFailed: the machine is offline, the repository, file or revision does not exist, access is denied, or
            the disk is full.
    """
    path = _downloading(source, lambda: Path(_fetch_file(source) if source.file else _fetch_folder(source)))
    return replace(source, revision=_commit(path) or source.revision), path


def _fetch_file(source: HubWeights) -> str:
    return hf_hub_download(source.repo, source.file, revision=source.revision)


def _fetch_folder(source: HubWeights) -> str:
    names = [sibling.rfilename for sibling in HfApi().model_info(source.repo, revision=source.revision).siblings or ()]
    return snapshot_download(source.repo, revision=source.revision, allow_patterns=wanted_files(names))


def wanted_files(names: list[str]) -> list[str]:
    """Choose the files of an SDXL model to download: for each part the half-precision weights, or else the full ones.

    Pickles, other formats and other variants are not downloaded.

    Args:
        names: the paths of all files in the repository.

    Returns:
        Paths, and glob patterns for small files.
    """
    wanted: list[str] = list(_SMALL)
    for folder, stem in NETWORKS.items():
        wanted.append(f"{folder}/config.json")
        own = [name for name in names if name.startswith(f"{folder}/{stem}") and name.endswith(".safetensors")]
        half = [name for name in own if ".fp16" in name]
        full = [name for name in own if name.count(".") == 1]
        wanted += half or full
        wanted += [name for name in names if name.startswith(f"{folder}/{stem}.safetensors.index")]
    return wanted


def _commit(path: Path) -> str | None:
    """The commit in a path of the cache, …/snapshots/<commit>/…; None if the path has another form."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts[:-1] else None


def _downloading(source: HubWeights, download: Callable[[], T]) -> T:
    """Run `download` and turn every error of the library into a `DownloadFailed` with a remedy."""
    page = f"https://huggingface.co/{source.repo}"
    try:
        return download()
    except GatedRepoError as error:
        raise DownloadFailed(
            f"{source.repo} can be downloaded only after its terms have been accepted.",
            f"Accept them at {page}, run “hf auth login”, and try again.",
        ) from error
    except RepositoryNotFoundError as error:
        raise DownloadFailed(
            f"There is no model {source.repo} on Hugging Face, or it is private.", f"Check {page}."
        ) from error
    except RevisionNotFoundError as error:
        raise DownloadFailed(f"{source.repo} has no revision “{source.revision}”.", f"Check {page}.") from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        offline = constants.is_offline_mode()
        reason = "offline mode is on (HF_HUB_OFFLINE)" if offline else "huggingface.co cannot be reached"
        remedy = "Unset HF_HUB_OFFLINE" if offline else "Check the connection"
        raise DownloadFailed(
            f"{source} is not on this machine, and {reason}.",
            f"{remedy}, or download it elsewhere and give its path: see “layerfusion models add --help”.",
        ) from error
    except EntryNotFoundError as error:
        raise DownloadFailed(f"{source.repo} has no file “{source.file}”.", f"Check {page}/tree/main.") from error
    except Exception as error:  # the library's network errors depend on the HTTP client that its version uses
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DownloadFailed(
            f"{source} could not be downloaded: {reason}",
            "Check the connection and the free disk space, and try again: the download continues where it stopped.",
        ) from error
