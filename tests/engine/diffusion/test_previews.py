from dataclasses import replace

import pytest
import torch

from layerfusion.engine.diffusion.previews import is_due, longest_side, preview, reduced_grid
from layerfusion.engine.models.catalog.registry import find_model

TINY = replace(find_model("tiny"), native_size=128)


@pytest.mark.parametrize(
    ("steps", "due"), [(20, [1, 4, 8, 12, 16]), (30, [1, 6, 12, 18, 24]), (8, [1, 2, 4, 6]), (4, [1, 2]), (1, [])]
)
def test_the_first_preview_comes_after_the_first_step(steps, due):
    assert [done for done in range(1, steps + 1) if is_due(done, steps)] == due


def test_a_preview_is_smaller_than_the_picture_and_at_most_256_px(subtests):
    large = replace(TINY, native_size=1024, transparency=replace(TINY.transparency, stride=64))
    for spec, (height, width), expected in [
        (large, (128, 128), (32, 32)),
        (large, (104, 152), (24, 32)),
        (large, (32, 24), (32, 24)),
        (TINY, (16, 16), (8, 8)),
        (TINY, (16, 24), (6, 8)),
    ]:
        with subtests.test(native=spec.native_size, height=height, width=width):
            assert reduced_grid(spec, 8, height, width, longest_side(spec)) == expected


def test_a_preview_has_the_size_of_its_grid(small_pipeline):
    bundle = small_pipeline._bundle
    latents = torch.zeros(1, bundle.latent_channels, 16, 24)
    for transparent in (False, True):
        for longest, expected in ((64, (48, 64, 4)), (256, (128, 192, 4))):
            with torch.inference_mode():
                assert preview(bundle, latents, transparent=transparent, longest=longest).shape == expected
