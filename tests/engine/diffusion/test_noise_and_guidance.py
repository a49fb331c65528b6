import pytest
import torch

from layerfusion.engine.diffusion.guidance import guide
from layerfusion.engine.diffusion.noise import initial_noise


def test_every_seed_has_its_own_noise_and_keeps_it():
    first, second = initial_noise([1, 2, 1], 4, 8, 8), initial_noise([1, 9], 4, 8, 8)
    assert torch.equal(first[0], first[2])
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[0], first[1])


def test_guidance_of_one_is_the_conditional_prediction():
    unconditional, conditional = torch.randn(2, 3, 4, 8, 8)
    assert guide(unconditional, conditional, 1.0, 0.5) is conditional


def test_full_rescale_restores_the_conditional_spread():
    unconditional, conditional = torch.randn(2, 3, 4, 8, 8)
    guided = guide(unconditional, conditional, 7.0, 1.0)
    for row in range(3):
        assert guided[row].std().item() == pytest.approx(conditional[row].std().item(), rel=1e-4)
    plain = guide(unconditional, conditional, 7.0, 0.0)
    torch.testing.assert_close(plain, unconditional + 7 * (conditional - unconditional))
