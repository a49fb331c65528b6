"""What checkpoints say about their noise schedule, and what cannot be sampled here."""

from pathlib import Path

import pytest

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog import schedules
from layerfusion.engine.models.catalog.safetensors_header import Header, TensorInfo

BASE = {"prediction_type": "epsilon", "timestep_spacing": "leading", "beta_start": 0.00085}


def of_file(names=(), **metadata):
    tensors = {name: TensorInfo("F32", ()) for name in names}
    fields = {key.replace("__", "."): value for key, value in metadata.items()}
    return schedules.of_file(Header(Path("a.safetensors"), tensors, fields), BASE)


def test_a_plain_file_has_sdxls_schedule():
    assert of_file() == BASE


@pytest.mark.parametrize(
    ("names", "metadata"),
    [
        (["v_pred"], {}),
        (["v_pred"], {"modelspec__prediction_type": "epsilon"}),
        ([], {"modelspec__prediction_type": "v"}),
        ([], {"modelspec__prediction_type": "V-Prediction"}),
        ([], {"modelspec__predict_key": "v"}),
        ([], {"ss_v_parameterization": "True"}),
    ],
)
def test_v_prediction_is_found(names, metadata):
    config = of_file(names, **metadata)
    assert config == {**BASE, "prediction_type": "v_prediction"}


@pytest.mark.parametrize("metadata", [{"modelspec__prediction_type": "epsilon"}, {"ss_v_parameterization": "False"}])
def test_epsilon_is_found(metadata):
    assert of_file(**metadata)["prediction_type"] == "epsilon"


@pytest.mark.parametrize(("names", "metadata"), [(["ztsnr"], {}), ([], {"ss_zero_terminal_snr": "True"})])
def test_zero_terminal_snr_is_found(names, metadata):
    config = of_file(names, **metadata)
    assert (config["rescale_betas_zero_snr"], config["timestep_spacing"]) == (True, "trailing")


def test_cosxl_has_continuous_levels():
    config = of_file(["edm_vpred.sigma_max", "edm_vpred.sigma_min"])
    assert (config["schedule"], config["sigma_max"], config["prediction_type"]) == ("edm", 120.0, "v_prediction")


@pytest.mark.parametrize(
    ("names", "metadata", "named"),
    [
        (["edm_mean", "edm_std"], {}, "Playground v2.5"),
        ([], {"modelspec__prediction_type": "sample"}, "predicts “sample”"),
        ([], {"modelspec__predict_key": "flow"}, "predicts “flow”"),
    ],
)
def test_other_files_are_refused_by_name(names, metadata, named):
    with pytest.raises(BrokenModel, match=named):
        of_file(names, **metadata)


@pytest.mark.parametrize("name", ["EulerDiscreteScheduler", "DDIMScheduler", "PNDMScheduler", "TCDScheduler"])
def test_schedulers_by_betas_are_read(name):
    config = {"_class_name": name, "prediction_type": "v_prediction"}
    assert schedules.of_folder(config, Path("s.json")) == config


def test_a_folder_of_cosxl_has_continuous_levels():
    config = {
        "_class_name": "EDMEulerScheduler",
        "sigma_data": 1.0,
        "sigma_max": 100.0,
        "prediction_type": "v_prediction",
    }
    assert schedules.of_folder(config, Path("s.json"))["sigma_max"] == 100.0


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"_class_name": "EDMDPMSolverMultistepScheduler", "sigma_data": 0.5}, "EDM .EDMDPMSolverMultistepScheduler"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, "flow matching"),
        ({"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": True}, "flow matching"),
        ({"_class_name": "NewScheduler"}, "not known here .NewScheduler"),
        ({"_class_name": "DDIMScheduler", "prediction_type": "sample"}, "predicts “sample”"),
    ],
)
def test_other_folders_are_refused_by_name(config, named):
    with pytest.raises(BrokenModel, match=named) as caught:
        schedules.of_folder(config, Path("s.json"))
    assert "s.json" in str(caught.value)
    assert "fine-tune" in caught.value.hint


def test_the_users_choice_has_precedence():
    told = of_file(["v_pred", "ztsnr"])
    assert schedules.changed(told, "epsilon", False)["prediction_type"] == "epsilon"
    assert schedules.changed(told, None, None) == told
    assert schedules.changed(BASE, "v", True)["rescale_betas_zero_snr"] is True
