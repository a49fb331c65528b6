"""The models that this machine has, by name. Only manifests are read; `engine.models.runtime.loading` reads weights."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import platformdirs

from layerfusion.engine.errors import BrokenModel, InvalidRequest, UnknownModel
from layerfusion.engine.models.catalog.manifest import read_manifest
from layerfusion.engine.models.catalog.readiness import missing
from layerfusion.engine.models.catalog.spec import ModelSpec

logger = logging.getLogger(__name__)

EMBEDDED = Path(__file__).parents[1] / "tiny" / "model.json"
FOLDER_VARIABLE = "LAYERFUSION_MODELS"
"""Environment variable that sets the folder of the user's model manifests."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def manifests_folder() -> Path:
    """The folder of the user's model manifests. It need not exist."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_data_path("layerfusion", appauthor=False) / "models"


def manifest_path(name: str) -> Path:
    """The path of the manifest of a user's model.

    Raises:
        InvalidRequest: the name is not valid.
    """
    if not NAME.fullmatch(name) or name == "tiny":
        raise InvalidRequest(
            f"“{name}” cannot be the name of a model.",
            "Use up to 64 lower-case letters, digits, dots, underscores and dashes; “tiny” is taken.",
        )
    return manifests_folder() / f"{name}.json"


def known_models() -> tuple[tuple[ModelSpec, ...], tuple[BrokenModel, ...]]:
    """Every model that has a manifest, complete or not, ordered by name with the embedded model last.

    Returns:
        The models, and an error for each manifest of the user's that cannot be read.

    Raises:
        BrokenModel: the embedded model's own manifest cannot be read.
    """
    specs, broken = [], []
    for manifest in sorted(manifests_folder().glob("*.json")):
        try:
            spec = read_manifest(manifest)
            if spec.name != manifest.stem or not NAME.fullmatch(spec.name):
                raise BrokenModel(
                    f"The manifest {manifest} names its model “{spec.name}”.",
                    "Give the file and the model the same name.",
                )
            specs.append(spec)
        except BrokenModel as error:
            broken.append(error)
    return (*specs, read_manifest(EMBEDDED)), tuple(broken)


def available_models() -> tuple[ModelSpec, ...]:
    """Every model with all its files on this machine; the first is the default.

    The user's own models come first. The embedded model is last, so that it is the default only if no other is
    complete.

    Raises:
        BrokenModel: the embedded model's own manifest cannot be read.
    """
    specs, broken = known_models()
    for error in broken:
        logger.warning("%s", error)
    return tuple(spec for spec in specs if spec.demo or not missing(spec))


def find_model(name: str) -> ModelSpec:
    """The model with the given name.

    Raises:
        UnknownModel: there is none; the hint lists the known models.
        BrokenModel: files of the model are missing, and the hint says how to get them; or the embedded model's manifest
            cannot be read.
    """
    specs, broken = known_models()
    for spec in specs:
        if spec.name == name:
            pull = f"Fetch what is missing with “layerfusion models pull {name}”."
            return spec if spec.demo else complete(spec, pull)
    for error in broken:
        logger.warning("%s", error)
    raise UnknownModel(f"There is no model “{name}”.", f"Known models: {', '.join(spec.name for spec in specs)}.")


def complete(spec: ModelSpec, remedy: str) -> ModelSpec:
    """Return the spec if all its parts are on this machine.

    Args:
        remedy: how to get the missing parts, as the hint of the error.

    Raises:
        BrokenModel: parts are missing.
    """
    absent = missing(spec)
    if absent:
        listed = "; ".join(f"{part.role} {part.source}" for part in absent)
        raise BrokenModel(f"The model “{spec.name}” is not complete. Missing: {listed}.", remedy)
    return spec
