"""What is noised by half and drawn again is measured as what it is."""

import numpy as np
import pytest
import torch

from layerfusion.engine.evaluation import redrawing
from layerfusion.engine.evaluation.redrawing import kept_when_redrawn, pasted, redrawn
from layerfusion.engine.training.data.vocabulary import FIRST
from layerfusion.engine.training.prediction import sample


def answer(pictures):
    """Stands for a model that draws these again."""
    return lambda bundle, items, seed: np.stack([pictures(one) for one in items])


@pytest.mark.parametrize(("pictures", "iou"), [("flat", (0.97, 1)), ("background", (0, 0.1))])
def test_what_is_kept_is_told_from_what_is_lost(bundle, monkeypatch, pictures, iou):
    monkeypatch.setattr(redrawing, "redrawn", answer(lambda one: getattr(one, pictures)))
    found = kept_when_redrawn(bundle, FIRST, count=4, seed=3)
    assert iou[0] <= found["redrawn_object_iou"] <= iou[1]
    assert found["redrawn_backdrop_psnr"] == 60


def test_a_noisy_backdrop_is_measured(bundle, monkeypatch):
    side = bundle.spec.native_size
    noise = np.random.default_rng(0).normal(0, 12, (side, side, 3))
    spoilt = answer(lambda one: (one.flat + noise).clip(0, 255).astype(np.uint8))
    monkeypatch.setattr(redrawing, "redrawn", spoilt)
    assert 25 < kept_when_redrawn(bundle, FIRST, count=3, seed=3)["redrawn_backdrop_psnr"] < 29


def test_the_model_gets_the_picture_and_draws_as_large_a_one(bundle):
    side = bundle.spec.native_size
    items = [pasted(np.random.default_rng(seed), FIRST, side) for seed in range(2)]
    assert redrawn(bundle, items, 1).shape == (2, side, side, 3)
    assert all(one.caption.startswith("an object ") for one in items)


def test_little_noise_changes_little(bundle):
    grid = bundle.unet.config["sample_size"]
    given, words = torch.randn(1, 4, grid, grid), (torch.zeros(1, 32, 256), torch.zeros(1, 128))
    with torch.inference_mode():
        near, far = (
            sample(bundle.unet, *words, words, side=bundle.spec.native_size, given=given, strength=strength, guidance=1)
            for strength in (0.05, 1.0)
        )
    assert float((near - given).square().mean()) < 0.3 * float((far - given).square().mean())
