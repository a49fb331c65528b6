"""Where a model's files are: a path of this machine, or a file of a Hugging Face repository in the usual cache.

Nothing here downloads; `engine.models.catalog.hub` does, and only when it is told to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from layerfusion.engine.errors import InvalidRequest

_HUB = re.compile(
    r"hf:(?P<repo>[\w.-]{1,96}/[\w.-]{1,96})(?:@(?P<revision>[\w.-]{1,64}))?(?:/(?P<file>[^\\\x00-\x1f]{1,255}))?"
)
PREFIX = "hf:"
_WEIGHTED = ("unet", "vae", "text_encoder", "text_encoder_2")
"""The folders of a model in diffusers layout that hold weights."""


@dataclass(frozen=True)
class LocalWeights:
    """A file or folder of this machine.

    Attributes:
        path: absolute.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def locate(self) -> Path | None:
        """The path, if something is there."""
        return self.path if self.path.exists() else None


@dataclass(frozen=True)
class HubWeights:
    """A file of a Hugging Face repository, or the whole repository.

    Attributes:
        repo: “owner/name”.
        revision: a commit, tag or branch. A downloaded model's card names the commit, so it never changes by itself.
        file: inside the repository; empty for all of it.
    """

    repo: str
    revision: str = "main"
    file: str = ""

    def __str__(self) -> str:
        return f"{PREFIX}{self.repo}@{self.revision}" + (f"/{self.file}" if self.file else "")

    def locate(self) -> Path | None:
        """Where it lies in the cache, None if it was not downloaded. Never touches the network."""
        from huggingface_hub import snapshot_download, try_to_load_from_cache
        from huggingface_hub.errors import LocalEntryNotFoundError

        if self.file:
            found = try_to_load_from_cache(self.repo, self.file, revision=self.revision)
            return Path(found) if isinstance(found, str) else None
        try:
            folder = Path(snapshot_download(self.repo, revision=self.revision, local_files_only=True))
        except (LocalEntryNotFoundError, OSError, ValueError):
            return None
        # An interrupted download leaves the files that were finished.
        whole = all(any((folder / part).glob("*.safetensors")) for part in _WEIGHTED)
        return folder if whole and (folder / "model_index.json").is_file() else None


WeightSource = LocalWeights | HubWeights


def parse_weight_source(text: str, beside: Path | None = None) -> WeightSource:
    """Read “hf:owner/name[@revision][/file]” or a path.

    Args:
        beside: the folder relative paths are relative to; None takes the current one.

    Raises:
        InvalidRequest: an address that is none.
    """
    if not text.startswith(PREFIX):
        if not text.strip() or "\x00" in text:
            raise InvalidRequest(f"“{text}” is no file.", "Write a path, or hf:owner/name/file.safetensors.")
        path = Path(text).expanduser()
        return LocalWeights(path if path.is_absolute() else (beside or Path.cwd()) / path)
    match = _HUB.fullmatch(text)
    if match is None or ".." in (match["file"] or "").split("/"):
        raise InvalidRequest(
            f"“{text}” is no address of a Hugging Face model.", "Write hf:owner/name or hf:owner/name/file.safetensors."
        )
    return HubWeights(match["repo"], match["revision"] or "main", match["file"] or "")
