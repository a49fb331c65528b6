"""The options of the schedule in whole jobs of the embedded model: each has the effect that its text describes.

Four steps begin at t = 0.999, 0.749, 0.499 and 0.249 T.
"""

import numpy as np
import pytest
import torch

from layerfusion.engine.diffusion import step_plan
from layerfusion.engine.diffusion.observer import Observer
from layerfusion.engine.fusion.coupling import Pass
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.sources import Kept

STEPS = 4
BACKGROUND, BLENDED = 1, 2


def joint(run):
    """(t / T, rows) of every forward of all streams."""
    return [(time, rows) for time, running, rows in run.forwards if running is not Pass.PRIOR]


def test_streams_are_coupled_from_the_start_until_the_end(run):
    """From the first step with t <= `blend_start` · T, until before the first with t <= `blend_end` · T."""
    alone = run(blend_start=0.0, steps=STEPS)
    assert not alone.attentions and {running for _, running, _ in alone.forwards} == {Pass.JOINT}
    middle = run(blend_start=0.6, blend_end=0.3, steps=STEPS)
    assert [round(time, 3) for time, running, _ in middle.forwards if running is Pass.COUPLED] == [0.499]
    assert torch.equal(middle.estimates[:2], alone.estimates[:2])
    assert not torch.allclose(middle.estimates[2], alone.estimates[2], atol=1e-3)


def test_an_end_before_the_first_step_prevents_coupling_and_one_after_the_last_has_no_effect(run):
    assert torch.equal(run(blend_end=0.9995).estimates, run(blend_start=0.0).estimates)
    late, never = run(blend_end=0.4, steps=2), run(blend_end=0.0, steps=2)
    assert late.times[-1] > 0.4
    assert torch.equal(late.estimates, never.estimates)


def test_guidance_is_active_from_its_start_to_its_end(run):
    """Outside the interval only the conditional half runs, as with a guidance scale of 1; that halves the cost."""
    unguided = run(guidance_scale=1.0, steps=STEPS)
    middle = run(guidance_start=0.6, guidance_end=0.3, steps=STEPS)
    assert [rows for _, rows in joint(unguided)] == [3, 3, 3, 3]
    assert [rows for _, rows in joint(middle)] == [3, 3, 6, 3]
    assert torch.equal(middle.estimates[:2], unguided.estimates[:2])
    assert not torch.allclose(middle.estimates[2], unguided.estimates[2], atol=1e-3)


def test_after_its_end_there_is_no_guidance(run):
    """Until then the result is the same as with guidance to the end."""
    ended, whole = run(guidance_end=0.6, steps=2), run(steps=2)
    assert [rows for _, rows in joint(ended)] == [6, 3]
    assert torch.equal(ended.estimates[0], whole.estimates[0])
    assert not torch.allclose(ended.estimates[1], whole.estimates[1], atol=1e-3)


@pytest.mark.parametrize("never", [{"guidance_start": 0.0}, {"guidance_end": 0.9995}])
def test_guidance_that_never_begins_is_a_scale_of_one(run, never):
    assert torch.equal(run(**never).estimates, run(guidance_scale=1.0).estimates)


@pytest.mark.parametrize(("prior", "passes"), [("per_step", 3), ("lagged", 1), ("once", 1)])
def test_prior_passes_run_as_often_as_the_option_says(run, prior, passes):
    """A prior pass has the conditional foreground rows only, before the first coupled step or before each."""
    drawn = run(prior=prior, steps=3, blend_start=0.8 if prior != "per_step" else 1.0)
    alone = [(time, rows) for time, running, rows in drawn.forwards if running is Pass.PRIOR]
    assert len(alone) == passes and {rows for _, rows in alone} == {1}
    coupled = [time for time, running, _ in drawn.forwards if running is Pass.COUPLED]
    assert [time for time, _ in alone] == coupled[:passes]


def test_once_uses_the_maps_of_the_first_prior_pass_in_every_step(run):
    once, per_step = run(prior="once", steps=3), run(prior="per_step", steps=3)
    applied = {}
    for each in once.attentions:
        if each.masks is not None:
            applied.setdefault((each.block, each.kind), []).append(each)
    for calls in applied.values():
        assert len(calls) == 3
        for part in ("soft", "hard", "inner"):
            first, *others = (getattr(each.masks, part) for each in calls)
            assert all(torch.equal(first, other) for other in others)
        assert all(torch.equal(calls[0].background, each.background) for each in calls[1:])
    assert torch.equal(once.estimates[0], per_step.estimates[0])
    assert not torch.equal(once.estimates[1], per_step.estimates[1])


class TestBackdrop:
    """The option `backdrop_until`, at the model's own size."""

    def test_at_one_the_blended_picture_is_not_held(self, run):
        assert run(backdrop_until=1.0).constraints.backdrops == ()

    def test_until_then_the_blended_picture_is_held_to_the_background(self, run, bundle):
        free, held = (run(bundle, backdrop_until=until, steps=STEPS) for until in (1.0, 0.6))
        for step, (time, outside) in enumerate(zip(held.times, held.outside, strict=True)):
            assert len(outside) == (2 if time > 0.6 else 1), "beyond 20 % of the frame it is held longer"
            where = torch.stack(outside).amax(dim=0).bool().expand(4, -1, -1)
            background, blended = held.estimates[step, BACKGROUND], held.estimates[step, BLENDED]
            torch.testing.assert_close(blended[where], background[where], atol=1e-4, rtol=1e-4)
            assert (blended - background)[~where].abs().max() > 1e-2
        first = torch.stack(held.outside[0]).amax(dim=0).bool().expand(4, -1, -1)
        assert first.any()
        torch.testing.assert_close(held.estimates[0, BLENDED][~first], free.estimates[0, BLENDED][~first])
        assert torch.equal(held.estimates[0, :BLENDED], free.estimates[0, :BLENDED])

    def test_zero_holds_it_to_the_end(self, run):
        drawn = run(backdrop_until=0.0, steps=2)
        assert [len(outside) for outside in drawn.outside] == [2, 2]

    def test_kept_layers_are_held_whatever_the_value_is(self, run):
        pixels = np.zeros((64, 64, 4), np.uint8)
        pixels[24:40, 24:40] = (200, 30, 20, 255)
        mine = Layer(name="mine", role=Role.FOREGROUND, pixels=pixels)
        scene = Layer(name="scene", role=Role.BACKGROUND, pixels=np.full((64, 64, 4), (90, 160, 220, 255), np.uint8))
        for given in (
            {"foregrounds": (Kept(layer=mine, prompt="a red apple"),)},
            {"background": Kept(layer=scene, prompt="a beach")},
        ):
            never, ever = (run(**given, backdrop_until=until, steps=2).estimates for until in (1.0, 0.0))
            assert torch.equal(never, ever)


def test_the_last_difference_of_the_halves_is_taken_again(run, monkeypatch):
    monkeypatch.setattr(step_plan, "RENEWALS", 2)
    whole, spared = run(steps=STEPS), run(guidance_every=2, steps=STEPS)
    assert [rows for _, rows in joint(spared)] == [6, 3, 6, 3]
    assert torch.equal(spared.estimates[0], whole.estimates[0])
    assert not torch.allclose(spared.estimates[1], whole.estimates[1], atol=1e-3)


def test_the_deep_blocks_run_in_every_nth_step(run, monkeypatch):
    monkeypatch.setattr(step_plan, "RENEWALS", 2)
    whole, spared = run(steps=STEPS), run(deep_every=2, steps=STEPS)
    blocks = [{seen.block for seen in spared.attentions if seen.time == time} for time in spared.times]
    assert blocks[0] == blocks[2] > blocks[1] == blocks[3]
    assert torch.equal(spared.estimates[0], whole.estimates[0])
    assert not torch.allclose(spared.estimates[1], whole.estimates[1], atol=1e-3)


def test_a_kept_foreground_that_is_skipped_has_no_row(run):
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[20:45, 20:45] = (200, 30, 20, 255)
    kept = Kept(layer=Layer(name="mine", role=Role.FOREGROUND, pixels=pixels), prompt="a red apple")
    drawn, skipped = (run(foregrounds=(kept,), known_layers=how, steps=STEPS) for how in ("drawn", "skipped"))
    assert [rows for _, rows in joint(drawn)] == [6, 6, 6, 6]
    assert [rows for _, rows in joint(skipped)] == [4, 4, 4, 2], "after the light is read, Blended is known, too"
    assert torch.equal(skipped.estimates[:, 0], drawn.estimates[:, 0])
    assert not torch.allclose(skipped.estimates[0, 2], drawn.estimates[0, 2], atol=1e-3)


class Onlooker(Observer):
    """Wants to see the attention of every pass."""

    def attended(self, attended):
        pass


def test_a_jobs_prior_passes_end_early_unless_attention_is_observed(small_pipeline, small_request):
    unet, ends = small_pipeline._bundle.unet, []
    hook = unet.conv_out.register_forward_hook(lambda *_: ends.append("end"))
    fusion = small_pipeline.spec.defaults.fusion.preset("paper")
    try:
        drawn = list(small_pipeline.generate(small_request(steps=3, fusion=fusion)))[-1].stack
        assert len(ends) == 3
        list(small_pipeline.generate(small_request(steps=3, fusion=fusion), Observer()))
        assert len(ends) == 6  # an observer that does not look at attention costs no pass
        observed = list(small_pipeline.generate(small_request(steps=3, fusion=fusion), Onlooker()))[-1].stack
        assert len(ends) > 9
    finally:
        hook.remove()
    for one, other in zip(drawn.layers, observed.layers, strict=True):
        assert (one.pixels == other.pixels).all()
