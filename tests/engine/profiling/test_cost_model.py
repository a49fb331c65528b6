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
        settings = FusionSettings(blend_start=0.0)
        costs[views] = {kind: model.job(kind, 1, 1.0, settings, kind).flops for kind in ("new", "background")}
    decoder = model._bundle.decoder
    picture, latents = model._empty(1, 3, 128, 128), model._empty(1, 4, 16, 16)
    one = measure(lambda: decoder(picture, latents)).flops
    assert one > 0
    assert costs[8]["new"] - costs[1]["new"] == 2 * 7 * one
    assert costs[8]["background"] == costs[1]["background"], "kept foregrounds are not decoded"


@pytest.fixture(scope="module")
def model(spec):
    return CostModel(spec, SIZE)


def rows(model, kind="new", steps=6, **options):
    job = model.job("", steps, 7.0, FusionSettings.from_values({"prior": "lagged", **options}), kind)
    return job.sample_forwards, job.deep


def test_rows_and_deep_rows_are_those_of_the_loop(model):
    assert rows(model) == (37, 37), "six steps of six rows, and one prior pass"
    fifteen = rows(model, steps=15, guidance_every=3, deep_every=3)
    assert fifteen == (5 * (6 + 3 + 3), 5 * 6), "the first step measures what the others couple with: no prior pass"


def test_what_is_known_is_skipped_only_if_asked(model):
    assert rows(model, "background") == (36, 36)
    background, harmonised = (rows(model, kind, known_layers="skipped")[0] for kind in ("background", "harmonise"))
    assert background == 4 * 4 + 2 * 2, "the blended picture is known after the fourth step, which begins at 0.25 T"
    assert harmonised < rows(model, "harmonise")[0] < 36
    assert harmonised * 3 == rows(model, "harmonise")[0], "the blended picture alone is drawn"


def test_own_weights_and_remembered_texts_are_counted_once(spec):
    """The second of two equal steps costs less than the first; a third costs the same."""
    model = CostModel(spec, SIZE)
    flops = [model.job("", steps, 7.0, FusionSettings(prior="once", blend_start=0.0)).flops for steps in (1, 2, 3)]
    previews = model._previews(2, "new") - model._previews(1, "new")
    assert (
        flops[2] - flops[1] - (model._previews(3, "new") - model._previews(2, "new")) == flops[1] - flops[0] - previews
    )
    assert flops[1] - flops[0] - previews < flops[0]
