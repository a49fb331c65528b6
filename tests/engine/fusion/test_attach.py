"""The coupled UNet against plain ones, on the embedded model's real weights."""

import copy

import pytest
import torch

from layerfusion.engine.diffusion.conditioning import encode_prompts, time_ids
from layerfusion.engine.fusion.attach import attached, attention_modules, structure_layers
from layerfusion.engine.fusion.coupling import Coupling, Pass
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.options.fusion import FusionSettings

LATENTS = torch.randn((3, 4, 16, 16), generator=torch.Generator().manual_seed(0))
TIMESTEP = torch.tensor(400)


@pytest.fixture(scope="module")
def conditioning(bundle):
    with torch.inference_mode():
        return encode_prompts(bundle, ["a red apple", "a beach at sunset", "a red apple on a beach at sunset"])


@pytest.fixture
def coupling(conditioning):
    return Coupling(Streams(1), FusionSettings(), (16, 16), conditioning.end_of_text[:1])


@torch.inference_mode()
def forward(bundle, unet, rows, conditioning, latents=LATENTS):
    chosen = slice(0, 3) if rows is None else rows
    return unet(
        latents[chosen],
        TIMESTEP,
        encoder_hidden_states=conditioning.embeddings[chosen],
        added_cond_kwargs={
            "text_embeds": conditioning.pooled[chosen],
            "time_ids": time_ids(bundle, Size(128, 128), len(latents[chosen])),
        },
        return_dict=False,
    )[0]


@pytest.fixture
def merged_unet(bundle):
    """A second UNet with the deltas added to its weights: what the foreground rows must equal."""
    unet = copy.deepcopy(bundle.unet)
    for module, parts in bundle.deltas.items():
        for projection, delta in parts.items():
            unet.get_submodule(f"{module}.{projection}").weight.data += delta.up @ delta.down
    return unet


def test_modules_are_listed_in_the_order_they_run(bundle):
    ran = []
    hooks = [
        bundle.unet.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
        for name in attention_modules(bundle.unet)
    ]
    with torch.inference_mode():
        forward(bundle, bundle.unet, slice(0, 1), encode_prompts(bundle, ["a dog"]))
    for hook in hooks:
        hook.remove()
    assert ran == attention_modules(bundle.unet)
    assert structure_layers(bundle.unet, 1) == ("up_blocks.2.attentions.1.transformer_blocks.0.attn1",)


def test_uncoupled_rows_equal_separate_networks(bundle, coupling, conditioning, merged_unet):
    with attached(bundle.unet, coupling, bundle.deltas):
        coupling.begin(Pass.JOINT)
        together = forward(bundle, bundle.unet, None, conditioning)
    torch.testing.assert_close(
        together[:1], forward(bundle, merged_unet, slice(0, 1), conditioning), atol=2e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        together[1:], forward(bundle, bundle.unet, slice(1, 3), conditioning), atol=2e-5, rtol=1e-4
    )
    assert (together[:1] - forward(bundle, bundle.unet, slice(0, 1), conditioning)).abs().max() > 1e-3


def test_detaching_leaves_no_trace_even_after_an_error(bundle, coupling, conditioning):
    before = forward(bundle, bundle.unet, None, conditioning)
    own = dict(bundle.unet.attn_processors)
    coupling.begin(Pass.JOINT)
    with pytest.raises(AttributeError), attached(bundle.unet, coupling, bundle.deltas):
        forward(bundle, bundle.unet, None, None)
    assert {name: id(own[name]) for name in own} == {n: id(p) for n, p in bundle.unet.attn_processors.items()}
    assert torch.equal(forward(bundle, bundle.unet, None, conditioning), before)


def prior_pass(bundle, coupling, conditioning):
    coupling.begin(Pass.PRIOR)
    forward(bundle, bundle.unet, slice(0, 1), conditioning)
    coupling.end()


def test_measuring_does_not_change_the_output(bundle, coupling, conditioning, merged_unet):
    with attached(bundle.unet, coupling, bundle.deltas):
        coupling.begin(Pass.PRIOR)
        measured = forward(bundle, bundle.unet, slice(0, 1), conditioning)
        coupling.end()
    torch.testing.assert_close(measured, forward(bundle, merged_unet, slice(0, 1), conditioning), atol=2e-5, rtol=1e-4)
    assert coupling.structure.shape == (1, 256)
    assert coupling.structure_grid == (16, 16)
    assert 1 <= coupling.structure.min() <= coupling.structure.max() <= 256
    assert set(coupling.block_content) == {n.removesuffix(".attn2") for n in bundle.deltas if n.endswith("attn2")}


def test_coupling_changes_foreground_and_blended_and_sharing_the_background(bundle, coupling, conditioning):
    outputs = {}
    for name, settings in {
        "all": FusionSettings(),
        "no sharing": FusionSettings(share_strength=0.0),
        "foreground alone": FusionSettings(share_strength=0.0, foreground_update="none"),
    }.items():
        coupling.settings = settings
        with attached(bundle.unet, coupling, bundle.deltas):
            prior_pass(bundle, coupling, conditioning)
            coupling.begin(Pass.COUPLED)
            outputs[name] = forward(bundle, bundle.unet, None, conditioning)
            coupling.begin(Pass.JOINT)
            plain = forward(bundle, bundle.unet, None, conditioning)
    assert all((outputs["all"][row] - plain[row]).abs().max() > 1e-3 for row in range(3))
    assert torch.equal(outputs["no sharing"][1], plain[1])
    assert torch.equal(outputs["foreground alone"][:2], plain[:2])
    assert not torch.equal(outputs["foreground alone"][2], plain[2])


def test_grids_below_the_smallest_are_left_alone(bundle, coupling, conditioning):
    coupling.settings = FusionSettings.from_values({"smallest_grid": 17})
    with attached(bundle.unet, coupling, bundle.deltas):
        prior_pass(bundle, coupling, conditioning)
        coupling.begin(Pass.COUPLED)
        coupled = forward(bundle, bundle.unet, None, conditioning)
        coupling.begin(Pass.JOINT)
        assert torch.equal(coupled, forward(bundle, bundle.unet, None, conditioning))


@pytest.mark.parametrize("source", ["live", "prior"])
def test_guidance_halves_use_the_conditional_rows_masks(bundle, conditioning, source):
    """Changing the unconditional half must not touch the conditional one."""
    streams = Streams(1)
    coupling = Coupling(
        streams, FusionSettings.from_values({"content_source": source}), (16, 16), conditioning.end_of_text[:1]
    )
    results = []
    for scale in (1.0, 5.0):
        coupling.structure = coupling.content = None
        with attached(bundle.unet, coupling, bundle.deltas):
            prior_pass(bundle, coupling, conditioning)
            coupling.begin(Pass.COUPLED)
            with torch.inference_mode():
                results.append(
                    bundle.unet(
                        torch.cat([LATENTS * scale, LATENTS]),
                        TIMESTEP,
                        encoder_hidden_states=torch.cat([conditioning.embeddings] * 2),
                        added_cond_kwargs={
                            "text_embeds": torch.cat([conditioning.pooled] * 2),
                            "time_ids": time_ids(bundle, Size(128, 128), 6),
                        },
                        return_dict=False,
                    )[0]
                )
    torch.testing.assert_close(results[0][3:], results[1][3:], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(results[0][:3], results[1][:3], atol=1e-2)
