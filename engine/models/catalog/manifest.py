"""Model cards: a model described in a small JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast, get_args

from layerfusion.engine.errors import BrokenModel, EngineError
from layerfusion.engine.models.catalog.spec import (
    FewSteps,
    LoraSpec,
    ModelDefaults,
    ModelSpec,
    Precision,
    TransparencySpec,
)
from layerfusion.engine.models.catalog.weight_source import WeightSource, parse_weight_source
from layerfusion.engine.options.fusion import FusionSettings

SDXL = Path(__file__).parents[1] / "sdxl" / "model.json"
"""What cards of SDXL models need not repeat."""


def read_manifest(card: Path) -> ModelSpec:
    """Read a model card. Paths in it are relative to its folder.

    A card with `"base": "sdxl"` needs a name and a checkpoint only; everything else has SDXL's values.

    Raises:
        BrokenModel: the card is missing, no JSON, or lacks a value.
    """
    try:
        return spec_from_values(_merged(_json(SDXL), _json(card)), card.parent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EngineError) as error:
        raise BrokenModel(
            f"The model card {card} cannot be read ({error}).", "Install the package again, or mend the card."
        ) from error


def spec_from_values(values: dict[str, Any], folder: Path) -> ModelSpec:
    """Make a spec of a whole card's values; see `read_manifest` for what can go wrong."""

    def place(text: str | None) -> WeightSource | None:
        return None if text is None else parse_weight_source(text, folder)

    transparency = dict(values["transparency"])
    for part in ("deltas", "encoder", "decoder"):
        transparency[part] = parse_weight_source(transparency[part], folder)
    defaults = dict(values["defaults"])
    return ModelSpec(
        name=values["name"],
        title=values.get("title", values["name"]),
        checkpoint=parse_weight_source(values["checkpoint"], folder),
        transparency=TransparencySpec(**transparency),
        configs=place(values.get("configs")),
        vae=place(values.get("vae")),
        loras=tuple(
            LoraSpec(file=parse_weight_source(lora["file"], folder), weight=float(lora.get("weight", 1.0)))
            for lora in values.get("loras", ())
        ),
        few_steps=_one_of(values.get("few_steps"), (None, *get_args(FewSteps)), "few_steps"),
        precision=cast(Precision, _one_of(values.get("precision", "auto"), get_args(Precision), "precision")),
        native_size=values["native_size"],
        stride=values["stride"],
        demo=values["demo"],
        blended_template=values["blended_template"],
        defaults=ModelDefaults(**{**defaults, "fusion": FusionSettings.from_values(defaults.get("fusion", {}))}),
        samplers=tuple(values["samplers"]),
        examples=tuple((foreground, background) for foreground, background in values["examples"]),
        vocabulary={kind: tuple(words) for kind, words in values["vocabulary"].items()},
        related=dict(values.get("related", {})),
        about=tuple(values.get("about", ())),
    )


def _merged(base: dict[str, Any], card: dict[str, Any]) -> dict[str, Any]:
    """The card's values over its base's; a few-step model also inherits what its kind needs."""
    if card.get("base") != "sdxl":
        return card
    few_steps = base["few_steps"].get(card.get("few_steps"), {})
    defaults = {**base["defaults"], **few_steps, **card.get("defaults", {})}
    transparency = {**base["transparency"], **card.get("transparency", {})}
    return {**base, "few_steps": None, **card, "defaults": defaults, "transparency": transparency}


def _one_of(value: Any, choices: tuple[Any, ...], name: str) -> Any:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, not one of {', '.join(map(str, choices))}")
    return value


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))
