"""The parts of a job's cost, counted on a small picture to save time."""

from dataclasses import replace

import pytest

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.manifest import SDXL, spec_from_values
from layerfusion.engine.models.catalog.model_files import read_json
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.profiling.cost_model import CostModel
from layerfusion.engine.profiling.flop_counter import measure

SIZE = Size(128, 128)


@pytest.fixture(scope="module")
def spec():
    card = {**read_json(SDXL), "few_steps": None, "name": "sdxl", "checkpoint": "nowhere"}
    return spec_from_values(card, SDXL.parent)


def test_every_foreground_is_decoded_once_per_view(spec):
    """The LayerDiffuse decoder decodes eight views of every foreground."""
    costs, model = {}, CostModel(spec, SIZE, foregrounds=2)
    for views in (1, 8):
        seen = replace(spec, transparency=replace(spec.transparency, views=views))
        model._bundle = replace(model._bundle, spec=seen)
        costs[views] = {job.name: job.flops for job in model.jobs(1, 1.0, FusionSettings(blend_start=0.0))}
    decoder = model._bundle.decoder
    picture, latents = model._empty(1, 3, 128, 128), model._empty(1, 4, 16, 16)
    one = measure(lambda: decoder(picture, latents)).flops
    assert one > 0
    for name in ("paper", "exact"):
        assert costs[8][name] - costs[1][name] == 2 * 7 * one
    assert costs[8]["stock, one picture"] == costs[1]["stock, one picture"]
