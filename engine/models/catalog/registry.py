"""Which models there are, by name. Reads cards only; weights are read by `engine.models.runtime.loading`."""

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
"""Environment variable with the folder of the user's cards, in the place of the usual one."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def cards_folder() -> Path:
    """Where the user's model cards are; it need not exist."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_data_path("layerfusion", appauthor=False) / "models"


def card_path(name: str) -> Path:
    """Where the card of a user's model is.

    Raises:
        InvalidRequest: a name that cannot be one.
    """
    if not NAME.fullmatch(name) or name == "tiny":
        raise InvalidRequest(
            f"A model cannot be called “{name}”.", "Use small letters, digits, dots and dashes; “tiny” is taken."
        )
    return cards_folder() / f"{name}.json"


def known_models() -> tuple[tuple[ModelSpec, ...], tuple[BrokenModel, ...]]:
    """Every model there is a card of, complete or not, by name; and what is wrong with cards that cannot be read.

    Raises:
        BrokenModel: the embedded model's own card cannot be read.
    """
    specs, broken = [], []
    for card in sorted(cards_folder().glob("*.json")):
        try:
            spec = read_manifest(card)
            if spec.name != card.stem or not NAME.fullmatch(spec.name):
                raise BrokenModel(f"The card {card} calls its model “{spec.name}”.", "Name both alike.")
            specs.append(spec)
        except BrokenModel as error:
            broken.append(error)
    return (*specs, read_manifest(EMBEDDED)), tuple(broken)


def available_models() -> tuple[ModelSpec, ...]:
    """Every model this machine can draw with; the first is the default.

    The user's own come first, the embedded one last: it is what there is while nothing else is complete.

    Raises:
        BrokenModel: the embedded model's own card cannot be read.
    """
    specs, broken = known_models()
    for error in broken:
        logger.warning("%s", error)
    return tuple(spec for spec in specs if spec.demo or not missing(spec))


def find_model(name: str) -> ModelSpec:
    """The model of that name.

    Raises:
        UnknownModel: there is none; the hint lists those there are.
        BrokenModel: parts of it are missing; the hint says how to get them.
    """
    specs, broken = known_models()
    for spec in specs:
        if spec.name == name:
            lost = () if spec.demo else missing(spec)
            if lost:
                raise BrokenModel(
                    f"The model “{name}” is not complete: {'; '.join(f'{p.role} {p.place}' for p in lost)} missing.",
                    f"Fetch what is missing with “layerfusion models pull {name}”.",
                )
            return spec
    for error in broken:
        logger.warning("%s", error)
    raise UnknownModel(f"There is no model “{name}”.", f"Known models: {', '.join(spec.name for spec in specs)}.")
