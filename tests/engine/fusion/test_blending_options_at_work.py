"""The options of blending and sharing in whole jobs of the embedded model: each has the effect that its text describes.

Rows of a forward with one foreground: 0 foreground, 1 background, 2 blended of the unconditional half, then 3, 4, 5 of
the conditional one.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.sources import Generated, Kept
from layerfusion.engine.transparency.deltas import LowRank

ALONE = {"blend_self": False, "blend_cross": False, "share_strength": 0.0}
FOREGROUND, BACKGROUND, BLENDED = range(3)


def of(run, kind, coupled=True):
    """The attention modules of one kind that are coupled, or those that are not; the list is never empty."""
    found = [each for each in run.attentions if each.kind == kind and (each.masks is not None) is coupled]
    assert found
    return found


def kept(x):
    """An opaque square of 16 px, one token of the 4x4 grid, the given number of px from the left. The 8 px to its right
    belong to the layer, too, and can hardly be seen."""
    pixels = np.full((16, 24, 4), (200, 30, 20, 255), np.uint8)
    pixels[:, 16:, 3] = 1
    return (Kept(layer=Layer(name="mine", role=Role.FOREGROUND, pixels=pixels, offset=(x, 32)), prompt="a red apple"),)


@pytest.mark.parametrize("blended", ["attn1", "attn2"])
def test_only_the_chosen_kind_of_attention_is_blended(run, blended):
    """`blend_self`, `blend_cross`: foreground and blended of both halves, in every coupled module of that kind."""
    drawn = run(blend_self=blended == "attn1", blend_cross=blended == "attn2", share_strength=0.0)
    other = {"attn1": "attn2", "attn2": "attn1"}[blended]
    assert all(each.changed == {0, 2, 3, 5} for each in of(drawn, blended))
    assert all(each.changed == set() for each in (*of(drawn, other), *of(drawn, blended, coupled=False)))


@pytest.mark.parametrize("sharing", ["masked", "all", "copy"])
def test_without_blending_and_sharing_nothing_is_coupled(run, sharing):
    """`blend_self` = `blend_cross` = false and λ = 0 is `blend_start` = 0, whatever the kind of sharing."""
    assert torch.equal(run(**ALONE, sharing=sharing, steps=2).estimates, run(blend_start=0.0, steps=2).estimates)


@pytest.mark.parametrize(("blend_unconditional", "changed"), [(True, {0, 2, 3, 5}), (False, {3, 5})])
def test_the_unconditional_half_is_blended_if_the_option_is_set(run, blend_unconditional, changed):
    drawn = run(blend_unconditional=blend_unconditional, share_strength=0.0)
    assert all(each.changed == changed for kind in ("attn1", "attn2") for each in of(drawn, kind))


def test_the_unconditional_half_is_blended_by_the_conditional_ones_masks(run):
    """a_X' = m a_F + (1 - m) a_X in both halves, each with its own a_F; m is the same."""
    for each in of(run(share_strength=0.0), "attn2"):
        soft = each.masks.soft[0].unsqueeze(-1)
        for half in (0, 3):
            foreground, blended = each.plain[half + FOREGROUND], each.plain[half + BLENDED]
            torch.testing.assert_close(each.out[half + BLENDED], soft * foreground + (1 - soft) * blended)


@pytest.mark.parametrize("mixture", ["foreground", "blended"])
def test_the_mixture_multiplies_the_chosen_stream_by_the_soft_mask(run, mixture):
    """Fig. 2c: both take m a_F + (1 - m) a_X, or m a_X + (1 - m) a_F; a hard mask that is not binary weighs it."""
    drawn = run(mixture=mixture, soft_mode="scaled", hard_mode="sigmoid", share_strength=0.0)
    coupled = (*of(drawn, "attn1"), *of(drawn, "attn2"))
    assert any(bool(((each.masks.hard > 0.1) & (each.masks.hard < 0.9)).any()) for each in coupled)
    for each in coupled:
        soft, hard = each.masks.soft[0].unsqueeze(-1), each.masks.hard[0].unsqueeze(-1)
        for half in (0, 3):
            foreground, blended = each.plain[half + FOREGROUND], each.plain[half + BLENDED]
            if mixture == "foreground":
                mixed = soft * foreground + (1 - soft) * blended
                shown = mixed
            else:
                mixed = soft * blended + (1 - soft) * foreground
                shown = hard * mixed + (1 - hard) * blended
            torch.testing.assert_close(each.out[half + BLENDED], shown)
            torch.testing.assert_close(each.out[half + FOREGROUND], hard * mixed + (1 - hard) * foreground)


@pytest.mark.parametrize("source", ["live", "prior"])
def test_the_content_of_the_blended_stream_is_measured_there(run, source):
    """It starts from the foreground's, which the prior pass measures; then it differs."""
    kinds = {
        content: of(run(content_from=content, content_source=source, mask_parts="content", steps=2), "attn1")
        for content in ("foreground", "blended")
    }
    same = [torch.equal(a.masks.soft, b.masks.soft) for a, b in zip(*kinds.values(), strict=True)]
    times = [each.time for each in kinds["blended"]]
    assert same[0] and not any(equal for equal, time in zip(same, times, strict=True) if time < times[0])


def test_several_foregrounds_share_the_blended_streams_content(run, monkeypatch):
    """Without places of their own; those that are placed side by side are known by their alpha."""
    monkeypatch.setattr("layerfusion.engine.pipeline.arranged", lambda request: request)
    drawn = run(
        foregrounds=(Generated(prompt="a red apple", seed=1), Generated(prompt="a dog", seed=2)),
        content_from="blended",
        mask_parts="content",
        steps=2,
    )
    last = of(drawn, "attn2")[-1].masks.soft
    assert len(last) == 2 and torch.equal(last[0], last[1])


def test_without_guidance_there_is_no_unconditional_half_to_blend(run):
    one, other = (run(blend_unconditional=asked, guidance_scale=1.0) for asked in (True, False))
    assert torch.equal(one.estimates, other.estimates)


def test_blend_points_differ_only_by_the_deltas_of_the_output_projection(run, small):
    """Without deltas on the output projection both points give the same; larger deltas there make them differ."""
    generator = torch.Generator().manual_seed(0)

    def with_output(scale):
        deltas = {}
        for name, parts in small.deltas.items():
            weight = small.unet.get_submodule(f"{name}.to_out.0").weight
            up, down = (torch.randn(shape, generator=generator) for shape in ((len(weight), 4), (4, weight.shape[1])))
            deltas[name] = {**parts, "to_out.0": LowRank(down, scale * up)}
        return replace(small, deltas=deltas)

    gap = {}
    for scale in (0.0, 0.05):
        bundle = with_output(scale)
        one, other = (run(bundle, blend_point=point).estimates for point in ("post_out", "pre_out"))
        gap[scale] = (one - other).abs().max().item()
    assert gap[0.0] < 1e-3 < 10 * 1e-3 < gap[0.05]


def test_all_tokens_are_shared_or_only_those_outside_the_objects(run):
    """`masked` equals `all` if there is no object, and differs if there is one."""
    beside, inside = kept(-16), kept(32)
    for foregrounds, alike in ((beside, True), (inside, False)):
        masked, everything = (run(foregrounds=foregrounds, sharing=sharing) for sharing in ("masked", "all"))
        assert all(bool(each.background.all()) is alike for each in of(masked, "attn1"))
        assert torch.equal(masked.estimates, everything.estimates) is alike


@pytest.mark.parametrize("sharing", ["masked", "all"])
def test_equal_streams_are_not_changed_by_sharing(run, sharing):
    """Background and blended have the same prompt and the same noise, and nothing is blended."""
    same = {**ALONE, "blended_prompt": "a beach at sunset"}
    drawn = run(**{**same, "share_strength": 1.0}, sharing=sharing)
    torch.testing.assert_close(drawn.estimates, run(**same).estimates, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(drawn.estimates[:, BACKGROUND], drawn.estimates[:, BLENDED], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("direction", "taker", "giver"),
    [("both", BACKGROUND, BLENDED), ("to_background", BACKGROUND, BLENDED), ("to_blended", BLENDED, BACKGROUND)],
)
def test_copying_mixes_the_activations_outside_the_objects(run, direction, taker, giver):
    """Outside the objects a' = (1 - λ) a + λ (the other's a); inside and in all other rows a' = a."""
    drawn = run(**{**ALONE, "share_strength": 0.75}, sharing="copy", share_direction=direction, foregrounds=kept(32))
    for each in of(drawn, "attn1"):
        outside = each.background.bool()
        assert outside.any() and not outside.all()
        for half in (0, 3):
            took, plain, gave = each.out[half + taker], each.plain[half + taker], each.plain[half + giver]
            torch.testing.assert_close(took[outside], 0.25 * plain[outside] + 0.75 * gave[outside])
            assert torch.equal(took[~outside], plain[~outside])
        assert each.changed <= {taker, 3 + taker}
    assert all(each.changed == set() for each in of(drawn, "attn2"))


@pytest.mark.parametrize(("direction", "listens"), [("to_blended", BLENDED), ("to_background", BACKGROUND)])
def test_only_one_of_the_two_streams_attends_to_the_other(run, direction, listens):
    """The stream that does not attend to the other is drawn as if nothing was shared."""
    drawn = run(**ALONE | {"share_strength": 1.0}, share_direction=direction, sharing="all")
    assert all(each.changed <= {listens, 3 + listens} for each in of(drawn, "attn1"))
    assert any(3 + listens in each.changed for each in of(drawn, "attn1"))
    streams = run(share_direction=direction, sharing="all", steps=2).estimates
    unshared = run(share_strength=0.0, steps=2).estimates
    for stream in (FOREGROUND, BACKGROUND, BLENDED):
        apart = (streams[:, stream] - unshared[:, stream]).abs().max()
        touched = stream == listens or (listens == BLENDED and stream == FOREGROUND)
        assert (apart > 1e-3) if touched else (apart < 1e-4), stream


def test_to_background_has_no_effect_on_a_kept_background(run):
    """The background's row is held whatever it attends to, and no other row attends to it."""
    scene = Layer(name="scene", role=Role.BACKGROUND, pixels=np.full((64, 64, 4), (90, 160, 220, 255), np.uint8))
    given = {"background": Kept(layer=scene, prompt="a beach"), "sharing": "all", "steps": 2}
    unshared = run(**given, share_strength=0.0).estimates
    assert torch.equal(run(**given, share_direction="to_background").estimates, unshared)
    listened = run(**given, share_direction="to_blended").estimates
    assert torch.equal(listened[:, BACKGROUND], unshared[:, BACKGROUND])
    assert not torch.allclose(listened[:, BLENDED], unshared[:, BLENDED], atol=1e-3)
