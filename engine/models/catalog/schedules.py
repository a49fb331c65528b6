"""The noise schedules of checkpoints, as far as they can be sampled here; others are refused by name.

A schedule is a diffusers scheduler configuration. One with `"schedule": "edm"` has continuous noise levels from
`sigma_max` to `sigma_min`, as CosXL: the network is told ln(σ) / 4 and predicts v.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.safetensors_header import Header

EDM = "edm"
"""The value of a configuration's `schedule` for continuous noise levels (Karras et al. 2022)."""

Prediction = Literal["epsilon", "v"]
"""What a network predicts: the noise ε, or v = a ε - b z0."""

_PREDICTIONS: dict[str, Prediction] = {
    **dict.fromkeys(("epsilon", "eps", "noise"), "epsilon"),
    **dict.fromkeys(("v", "v_prediction", "v-prediction", "vpred", "v_pred", "velocity"), "v"),
}
_METADATA = ("modelspec.prediction_type", "modelspec.predict_key", "prediction_type", "predict_key")
"""Fields of a file's metadata that name what the network predicts."""

_TRUE = ("true", "1", "yes")

_BY_BETAS = (
    *("DDIM", "DDPM", "PNDM", "EulerDiscrete", "EulerAncestralDiscrete", "HeunDiscrete", "DPMSolverMultistep"),
    *("DPMSolverSinglestep", "DPMSolverSDE", "UniPCMultistep", "DEISMultistep", "LMSDiscrete", "KDPM2Discrete"),
    *("KDPM2AncestralDiscrete", "LCM", "TCD", "SASolver", "IPNDM"),
)
"""diffusers' schedulers that are defined by betas, without “Scheduler” at the end of their names."""

_FOREIGN = {"FlowMatch": "flow matching", "EDM": "EDM", "CosineDPM": "EDM", "SCM": "consistency training"}
"""Beginnings of the names of schedulers for other kinds of training."""

PLAYGROUND = "Playground v2.5, whose latents and noise schedule are not SDXL's"


def of_folder(config: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Check the scheduler configuration of a folder in diffusers layout.

    Args:
        config: the configuration.
        file: its file, for error messages.

    Returns:
        the configuration to sample with.

    Raises:
        BrokenModel: the schedule cannot be sampled here; the message names it.
    """
    name, predicted = str(config.get("_class_name", "EulerDiscreteScheduler")), config.get("prediction_type", "epsilon")
    if name.startswith("EDM") and predicted == "v_prediction" and config.get("sigma_data", 0.5) == 1.0:
        return edm(float(config.get("sigma_max", 120.0)), float(config.get("sigma_min", 0.002)))
    kind = next((kind for start, kind in _FOREIGN.items() if name.startswith(start)), None)
    if kind is None and name.removesuffix("Scheduler") not in _BY_BETAS:
        kind = "a kind that is not known here"
    if kind is None and config.get("use_flow_sigmas"):
        kind = "flow matching"
    if kind is not None:
        raise _refused(f"{file} describes a noise schedule of {kind} ({name}, prediction type “{predicted}”).")
    if predicted not in ("epsilon", "v_prediction"):
        raise _refused(f"{file} says that the network predicts “{predicted}”.")
    return dict(config)


def of_file(header: Header, base: Mapping[str, Any]) -> dict[str, Any]:
    """The schedule of a single-file checkpoint.

    Marker tensors (`v_pred`, `ztsnr`, `edm_vpred.*`) have precedence over the metadata.

    Args:
        header: the file.
        base: SDXL's configuration.

    Raises:
        BrokenModel: the schedule cannot be sampled here.
    """
    if {"edm_mean", "edm_std"} & header.tensors.keys():
        raise _refused(f"{header.file} is {PLAYGROUND}.")
    if any(name.startswith("edm_vpred.") for name in header.tensors):
        return edm(120.0, 0.002)
    metadata = header.metadata
    named = next((metadata[key].strip().casefold() for key in _METADATA if metadata.get(key, "").strip()), None)
    if "v_pred" in header.tensors:
        prediction: Prediction | None = "v"
    elif named is not None and named not in _PREDICTIONS:
        raise _refused(f"{header.file} says in its metadata that the network predicts “{named:.40}”.")
    else:
        trained = "v" if metadata.get("ss_v_parameterization", "").casefold() in _TRUE else None
        prediction = trained if named is None else _PREDICTIONS[named]
    zero = "ztsnr" in header.tensors or metadata.get("ss_zero_terminal_snr", "").casefold() in _TRUE
    return changed(base, prediction, zero or None)


def predicts_v(header: Header) -> bool:
    """Whether a single-file checkpoint says that its network predicts v.

    Raises:
        BrokenModel: see `of_file`.
    """
    return of_file(header, {}).get("prediction_type") == "v_prediction"


def changed(base: Mapping[str, Any], prediction: Prediction | None, zero_snr: bool | None) -> dict[str, Any]:
    """A schedule with another prediction type or terminal signal-to-noise ratio; None leaves it as it is."""
    config = dict(base)
    if prediction is not None:
        config["prediction_type"] = "v_prediction" if prediction == "v" else "epsilon"
    if zero_snr is not None:
        config["rescale_betas_zero_snr"] = zero_snr
        if zero_snr:
            config["timestep_spacing"] = "trailing"
    return config


def edm(sigma_max: float, sigma_min: float) -> dict[str, Any]:
    """The schedule of CosXL. Its betas only measure t / T."""
    return {
        "schedule": EDM,
        "sigma_max": sigma_max,
        "sigma_min": sigma_min,
        "prediction_type": "v_prediction",
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
    }


def _refused(message: str) -> BrokenModel:
    return BrokenModel(message, "Use SDXL 1.0 or a fine-tune of it that predicts ε or v.")
