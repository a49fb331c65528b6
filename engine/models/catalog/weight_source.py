"""The source of a model's file: a path on this machine, or a Hugging Face repository whose files are in the cache.

Nothing here downloads anything; only `engine.models.catalog.hub` does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.models.catalog.model_folders import INDEX, NETWORKS

_HUB = re.compile(
    r"hf:(?P<repo>[\w.-]{1,96}/[\w.-]{1,96})(?:@(?P<revision>[\w.-]{1,64}))?(?:/(?P<file>[^\\\x00-\x1f]{1,255}))?"
)
PREFIX = "hf:"


@dataclass(frozen=True)
class LocalWeights:
    """A file or folder on this machine.

    Attributes:
        path: its absolute path.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def locate(self) -> Path | None:
        """The path; None if nothing exists there."""
        return self.path if self.path.exists() else None


@dataclass(frozen=True)
class HubWeights:
    """A file of a Hugging Face repository, or the whole repository.

    Attributes:
        repo: “owner/name”.
        revision: a commit, tag or branch. The manifest of a downloaded model names the commit, so that the model does
            not change when its repository does.
        file: path inside the repository; empty for the whole repository.
    """

    repo: str
    revision: str = "main"
    file: str = ""

    def __str__(self) -> str:
        return f"{PREFIX}{self.repo}@{self.revision}" + (f"/{self.file}" if self.file else "")

    def locate(self) -> Path | None:
        """The path in the cache; None if it is not downloaded completely. The network is not used."""
        from huggingface_hub import snapshot_download, try_to_load_from_cache
        from huggingface_hub.errors import LocalEntryNotFoundError

        if self.file:
            found = try_to_load_from_cache(self.repo, self.file, revision=self.revision)
            return Path(found) if isinstance(found, str) else None
        try:
            folder = Path(snapshot_download(self.repo, revision=self.revision, local_files_only=True))
        except (LocalEntryNotFoundError, OSError, ValueError):
            return None
        # An interrupted download leaves the files that were finished, so the folder alone proves nothing.
        complete = all(any((folder / part).glob("*.safetensors")) for part in NETWORKS)
        return folder if complete and (folder / INDEX).is_file() else None


WeightSource = LocalWeights | HubWeights


def parse_weight_source(text: str, beside: Path | None = None) -> WeightSource:
    """Parse “hf:owner/name[@revision][/file]” or a path.

    Args:
        text: the address or path.
        beside: the folder that relative paths are relative to; None means the current folder.

    Raises:
        InvalidRequest: the text is neither an address nor a path.
    """
    if not text.startswith(PREFIX):
        if not text.strip() or "\x00" in text:
            raise InvalidRequest(f"“{text}” is no path of a file.", "Give a path, or hf:owner/name/file.safetensors.")
        path = Path(text).expanduser()
        return LocalWeights(path if path.is_absolute() else (beside or Path.cwd()) / path)
    match = _HUB.fullmatch(text)
    if match is None or ".." in (match["file"] or "").split("/"):
        raise InvalidRequest(
            f"“{text}” is no address of a Hugging Face model.", "Give hf:owner/name or hf:owner/name/file.safetensors."
        )
    return HubWeights(match["repo"], match["revision"] or "main", match["file"] or "")
