"""Portraits and landscapes are cut out of square pictures, and never through an object."""

import numpy as np
import pytest
import torch

from layerfusion.engine.training import unet as stage_module
from layerfusion.engine.training.latents import KINDS, SHADED, WITH_OBJECTS, Latents
from layerfusion.engine.training.unet import NEW, UNetStage, _forms, _often


@pytest.fixture
def encoded(bundle):
    """Latents that are 1 where their object is, and 0 elsewhere."""
    grid = bundle.unet.config["sample_size"]
    rng = np.random.default_rng(5)
    latents, extent = {}, {}
    for kind in KINDS:
        latents[kind] = torch.zeros(40, 4, grid, grid)
        if kind in WITH_OBJECTS:
            sides = rng.integers(2, grid - 3, (40, 2))
            first = rng.integers(0, grid + 1 - sides)
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


def test_objects_stay_whole(bundle, encoded, subtests):
    stage = UNetStage(bundle.unet, bundle.text_encoders, bundle.tokenizers[0], encoded, bundle.vae, side=128)
    forms = stage._forms
    assert forms
    for form in forms:
        for kind in stage_module.SHARES:
            with subtests.test(form=form, kind=kind):
                rows, windows = stage._chosen(np.random.default_rng(1), kind, 30, form)
                cut = stage_module._cut(encoded.latents[kind][rows], windows)
                assert cut.shape[2:] == form
                assert torch.equal(cut.sum(dim=(2, 3)), encoded.latents[kind][rows].sum(dim=(2, 3)))
                assert len({(rows_.start, columns.start) for rows_, columns in windows}) > 1


def test_a_batch_without_fitting_pictures_of_a_kind_is_made_of_the_others(bundle, encoded, monkeypatch):
    grid = bundle.unet.config["sample_size"]
    encoded.extent["studio"][:] = torch.tensor([0, 0, grid, grid])
    monkeypatch.setattr(stage_module, "CROPPED", 1.0)
    stage = UNetStage(bundle.unet, bundle.text_encoders, bundle.tokenizers[0], encoded, bundle.vae, side=128)
    loss, _, count = stage.loss(np.random.default_rng(2), torch.Generator().manual_seed(2))
    assert torch.isfinite(loss)
    assert count == sum(
        round(stage_module.BATCH * share) for kind, share in stage_module.SHARES.items() if kind != "studio"
    )


def test_pictures_of_new_names_come_more_often():
    rows = _often(["a dog", "a zebra in a desert", "a dog and a zebra"], ["a zebra"])
    assert rows.tolist() == [0, *[1] * NEW, *[2] * NEW]
    assert _often(["a dog", "a cat"], []).tolist() == [0, 1]
