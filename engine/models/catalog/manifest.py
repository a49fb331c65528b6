"""Reading model manifests: small JSON files that describe a model (`model.json`, or `<name>.json` for a user's own)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast, get_args

from layerfusion.engine.errors import BrokenModel, EngineError
from layerfusion.engine.models.catalog.schedules import Prediction
from layerfusion.engine.models.catalog.spec import (
    FewStepAdapter,
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
"""The values that manifests of SDXL models inherit."""


def read_manifest(file: Path) -> ModelSpec:
    """Read a model manifest. Relative paths in it are relative to its folder.

    A manifest with `"base": "sdxl"` needs only a name and a checkpoint; all other values are inherited from SDXL's.

    Raises:
        BrokenModel: the manifest is missing, is no JSON, lacks a value or has an invalid one.
    """
    try:
        return inheriting_spec(_json(file), file.parent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EngineError) as error:
        raise BrokenModel(
            f"The model manifest {file} cannot be read ({error}).", "Correct the file, or install the package again."
        ) from error


def inheriting_spec(values: dict[str, Any], folder: Path) -> ModelSpec:
    """Make a spec from a manifest's own values; with `"base": "sdxl"`, all others are SDXL's.

    Arguments and errors are those of `spec_from_values`.
    """
    return spec_from_values(_merged(_json(SDXL), values), folder)


def spec_from_values(values: dict[str, Any], folder: Path) -> ModelSpec:
    """Make a spec from a complete manifest's values, without inheritance.

    Args:
        values: the values.
        folder: the folder that relative paths are relative to.

    Raises:
        EngineError, ValueError, KeyError, TypeError, AttributeError: a value is missing or invalid.
    """

    def optional_source(text: str | None) -> WeightSource | None:
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
        configs=optional_source(values.get("configs")),
        unet=optional_source(values.get("unet")),
        vae=optional_source(values.get("vae")),
        loras=tuple(_lora(lora, folder) for lora in values.get("loras", ())),
        network_folders=tuple(folder / Path(text).expanduser() for text in values.get("network_folders", ())),
        few_steps=_one_of(values.get("few_steps"), (None, *get_args(FewSteps)), "few_steps"),
        few_step_adapter=_adapter(values.get("few_step_adapter"), folder),
        precision=cast(Precision, _one_of(values.get("precision", "auto"), get_args(Precision), "precision")),
        prediction=_one_of(values.get("prediction"), (None, *get_args(Prediction)), "prediction"),
        zero_snr=_one_of(values.get("zero_snr"), (None, True, False), "zero_snr"),
        native_size=values["native_size"],
        native_aspect=values.get("native_aspect", 1.0),
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


def _lora(values: dict[str, Any], folder: Path) -> LoraSpec:
    return LoraSpec(file=parse_weight_source(values["file"], folder), weight=float(values.get("weight", 1.0)))


def _adapter(values: dict[str, Any] | None, folder: Path) -> FewStepAdapter | None:
    if values is None:
        return None
    return FewStepAdapter(
        lora=_lora(values, folder),
        steps=values["steps"],
        guidance_scale=values.get("guidance_scale", 1.0),
        guidance_rescale=values.get("guidance_rescale", 0.0),
        sampler=values["sampler"],
    )


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A manifest's own values merged over its base's; a few-step model or adapter also inherits the values of its
    kind."""
    if own.get("base") != "sdxl":
        return own
    few_steps = base["few_steps"].get(own.get("few_steps"), {})
    defaults = {**base["defaults"], **few_steps, **own.get("defaults", {})}
    transparency = {**base["transparency"], **own.get("transparency", {})}
    adapter = own.get("few_step_adapter")
    if adapter is not None:
        adapter = {**base["few_steps"].get(adapter.get("kind"), {}), **adapter}
    return {
        **base,
        "few_steps": None,
        **own,
        "defaults": defaults,
        "transparency": transparency,
        "few_step_adapter": adapter,
    }


def _one_of(value: Any, choices: tuple[Any, ...], name: str) -> Any:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, not one of {', '.join(map(str, choices))}")
    return value


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))
