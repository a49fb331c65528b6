import pytest
import torch

from layerfusion.engine.transparency.padding import _area, pad_colours
from layerfusion.engine.transparency.views import median_of_views, rotate, rotate_back

TURNS = [(quarters, flip) for flip in (False, True) for quarters in range(4)]


class TestPadding:
    def test_an_opaque_picture_stays_as_it_is(self):
        rgba = torch.randint(0, 256, (4, 37, 53)).float() / 255
        rgba[3] = 1
        assert torch.equal((pad_colours(rgba) * 255).round(), (rgba[:3] * 255).round())

    def test_one_colour_stays_one_colour(self):
        colour = torch.tensor([0.2, 0.5, 0.9]).view(3, 1, 1)
        alpha = torch.zeros(1, 64, 96)
        alpha[:, 10:20, 30:50] = torch.rand(1, 10, 20)
        padded = pad_colours(torch.cat([colour.expand(3, 64, 96), alpha]))
        torch.testing.assert_close(padded, colour.expand(3, 64, 96), atol=1e-5, rtol=0)

    def test_nothing_visible_is_black_and_any_shape_works(self, subtests):
        for shape in [(1, 1), (1, 40), (40, 1), (2, 3), (64, 64)]:
            with subtests.test(shape=shape):
                assert torch.equal(
                    pad_colours(torch.cat([torch.rand(3, *shape), torch.zeros(1, *shape)])), torch.zeros(3, *shape)
                )
                assert pad_colours(torch.rand(4, *shape)).isfinite().all()

    def test_colours_that_cannot_be_seen_take_no_part(self):
        rgba = torch.rand(4, 48, 64)
        rgba[3] = (rgba[3] > 0.8) * rgba[3]
        other = torch.where(rgba[3:] > 0, rgba, torch.rand(4, 48, 64) * torch.tensor([1, 1, 1, 0]).view(4, 1, 1))
        assert not torch.equal(rgba[:3], other[:3])
        assert torch.equal(pad_colours(rgba), pad_colours(other))

    def test_no_colour_lies_outside_the_visible_ones(self):
        rgba = torch.rand(4, 48, 64)
        rgba[3, 8:] = 0
        seen = rgba[:3, :8].flatten(1)
        padded = pad_colours(rgba).flatten(1)
        assert (padded.amin(1) >= seen.amin(1) - 1e-5).all()
        assert (padded.amax(1) <= seen.amax(1) + 1e-5).all()

    def test_far_away_it_is_the_mean_of_what_is_visible(self):
        rgba = torch.zeros(4, 128, 128)
        rgba[:, 60:68, 60:64] = torch.tensor([1.0, 0, 0, 1]).view(4, 1, 1)
        rgba[:, 60:68, 64:68] = torch.tensor([0, 0, 1.0, 1]).view(4, 1, 1)
        padded = pad_colours(rgba)
        torch.testing.assert_close(padded[:, 0, :].mean(1), torch.tensor([0.5, 0, 0.5]), atol=0.02, rtol=0)
        assert padded[0, 64, 58] > 0.8  # beside the red half it is red

    def test_a_level_is_the_mean_over_the_area_of_its_pixels(self):
        """60 pixels to 50: cut each into five, and six of the pieces make one."""
        picture = torch.rand(60, 60)
        pieces = picture.repeat_interleave(5, 0).repeat_interleave(5, 1)
        expected = pieces.view(50, 6, 50, 6).mean(dim=(1, 3))
        torch.testing.assert_close(_area(60, 50) @ picture @ _area(60, 50).T, expected)


class TestViews:
    def test_every_turn_has_its_way_back(self, subtests):
        for view in TURNS:
            with subtests.test(view=view):
                picture = torch.rand(2, 3, 16, 24)
                assert torch.equal(rotate_back(rotate(picture, *view), *view), picture)

    def test_no_two_turns_are_alike(self):
        picture = torch.rand(1, 1, 8, 8)
        views = [rotate(picture, *view) for view in TURNS]
        assert not any(torch.equal(a, b) for i, a in enumerate(views) for b in views[:i])

    def test_the_mirror_comes_before_the_turn(self):
        picture = torch.arange(6.0).view(1, 1, 2, 3)
        assert torch.equal(rotate(picture, 1, True)[0, 0], torch.tensor([[0.0, 3], [1, 4], [2, 5]]))

    @pytest.mark.parametrize("at_once", [1, 2, 3, 8])
    def test_a_decoder_without_preferences_sees_the_same_in_all(self, at_once):
        def decode(rgb, latents):
            grown = latents.repeat_interleave(8, -1).repeat_interleave(8, -2)
            return torch.cat([rgb * 0.5, grown[:, :1].sigmoid()], dim=1)

        rgb, latents = torch.rand(1, 3, 64, 128), torch.randn(1, 4, 8, 16)
        expected = decode(rgb, latents)
        assert torch.equal(median_of_views(decode, rgb, latents, at_once=at_once), expected)

    def test_the_lower_of_the_middle_values_wins(self):
        values = iter([0.9, 0.1, 0.5, 0.3, 0.8, 0.2, 0.7, 0.4])

        def decode(rgb, latents):
            return torch.full((len(rgb), 4, *rgb.shape[2:]), next(values))

        median = median_of_views(decode, torch.rand(1, 3, 8, 8), torch.rand(1, 4, 1, 1), at_once=1)
        assert torch.equal(median, torch.full((1, 4, 8, 8), 0.4))

    def test_values_beyond_the_range_count_as_its_ends(self):
        def decode(rgb, latents):
            return torch.full((len(rgb), 4, *rgb.shape[2:]), 1.7)

        assert median_of_views(decode, torch.rand(1, 3, 8, 8), torch.rand(1, 4, 1, 1), at_once=8).max() == 1
