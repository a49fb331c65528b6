import pytest
import torch

from layerfusion.engine.transparency.padding import _area, pad_colours
from layerfusion.engine.transparency.views import median_of_views, rotate, rotate_back

TURNS = [(quarters, flip) for flip in (False, True) for quarters in range(4)]


class TestPadding:
    def test_an_opaque_image_is_unchanged(self):
        rgba = torch.randint(0, 256, (4, 37, 53)).float() / 255
        rgba[3] = 1
        assert torch.equal((pad_colours(rgba) * 255).round(), (rgba[:3] * 255).round())

    def test_one_colour_stays_one_colour(self):
        colour = torch.tensor([0.2, 0.5, 0.9]).view(3, 1, 1)
        alpha = torch.zeros(1, 64, 96)
        alpha[:, 10:20, 30:50] = torch.rand(1, 10, 20)
        padded = pad_colours(torch.cat([colour.expand(3, 64, 96), alpha]))
        torch.testing.assert_close(padded, colour.expand(3, 64, 96), atol=1e-5, rtol=0)

    def test_an_invisible_image_becomes_black_at_any_shape(self, subtests):
        for shape in [(1, 1), (1, 40), (40, 1), (2, 3), (64, 64)]:
            with subtests.test(shape=shape):
                assert torch.equal(
                    pad_colours(torch.cat([torch.rand(3, *shape), torch.zeros(1, *shape)])), torch.zeros(3, *shape)
                )
                assert pad_colours(torch.rand(4, *shape)).isfinite().all()

    def test_invisible_colours_are_ignored(self):
        rgba = torch.rand(4, 48, 64)
        rgba[3] = (rgba[3] > 0.8) * rgba[3]
        other = torch.where(rgba[3:] > 0, rgba, torch.rand(4, 48, 64) * torch.tensor([1, 1, 1, 0]).view(4, 1, 1))
        assert not torch.equal(rgba[:3], other[:3])
        assert torch.equal(pad_colours(rgba), pad_colours(other))

    def test_padded_colours_stay_in_the_range_of_the_visible_ones(self):
        rgba = torch.rand(4, 48, 64)
        rgba[3, 8:] = 0
        seen = rgba[:3, :8].flatten(1)
        padded = pad_colours(rgba).flatten(1)
        assert (padded.amin(1) >= seen.amin(1) - 1e-5).all()
        assert (padded.amax(1) <= seen.amax(1) + 1e-5).all()

    def test_far_away_the_colour_is_the_mean_of_the_visible_colours(self):
        rgba = torch.zeros(4, 128, 128)
        rgba[:, 60:68, 60:64] = torch.tensor([1.0, 0, 0, 1]).view(4, 1, 1)
        rgba[:, 60:68, 64:68] = torch.tensor([0, 0, 1.0, 1]).view(4, 1, 1)
        padded = pad_colours(rgba)
        torch.testing.assert_close(padded[:, 0, :].mean(1), torch.tensor([0.5, 0, 0.5]), atol=0.02, rtol=0)
        assert padded[0, 64, 58] > 0.8  # beside the red half it is red

    def test_a_level_is_the_mean_over_the_area_of_its_pixels(self):
        """From 60 pixels to 50: with each pixel cut into five pieces, six pieces make a new pixel."""
        picture = torch.rand(60, 60)
        pieces = picture.repeat_interleave(5, 0).repeat_interleave(5, 1)
        expected = pieces.view(50, 6, 50, 6).mean(dim=(1, 3))
        torch.testing.assert_close(_area(60, 50) @ picture @ _area(60, 50).T, expected)


class TestViews:
    def test_rotate_back_inverts_every_rotation(self, subtests):
        for view in TURNS:
            with subtests.test(view=view):
                picture = torch.rand(2, 3, 16, 24)
                assert torch.equal(rotate_back(rotate(picture, *view), *view), picture)

    def test_all_eight_rotations_differ(self):
        picture = torch.rand(1, 1, 8, 8)
        views = [rotate(picture, *view) for view in TURNS]
        assert not any(torch.equal(a, b) for i, a in enumerate(views) for b in views[:i])

    def test_mirroring_comes_before_the_rotation(self):
        picture = torch.arange(6.0).view(1, 1, 2, 3)
        assert torch.equal(rotate(picture, 1, True)[0, 0], torch.tensor([[0.0, 3], [1, 4], [2, 5]]))

    @pytest.mark.parametrize("at_once", [1, 2, 3, 8])
    def test_an_equivariant_decoder_gives_the_same_result_in_all_views(self, at_once):
        def decode(rgb, latents):
            grown = latents.repeat_interleave(8, -1).repeat_interleave(8, -2)
            return torch.cat([rgb * 0.5, grown[:, :1].sigmoid()], dim=1)

        rgb, latents = torch.rand(1, 3, 64, 128), torch.randn(1, 4, 8, 16)
        expected = decode(rgb, latents)
        assert torch.equal(median_of_views(decode, rgb, latents, at_once=at_once), expected)

    def test_the_median_is_the_lower_of_the_middle_values(self):
        values = iter([0.9, 0.1, 0.5, 0.3, 0.8, 0.2, 0.7, 0.4])

        def decode(rgb, latents):
            return torch.full((len(rgb), 4, *rgb.shape[2:]), next(values))

        median = median_of_views(decode, torch.rand(1, 3, 8, 8), torch.rand(1, 4, 1, 1), at_once=1)
        assert torch.equal(median, torch.full((1, 4, 8, 8), 0.4))

    def test_values_are_clipped_before_the_median(self):
        def decode(rgb, latents):
            return torch.full((len(rgb), 4, *rgb.shape[2:]), 1.7)

        assert median_of_views(decode, torch.rand(1, 3, 8, 8), torch.rand(1, 4, 1, 1), at_once=8).max() == 1
