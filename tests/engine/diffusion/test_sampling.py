from dataclasses import replace

import pytest
import torch
from diffusers import EDMEulerScheduler

from layerfusion.engine.backbones.base import NoiseSchedule
from layerfusion.engine.diffusion.sampling import Sampler, coupling_step
from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.models.catalog.samplers import SAMPLERS, forwards, sampler_key
from layerfusion.engine.models.catalog.schedules import edm

ZERO_SNR = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
SDXL = {"prediction_type": "epsilon", "rescale_betas_zero_snr": False, "timestep_spacing": "leading", "steps_offset": 1}
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


@pytest.fixture(params=[ZERO_SNR, SDXL], ids=["v, zero terminal SNR", "epsilon, SDXL"])
def model(request):
    """The schedule of a network that predicts ε, or v; all samplers suit it."""
    return NoiseSchedule(config=BETAS | request.param, samplers=tuple(SAMPLERS))


def test_exact_predictions_lead_from_noise_to_the_clean_latents(subtests, model):
    """The constraint of a kept layer relies on it: with exact predictions every solver must arrive at z0."""
    for name in SAMPLERS:
        with subtests.test(name=name):
            sampler = Sampler(model, name, 10, seeds=[1])
            # From pure noise (σ = 4096), Heun's second slope magnifies float32's rounding of the first state.
            exact = 3e-3 if name.startswith("heun") and model.config["rescale_betas_zero_snr"] else 1e-4
            clean, noise = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
            state = sampler.state(clean, noise, 0)
            for index in range(len(sampler.timesteps)):
                a, b = sampler.levels(index)
                assert a**2 + b**2 == pytest.approx(1, abs=1e-5)
                model_input = sampler.model_input(state, index)
                torch.testing.assert_close(model_input, a * clean + b * noise, atol=exact, rtol=1e-4)
                prediction = sampler.exact_prediction(clean, noise, index)
                torch.testing.assert_close(
                    sampler.clean_estimate(model_input, prediction, index), clean, atol=max(exact, 1e-3), rtol=1e-3
                )
                state = sampler.step(prediction, index, state)
                if sampler.stochastic:
                    state = sampler.state(clean, noise, index + 1)
            torch.testing.assert_close(state, clean, atol=max(exact, 2e-3), rtol=2e-3)


def test_implied_predictions_lead_to_the_clean_latents(subtests, model):
    """This holds whatever noise the steps add, because the prediction is computed from the current latents."""
    for name in SAMPLERS:
        with subtests.test(name=name):
            sampler = Sampler(model, name, 12, seeds=[1])
            clean = torch.randn(1, 4, 8, 8)
            state = sampler.start(torch.randn(1, 4, 8, 8))
            for index in range(len(sampler.timesteps)):
                a, b = sampler.levels(index)
                model_input = sampler.model_input(state, index)
                noise = (model_input - a * clean) / b
                state = sampler.step(sampler.exact_prediction(clean, noise, index), index, state)
            torch.testing.assert_close(state, clean, atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    "name", [name for name in SAMPLERS if name.startswith(("euler_a", "dpmpp_2m_sde", "dpmpp_sde", "lcm"))]
)
def test_streams_with_the_same_seed_get_the_same_noise_at_the_steps(model, name):
    def run(seeds: list[int]) -> torch.Tensor:
        sampler = Sampler(model, name, 4, seeds)
        assert sampler.stochastic
        state = sampler.start(torch.ones(3, 4, 4, 4))
        for index in range(3):
            sampler.model_input(state, index)
            state = sampler.step(torch.zeros(3, 4, 4, 4), index, state)
        return state

    first, again, changed = run([1, 2, 2]), run([1, 2, 2]), run([7, 2, 2])
    assert torch.equal(first, again)
    assert torch.equal(first[1], first[2])
    assert not torch.equal(first[0], first[1])
    assert torch.equal(first[1:], changed[1:])
    assert not torch.equal(first[0], changed[0])


def test_karras_spacing_is_replaced_on_models_with_zero_terminal_snr(model):
    plain, karras = Sampler(model, "dpmpp_2m", 20), Sampler(model, "DPM++ 2M Karras", 20)
    if model.config["rescale_betas_zero_snr"]:
        assert torch.equal(plain.timesteps, karras.timesteps)
        (notice,) = karras.notices
        assert notice.code == "sampler_replaced"
        assert notice.text.startswith("DPM++ 2M Karras runs with equal distances instead")
    else:
        assert not karras.notices
        late = [int((sampler.times < 0.2).sum()) for sampler in (plain, karras)]
        assert late == [4, 8], "Karras spends its steps near the picture"
    assert not plain.notices


def test_samplers_can_be_named_by_their_display_names():
    assert all(sampler_key(key) == sampler_key(title) == key for key, title in SAMPLERS.items())
    assert sampler_key("  dpm++ 2m  KARRAS ") == "dpmpp_2m_karras"
    for name, key in {
        "euler_ancestral": "euler_a",
        "uni_pc": "unipc",
        "uni_pc sgm_uniform": "unipc_sgm_uniform",
        "dpmpp_3m_sde_gpu exponential": "dpmpp_3m_sde_exponential",
        "DPM++ 2M SDE / Karras": "dpmpp_2m_sde_karras",
        "Euler a (normal)": "euler_a",
        "Heun Beta": "heun_beta",
    }.items():
        assert sampler_key(name) == key
    assert sampler_key("DDIM Karras") is sampler_key("Restart") is None


def test_lcm_refuses_more_steps_than_it_can_take(model):
    with pytest.raises(InvalidRequest, match=r"LCM cannot take 51 steps.*4 to 8"):
        Sampler(model, "lcm", 51, seeds=[1])


def test_few_step_samplers_begin_at_the_last_training_timestep(model):
    few = replace(model, config={**model.config, "timestep_spacing": "trailing"})
    assert [int(Sampler(few, name, 4).timesteps[0]) for name in ("euler", "ddim")] == [999, 999]


@pytest.mark.parametrize("name", SAMPLERS)
def test_stacked_streams_advance_as_if_each_had_its_own_scheduler(model, name):
    noise = torch.randn(3, 4, 8, 8)
    predictions = torch.randn(5, 3, 4, 8, 8)

    def run(rows: slice) -> torch.Tensor:
        sampler = Sampler(model, name, 5, [11, 12, 13][rows])
        state = sampler.start(noise[rows])
        for index in range(5):
            sampler.model_input(state, index)
            state = sampler.step(predictions[index, rows], index, state)
        return state

    together = run(slice(0, 3))
    for row in range(3):
        assert torch.equal(together[row : row + 1], run(slice(row, row + 1)))


def test_unknown_sampler_names_those_that_suit_the_model(model):
    with pytest.raises(InvalidRequest, match=r"“restart”.*euler, euler_a"):
        Sampler(model, "restart", 5)
    few = replace(model, samplers=("euler", "dpmpp_2m_karras"))
    assert len(Sampler(few, "Euler Beta", 5).timesteps) == 5, "a solver suits with every spacing"
    with pytest.raises(InvalidRequest, match="euler, dpmpp_2m_karras"):
        Sampler(few, "dpmpp_2m", 5)


def test_the_coupling_begins_at_the_first_step_below_the_fraction():
    times = torch.tensor([0.999, 0.799, 0.599, 0.399, 0.199], dtype=torch.float64)
    assert [coupling_step(times, fraction) for fraction in (1.0, 0.8, 0.799, 0.5, 0.1)] == [0, 1, 1, 3, 5]


TEN: dict[str, list[float]] = {
    "dpmpp_2m": [14.615, 7.84, 4.609, 2.918, 1.95, 1.345, 0.932, 0.625, 0.369, 0.029],
    "dpmpp_2m_karras": [14.615, 9.103, 5.478, 3.169, 1.749, 0.914, 0.447, 0.201, 0.082, 0.029],
    "euler_exponential": [14.615, 7.325, 3.671, 1.84, 0.922, 0.462, 0.232, 0.116, 0.058, 0.029],
    "euler_beta": [14.615, 11.573, 7.379, 4.377, 2.612, 1.616, 1.028, 0.654, 0.395, 0.198],
    "euler_sgm_uniform": [14.615, 8.307, 5.092, 3.325, 2.28, 1.616, 1.163, 0.832, 0.571, 0.344],
}


class TestLevels:
    """The noise levels σ = b / a at which the steps begin, to three decimals as k-diffusion places them on SDXL.

    Beta's are ComfyUI's before it rounds to whole timesteps.
    """

    @pytest.mark.parametrize("name", TEN)
    def test_steps_begin_where_k_diffusion_places_them(self, name):
        sampler = Sampler(NoiseSchedule(BETAS | SDXL, tuple(SAMPLERS)), name, 10, seeds=[1])
        assert [round(sampler.levels(i)[1] / sampler.levels(i)[0], 3) for i in range(10)] == TEN[name]

    @pytest.mark.parametrize("name", ["heun", "dpmpp_sde_karras"])
    def test_solvers_with_two_forwards_a_step_count_steps_as_artists_do(self, name):
        sampler = Sampler(NoiseSchedule(BETAS | SDXL, tuple(SAMPLERS)), name, 10, seeds=[1])
        assert len(sampler.timesteps) == forwards(name, 10) == 19
        assert forwards("euler", 10) == 10

    @pytest.mark.parametrize("steps", [1, 2, 7, 150])
    def test_levels_descend_for_any_number_of_steps(self, subtests, model, steps):
        for name in SAMPLERS:
            if name in ("lcm", "tcd") and steps > 50:
                continue
            with subtests.test(name=name):
                sampler = Sampler(model, name, steps, seeds=[1])
                noise = [b for _, b in map(sampler.levels, range(len(sampler.timesteps)))]
                assert noise == sorted(noise, reverse=True)
                assert len(sampler.times) == len(sampler.timesteps) == forwards(name, steps)
                assert sampler.times.max() < 1 and sampler.times.min() >= 0

    def test_a_share_of_t_means_the_same_noise_with_every_sampler(self, subtests):
        """A preset that ends guidance at 0.2 T ends it at σ = 0.57, however many steps that leaves."""
        for name in SAMPLERS:
            with subtests.test(name=name):
                sampler = Sampler(NoiseSchedule(BETAS | SDXL, tuple(SAMPLERS)), name, 30, seeds=[1])
                place = coupling_step(sampler.times, 0.2)
                before, after = (sampler.levels(i)[1] / sampler.levels(i)[0] for i in (place - 1, place))
                assert after <= 0.572 < before or before == after


class TestContinuousLevels:
    """CosXL's schedule: the network is told ln(σ) / 4 and predicts v."""

    SCHEDULE = NoiseSchedule(edm(120.0, 0.002), tuple(SAMPLERS))

    def test_euler_steps_are_those_of_diffusers(self):
        ours = Sampler(self.SCHEDULE, "euler", 8)
        theirs = EDMEulerScheduler(0.002, 120.0, 1.0, "exponential", prediction_type="v_prediction")
        theirs.set_timesteps(8)
        noise = torch.randn(1, 4, 8, 8)
        state, other = ours.start(noise), noise * theirs.init_noise_sigma
        torch.testing.assert_close(ours.timesteps, theirs.timesteps.float(), atol=1e-5, rtol=1e-5)
        for index, timestep in enumerate(theirs.timesteps):
            mine = ours.model_input(state, index)
            torch.testing.assert_close(mine, theirs.scale_model_input(other, timestep), atol=1e-3, rtol=1e-3)
            state = ours.step(torch.sin(mine), index, state)
            other = theirs.step(torch.sin(mine), timestep, other).prev_sample
        torch.testing.assert_close(state, other, atol=1e-2, rtol=1e-2)

    def test_exact_predictions_lead_to_the_clean_latents(self, subtests):
        for name in ("euler", "dpmpp_2m_karras", "heun", "unipc", "euler_sgm_uniform"):
            with subtests.test(name=name):
                sampler = Sampler(self.SCHEDULE, name, 10)
                clean, noise = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
                state = sampler.state(clean, noise, 0)
                for index in range(len(sampler.timesteps)):
                    state = sampler.step(sampler.exact_prediction(clean, noise, index), index, state)
                torch.testing.assert_close(state, clean, atol=5e-3, rtol=5e-3)

    def test_times_are_measured_on_the_schedule_of_training_timesteps(self):
        times = Sampler(self.SCHEDULE, "euler", 30).times
        assert times[0] == 0.999 and times[-1] == 0
        assert (times.diff() <= 0).all()

    def test_solvers_by_timestep_are_refused(self):
        for name in ("ddim", "lcm", "tcd"):
            with pytest.raises(InvalidRequest, match="needs training timesteps"):
                Sampler(self.SCHEDULE, name, 5, seeds=[1])
