"""What every step runs, by the options that save work."""

from types import SimpleNamespace

import pytest
import torch

from layerfusion.engine.diffusion import step_plan
from layerfusion.engine.diffusion.constraints import Constraints, LatentConstraint
from layerfusion.engine.diffusion.step_plan import StepPlan
from layerfusion.engine.fusion.coupling import Coupling
from layerfusion.engine.fusion.mask_builder import KnownShape
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.options.fusion import FusionSettings

STEPS = 6


def held(stream, until=0.0):
    return LatentConstraint(stream, torch.zeros(4, 8, 8), torch.ones(1, 1, 1), until)


@pytest.fixture(autouse=True)
def no_least_number(monkeypatch):
    monkeypatch.setattr(step_plan, "RENEWALS", 1)


def works(options, constraints=(), shapes=(), guided=True):
    """The work of six steps, which begin at t = 1, 5/6, … T."""
    times = torch.linspace(1, 1 / STEPS, STEPS)
    sampler = SimpleNamespace(times=times, timesteps=times * 1000)
    settings = FusionSettings.from_values({"prior": "lagged", **options})
    known = {index: KnownShape(torch.ones(1, 64)) for index in shapes}
    coupling = Coupling(Streams(1), settings, (8, 8), torch.zeros(1, dtype=torch.long), known)
    plan = StepPlan(sampler, coupling, guided, Constraints(tuple(constraints)))
    return [plan.work(index) for index in range(STEPS)]


def test_without_these_options_everything_runs_in_every_step():
    for work in works({}):
        assert (work.rows, work.guided, work.unconditional, work.deep) == ((0, 1, 2), True, True, True)


def test_halves_and_deep_blocks_run_in_every_nth_step():
    found = works({"guidance_every": 2, "deep_every": 3})
    assert [work.unconditional for work in found] == [True, False] * 3
    assert [work.deep for work in found] == [True, False, False, True, True, False], (
        "the deep blocks run, too, when the unconditional half returns and they have lost it"
    )
    found = works({"guidance_every": 3, "deep_every": 3})
    assert [work.unconditional for work in found] == [work.deep for work in found] == [True, False, False] * 2
    assert all(work.guided for work in found)


@pytest.mark.parametrize(("renewals", "expected"), [(3, [True, False] * 3), (5, [True] * 6)])
def test_in_few_steps_they_run_more_often(monkeypatch, renewals, expected):
    monkeypatch.setattr(step_plan, "RENEWALS", renewals)
    found = works({"guidance_every": 6, "deep_every": 6})
    assert [work.deep for work in found] == [work.unconditional for work in found] == expected


def test_when_guidance_begins_both_are_renewed():
    found = works({"guidance_every": 3, "deep_every": 3, "guidance_start": 0.7})
    assert [work.unconditional for work in found] == [False, False, True, False, False, True]
    assert [work.deep for work in found] == [True, False, True, False, False, True]


def test_after_guidance_the_conditional_half_goes_on_with_what_there_is():
    found = works({"deep_every": 3, "guidance_every": 3, "guidance_end": 0.7})
    assert [work.guided for work in found] == [True, True, False, False, False, False]
    assert [work.deep for work in found] == [True, False, False, True, False, False]


def test_known_streams_run_unless_they_are_skipped():
    kept = {"constraints": [held(0)], "shapes": [0]}
    assert {work.rows for work in works({}, **kept)} == {(0, 1, 2)}
    assert {work.rows for work in works({"known_layers": "skipped"}, **kept)} == {(1, 2)}


def test_a_stream_that_joins_is_computed_anew():
    found = works(
        {"known_layers": "skipped", "deep_every": 4, "guidance_every": 4}, constraints=[held(0, 0.6)], shapes=[0]
    )
    assert [work.rows for work in found] == [(1, 2)] * 3 + [(0, 1, 2)] * 3
    assert [work.deep for work in found] == [work.unconditional for work in found] == [True, False, False] * 2


@pytest.mark.parametrize("how", ["drawn", "skipped"])
def test_nothing_runs_if_everything_is_known(how):
    everything = [held(stream) for stream in range(3)]
    for work in works({"known_layers": how}, everything, [0]):
        assert (work.rows, work.guided, work.deep, work.measures) == ((), False, False, False)
    assert {work.rows for work in works({"known_layers": how}, everything)} == {(0, 1, 2)}, "priors are needed"


def test_what_is_held_to_the_end_is_held_at_the_end():
    """The last step of some samplers begins at t = 0."""
    constraints = Constraints((held(0), held(1, 0.5)))
    assert [constraints.held_streams(time) for time in (0.9, 0.5, 0.0)] == [{0, 1}, {0}, {0}]


def test_what_runs_in_some_steps_only_takes_the_priors_of_the_step_before(monkeypatch):
    """A prior pass is a whole forward; the first step begins with noise, where it would measure nothing."""
    first, second = [True] + [False] * 5, [False, True] + [False] * 4
    later = {"blend_start": 0.9}
    assert [work.measures for work in works({})] == [work.measures for work in works({"guidance_every": 3})] == first
    assert [work.measures for work in works(later)] == second
    assert not any(work.measures for work in works({"deep_every": 3}))
    assert not any(work.measures for work in works({"deep_every": 3, **later}))
    assert all(work.measures for work in works({"deep_every": 3, "prior": "per_step"}))
    joining = works({"deep_every": 3, "known_layers": "skipped", **later}, [held(0, 0.84)])
    assert [work.measures for work in joining] == second, "the foreground did not run before"
    monkeypatch.setattr(step_plan, "RENEWALS", 5)
    assert [work.measures for work in works({"deep_every": 3})] == first, "in few steps, the deep blocks run in all"
