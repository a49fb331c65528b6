import pytest
import torch

from engine.diffusion.sampling import Sampler, coupling_step
from engine.errors import InvalidRequest
from engine.models.spec import SAMPLERS


@pytest.mark.parametrize("name", SAMPLERS)
def test_exact_predictions_lead_from_noise_to_the_clean_latents(bundle, name):
    """The pin of a kept layer: knowing z0 and ε, every solver must arrive at z0 by itself."""
    sampler = Sampler(bundle, name, 10)
    clean, noise = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    state = sampler.state(clean, noise, 0)
    for index in range(10):
        a, b = sampler.levels(index)
        assert a**2 + b**2 == pytest.approx(1, abs=1e-5)
        model_input = sampler.model_input(state, index)
        torch.testing.assert_close(model_input, a * clean + b * noise, atol=1e-4, rtol=1e-4)
        prediction = sampler.exact_prediction(clean, noise, index)
        torch.testing.assert_close(sampler.clean_estimate(model_input, prediction, index), clean, atol=1e-3, rtol=1e-3)
        state = sampler.step(prediction, index, state)
    torch.testing.assert_close(state, clean, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("name", SAMPLERS)
def test_stacked_streams_advance_as_if_each_had_its_own_scheduler(bundle, name):
    noise = torch.randn(3, 4, 8, 8)
    predictions = torch.randn(5, 3, 4, 8, 8)

    def run(rows: slice) -> torch.Tensor:
        sampler = Sampler(bundle, name, 5)
        state = sampler.start(noise[rows])
        for index in range(5):
            sampler.model_input(state, index)
            state = sampler.step(predictions[index, rows], index, state)
        return state

    together = run(slice(0, 3))
    for row in range(3):
        assert torch.equal(together[row : row + 1], run(slice(row, row + 1)))


def test_unknown_sampler_names_those_that_suit_the_model(bundle):
    with pytest.raises(InvalidRequest, match=r"“heun”.*euler, ddim"):
        Sampler(bundle, "heun", 5)


def test_the_coupling_begins_at_the_first_step_below_the_fraction():
    timesteps = torch.tensor([999.0, 799.0, 599.0, 399.0, 199.0])
    assert [coupling_step(timesteps, 1000, fraction) for fraction in (1.0, 0.8, 0.799, 0.5, 0.1)] == [0, 1, 1, 3, 5]
