"""The coupled UNet compared with plain ones, with the embedded model's weights."""

import copy
from dataclasses import replace

import pytest
import torch

from layerfusion.engine.backbones.sdxl import SDXLBackbone
from layerfusion.engine.fusion import attention
from layerfusion.engine.fusion.coupling import Coupling, Pass
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.options.fusion import FusionSettings

LATENTS = torch.randn((3, 4, 32, 32), generator=torch.Generator().manual_seed(0))
TIMESTEP = torch.tensor(400)


@pytest.fixture(scope="module")
def backbone(bundle):
    return SDXLBackbone(bundle)


@pytest.fixture(scope="module")
def conditioning(backbone):
    with torch.inference_mode():
        return backbone.encode(["a red apple", "a beach at sunset", "a red apple on a beach at sunset"])


@pytest.fixture
def coupling(conditioning):
    return coupled_by({}, conditioning)


def coupled_by(options, conditioning):
    settings = FusionSettings.from_values(options)
    return Coupling(Streams(1), settings, (32, 32), conditioning.end_of_text[:1])


@torch.inference_mode()
def forward(backbone, rows, conditioning, latents=LATENTS):
    return backbone.forward(latents[rows], TIMESTEP, conditioning[rows], Size(256, 256))


@pytest.fixture
def merged(bundle):
    """A second network with the deltas added to its weights; the foreground rows must give the same results."""
    unet = copy.deepcopy(bundle.unet)
    for module, parts in bundle.deltas.items():
        for projection, delta in parts.items():
            unet.get_submodule(f"{module}.{projection}").weight.data += delta.up @ delta.down
    return SDXLBackbone(replace(bundle, unet=unet))


ALL, FOREGROUND, OTHERS = slice(0, 3), slice(0, 1), slice(1, 3)


def test_uncoupled_rows_equal_separate_networks(backbone, coupling, conditioning, merged):
    with backbone.attached(coupling), coupling.forward(Pass.JOINT):
        together = forward(backbone, ALL, conditioning)
    plain = forward(backbone, ALL, conditioning)
    torch.testing.assert_close(together[:1], forward(merged, FOREGROUND, conditioning), atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(together[1:], forward(backbone, OTHERS, conditioning), atol=2e-5, rtol=1e-4)
    assert (together[:1] - plain[:1]).abs().max() > 1e-3


def test_detaching_restores_the_network_even_after_an_error(bundle, backbone, coupling, conditioning):
    before = forward(backbone, ALL, conditioning)
    own = dict(bundle.unet.attn_processors)
    with pytest.raises(RuntimeError), backbone.attached(coupling), coupling.forward(Pass.JOINT):
        forward(backbone, ALL, conditioning, latents=LATENTS[:, :3])
    assert {name: id(own[name]) for name in own} == {n: id(p) for n, p in bundle.unet.attn_processors.items()}
    assert torch.equal(forward(backbone, ALL, conditioning), before)


def prior_pass(backbone, coupling, conditioning):
    with coupling.forward(Pass.PRIOR):
        return forward(backbone, FOREGROUND, conditioning)


def test_measuring_does_not_change_the_output(bundle, backbone, conditioning, merged):
    coupling = coupled_by({"prior": "lagged"}, conditioning)
    with backbone.attached(coupling), coupling.forward(Pass.JOINT, rows=(0,)):
        measured = forward(backbone, FOREGROUND, conditioning)
    torch.testing.assert_close(measured, forward(merged, FOREGROUND, conditioning), atol=2e-5, rtol=1e-4)
    structure = coupling.priors.structure
    assert structure is not None
    participation, grid = structure
    assert participation.shape == (1, 256)
    assert grid == (16, 16)
    assert 1 <= participation.min() <= participation.max() <= 256
    blocks = {n.removesuffix(".attn2") for n in bundle.deltas if n.endswith("attn2")}
    assert set(coupling.priors.block_content) == blocks


def test_a_prior_pass_ends_when_all_is_measured_and_measures_what_a_whole_pass_does(bundle, backbone, conditioning):
    ran = []
    hooks = [
        bundle.unet.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
        for name in ("down_blocks.0", "conv_out")
    ]
    priors = []
    try:
        for running in (Pass.PRIOR, Pass.JOINT):
            coupling = coupled_by({"prior": "lagged"}, conditioning)
            with backbone.attached(coupling), coupling.forward(running, rows=(0,)):
                forward(backbone, FOREGROUND, conditioning)
            priors.append(coupling.priors)
    finally:
        for hook in hooks:
            hook.remove()
    assert ran == ["down_blocks.0", "down_blocks.0", "conv_out"]
    alone, whole = priors
    assert torch.equal(alone.structure[0], whole.structure[0])
    assert set(alone.block_content) == set(whole.block_content)
    for block, (content, _) in alone.block_content.items():
        assert torch.equal(content, whole.block_content[block][0])


def test_what_no_mask_is_made_of_is_not_measured(monkeypatch, backbone, conditioning):
    measured = set()
    for name in ("participation", "content_confidence"):
        own = getattr(attention, name)
        monkeypatch.setattr(attention, name, lambda *a, own=own, name=name, **k: (measured.add(name), own(*a, **k))[1])
    everything = {"participation", "content_confidence"}
    for prior, source, expected in (
        ("per_step", "prior", set()),
        ("per_step", "live", {"content_confidence"}),
        ("lagged", "prior", everything),
    ):
        coupling = coupled_by({"prior": prior, "content_source": source}, conditioning)
        with backbone.attached(coupling):
            prior_pass(backbone, coupling, conditioning)
            assert measured == everything
            measured.clear()
            with coupling.forward(Pass.COUPLED):
                forward(backbone, ALL, conditioning)
        assert measured == expected
        measured.clear()


def test_coupling_changes_foreground_and_blended_and_sharing_the_background(backbone, conditioning):
    outputs, plain = {}, torch.empty(0)
    for name, options in {
        "all": {},
        "no sharing": {"share_strength": 0.0},
        "foreground alone": {"share_strength": 0.0, "foreground_update": "none"},
    }.items():
        coupling = coupled_by(options, conditioning)
        with backbone.attached(coupling):
            prior_pass(backbone, coupling, conditioning)
            with coupling.forward(Pass.COUPLED):
                outputs[name] = forward(backbone, ALL, conditioning)
            with coupling.forward(Pass.JOINT):
                plain = forward(backbone, ALL, conditioning)
    assert all((outputs["all"][row] - plain[row]).abs().max() > 1e-3 for row in range(3))
    assert torch.equal(outputs["no sharing"][1], plain[1])
    assert torch.equal(outputs["foreground alone"][:2], plain[:2])
    assert not torch.equal(outputs["foreground alone"][2], plain[2])


def test_grids_below_the_smallest_are_not_coupled(backbone, conditioning):
    coupling = coupled_by({"smallest_grid": 17}, conditioning)
    with backbone.attached(coupling):
        prior_pass(backbone, coupling, conditioning)
        with coupling.forward(Pass.COUPLED):
            coupled = forward(backbone, ALL, conditioning)
        with coupling.forward(Pass.JOINT):
            assert torch.equal(coupled, forward(backbone, ALL, conditioning))


@pytest.mark.parametrize("source", ["live", "prior"])
def test_guidance_halves_use_the_conditional_rows_masks(backbone, conditioning, source):
    """Changing the unconditional half must not touch the conditional one."""
    results = []
    for scale in (1.0, 5.0):
        coupling = coupled_by({"content_source": source}, conditioning)
        with backbone.attached(coupling):
            prior_pass(backbone, coupling, conditioning)
            with coupling.forward(Pass.COUPLED):
                both = torch.cat([LATENTS * scale, LATENTS])
                results.append(forward(backbone, slice(0, 6), conditioning + conditioning, both))
    torch.testing.assert_close(results[0][3:], results[1][3:], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(results[0][:3], results[1][:3], atol=1e-2)


def test_observing_attention_changes_nothing_and_shows_the_effect_of_coupling(backbone, conditioning):
    class Seen:
        def __init__(self):
            self.changed = {}

        def attended(self, attended):
            difference = (attended.out - attended.uncoupled()).abs().amax(dim=(1, 2))
            self.changed[attended.block, attended.is_self] = difference.gt(1e-5).tolist()

    outputs, seen = [], Seen()
    for observer in (None, seen):
        coupling = coupled_by({"share_strength": 0.0, "contrast_gate": 0.0}, conditioning)
        coupling.observer = observer
        with backbone.attached(coupling):
            prior_pass(backbone, coupling, conditioning)
            with coupling.forward(Pass.COUPLED):
                outputs.append(forward(backbone, ALL, conditioning))
    assert torch.equal(*outputs)
    assert len(seen.changed) == len(backbone.attention_modules)
    assert seen.changed["up_blocks.2.attentions.1.transformer_blocks.0", True] == [True, False, True]
