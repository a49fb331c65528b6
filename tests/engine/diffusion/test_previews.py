from dataclasses import replace

import pytest
import torch

from layerfusion.engine.diffusion.previews import is_due, longest_side, previews, reduced_grid
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
        (TINY, (16, 16), (4, 4)),
        (TINY, (16, 24), (2, 4)),
    ]:
        with subtests.test(native=spec.native_size, height=height, width=width):
            assert reduced_grid(spec, 8, height, width, longest_side(spec)) == expected


def test_a_preview_has_the_size_of_its_grid(small_pipeline):
    bundle = small_pipeline._bundle
    latents = torch.zeros(2, bundle.latent_channels, 16, 24)
    for longest, expected in ((64, (48, 64, 4)), (256, (128, 192, 4))):
        with torch.inference_mode():
            shown = previews(bundle, latents, transparent=[False, True], longest=longest)
        assert [pixels.shape for pixels in shown] == [expected, expected]


def test_previews_of_a_batch_are_those_of_one_after_the_other(small_pipeline):
    bundle = small_pipeline._bundle
    latents = torch.randn((3, bundle.latent_channels, 16, 16), generator=torch.Generator().manual_seed(0))
    transparent = [True, False, False]
    with torch.inference_mode():
        together = previews(bundle, latents, transparent=transparent)
        alone = [previews(bundle, latents[i : i + 1], transparent=[transparent[i]])[0] for i in range(3)]
    for one, other in zip(together, alone, strict=True):
        assert abs(one.astype(int) - other).max() <= 1
    assert (together[0][..., 3] < 255).any() and all((pixels[..., 3] == 255).all() for pixels in together[1:])
