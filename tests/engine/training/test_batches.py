"""Portraits and landscapes: cut out of square pictures or wider ones, and never through an object."""

import numpy as np
import pytest
import torch

from layerfusion.engine.training import batches as batches_module
from layerfusion.engine.training import unet as stage_module
from layerfusion.engine.training.batches import LONG_SHARES, OFTEN, SHARES, Batches, _forms, _long_forms, _often
from layerfusion.engine.training.latents import KINDS, SHADED, WITH_OBJECTS, Latents
from layerfusion.engine.training.unet import UNetStage

GRID, MULTIPLE = 16, 4
SHAPES = {"wide": (GRID, 2 * GRID), "tall": (2 * GRID, GRID)}


@pytest.fixture
def encoded():
    """Latents that are 1 where their object is, and 0 elsewhere."""
    rng = np.random.default_rng(5)
    latents, extent = {}, {}
    for kind in KINDS:
        shape = SHAPES.get(kind.split("_")[0], (GRID, GRID))
        latents[kind] = torch.zeros(40, 4, *shape)
        if kind in WITH_OBJECTS:
            sides = rng.integers(2, GRID - 3, (40, 2))
            first = rng.integers(0, np.asarray(shape) + 1 - sides)
            extent[kind] = torch.from_numpy(np.concatenate([first, first + sides], axis=1))
            for picture, (top, left, bottom, right) in zip(latents[kind], extent[kind].tolist(), strict=True):
                picture[:, top:bottom, left:right] = 1
    shade = {kind: latents[kind][:, 0] for kind in SHADED}
    captions = {kind: ["a dog"] * 40 for kind in KINDS}
    return Latents(latents, captions, {kind: torch.arange(40) for kind in KINDS}, shade, extent)


@pytest.mark.parametrize(
    ("grid", "multiple", "forms"),
    [(16, 4, {(8, 16), (16, 8), (12, 16), (16, 12)}), (4, 4, set()), (32, 8, {(16, 32), (32, 16), (24, 32), (32, 24)})],
)
def test_forms_are_no_longer_than_two_to_one(grid, multiple, forms):
    assert set(_forms(grid, multiple)) == forms


def test_long_forms_go_from_square_to_two_to_one():
    assert _long_forms(32, 8) == [(32, 40), (32, 48), (32, 56), (32, 64)]


def test_objects_stay_whole(encoded, subtests):
    batches = Batches(encoded, GRID, MULTIPLE)
    wanted = [(kind, form) for kind in SHARES for form in batches.forms]
    wanted += [(long + part, form) for long, forms in batches.long.items() for part in LONG_SHARES for form in forms]
    assert batches.forms
    for kind, form in wanted:
        with subtests.test(form=form, kind=kind):
            chosen = batches.choose(np.random.default_rng(1), kind, 30, form)
            cut = chosen.shown(encoded.latents[kind])
            assert cut.shape[2:] == form
            assert torch.equal(cut.sum(dim=(2, 3)), encoded.latents[kind][chosen.rows].sum(dim=(2, 3)))
            if chosen.windows is None:
                assert form == encoded.latents[kind].shape[2:]
            else:
                assert len({(down.start, across.start) for down, across in chosen.windows}) > 1


def test_a_batch_costs_the_same_in_every_form(encoded):
    batches, rng, seen = Batches(encoded, GRID, MULTIPLE), np.random.default_rng(3), set()
    for _ in range(40):
        parts = [one.shown(encoded.latents[one.kind]) for one in batches.draw(rng, 64)]
        (form,) = {part.shape[2:] for part in parts}
        seen.add(tuple(form))
        worth = sum(len(part) for part in parts) * max(1, form[0] * form[1] / GRID**2)
        assert 58 <= worth <= 70, form
    assert {(16, 16), (16, 32), (32, 16)} <= seen


@pytest.mark.parametrize("long", [0.0, 1.0])
def test_a_batch_without_fitting_pictures_of_a_kind_is_made_of_the_others(bundle, encoded, monkeypatch, long):
    for kind in ("studio", "wide_studio", "tall_studio"):
        encoded.extent[kind][:] = torch.tensor([0, 0, 2 * GRID, 2 * GRID])
    monkeypatch.setattr(batches_module, "CROPPED", 1.0)
    monkeypatch.setattr(batches_module, "LONG", long)
    monkeypatch.setattr(batches_module, "WHOLE", 0.0)
    stage = UNetStage(bundle.unet, bundle.text_encoders, bundle.tokenizers[0], encoded, bundle.vae, side=128)
    # Half the model's own side, at which a batch costs a quarter.
    monkeypatch.setattr(
        stage, "_batches", Batches(encoded, GRID, 2 ** (len(bundle.unet.config["down_block_types"]) - 1))
    )
    loss, _, count = stage.loss(np.random.default_rng(2), torch.Generator().manual_seed(2))
    assert torch.isfinite(loss)
    if not long:
        assert count == sum(round(stage_module.BATCH * share) for kind, share in SHARES.items() if kind != "studio")
    assert 0 < count < 0.8 * stage_module.BATCH


def test_pictures_of_some_names_come_more_often():
    rows = _often(["a dog", "a zebra in a desert", "a dog and a zebra"], ["a zebra"])
    assert rows.tolist() == [0, *[1] * OFTEN, *[2] * OFTEN]
    assert _often(["a dog", "a cat"], []).tolist() == [0, 1]
