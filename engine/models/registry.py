"""Which models there are, by name. Reads cards only; weights are read by `engine.models.loading`."""

from __future__ import annotations

from pathlib import Path

from engine.errors import UnknownModel
from engine.models.cards import read_card
from engine.models.spec import ModelSpec

EMBEDDED = Path(__file__).parent / "tiny" / "model.json"


def available_models() -> tuple[ModelSpec, ...]:
    """Every model this machine can draw with; the first is the default.

    Raises:
        BrokenModel: a card cannot be read.
    """
    return (read_card(EMBEDDED),)


def find_model(name: str) -> ModelSpec:
    """The model of that name.

    Raises:
        UnknownModel: there is none; the hint lists those there are.
    """
    models = available_models()
    for spec in models:
        if spec.name == name:
            return spec
    raise UnknownModel(f"There is no model “{name}”.", f"Known models: {', '.join(spec.name for spec in models)}.")
