"""Whole jobs of the embedded model while memory runs out: the picture is the same, and there is a notice."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.vae import DecoderOutput

from layerfusion.engine.errors import OutOfMemory
from layerfusion.engine.events import Finished
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.models.runtime.offloading import Component, MemoryPolicy, memory_policy
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Kept

TOLD = ("Memory ran out; drawing continues with one part", "Memory ran out again; drawing continues in smaller pieces")


def network(bundle, component):
    return {
        Component.TEXT: bundle.text_encoders[1],
        Component.UNET: bundle.unet.up_blocks[-1],
        Component.VAE: bundle.vae.decoder,
        Component.ENCODER: bundle.encoder,
        Component.DECODER: bundle.decoder,
    }[component]


@contextmanager
def running_out(module, times):
    """The first calls of a module raise an out-of-memory error."""
    left = [times]

    def fail(*_):
        if left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory.")

    handle = module.register_forward_hook(fail)
    try:
        yield
    finally:
        handle.remove()
    assert left == [0], "the network was not used"


def draw(bundle, request, policy=None):
    events = list(LayerFusionPipeline(bundle.spec, memory=policy, bundle=bundle).generate(request))
    assert isinstance(events[-1], Finished)
    return events[-1].stack, [event.text for event in events if getattr(event, "code", "") == "memory_policy_changed"]


@pytest.fixture(scope="module")
def kept():
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[30:55, 20:45] = (200, 30, 20, 255)
    return (Kept(layer=Layer(name="block", role=Role.FOREGROUND, pixels=pixels), prompt="a red apple"),)


@pytest.fixture(scope="module")
def undisturbed(small):
    """A function that draws a request with enough memory, each request once."""
    drawn = {}

    def once(request):
        foregrounds = request.foregrounds
        if foregrounds not in drawn:
            drawn[foregrounds] = draw(small, request)
        return drawn[foregrounds]

    return once


@pytest.mark.usefixtures("with_previews")
@pytest.mark.parametrize("component", list(Component))
def test_a_job_that_runs_out_once_gives_the_same_picture(small, small_request, kept, undisturbed, component):
    changes = {"foregrounds": kept} if component is Component.ENCODER else {}
    request = small_request(steps=2, **changes)
    expected, quiet = undisturbed(request)
    with running_out(network(small, component), 1):
        stack, told = draw(small, request)
    assert told == [f"{TOLD[0]} of the model at a time on the device."]
    assert not quiet
    for ours, theirs in zip(stack, expected, strict=True):
        # Foregrounds lose weights of their own when memory is short, so that sums are rounded in another order.
        distance = abs(ours.pixels.astype(int) - theirs.pixels)
        assert distance.max() <= 2
        assert (distance > 1).mean() < 1e-3


def test_a_job_that_runs_out_twice_is_drawn_in_small_pieces(small, small_request):
    with running_out(small.unet.up_blocks[-1], 2):
        _, told = draw(small, small_request(steps=2))
    assert len(told) == 2
    assert all(text.startswith(start) for text, start in zip(told, TOLD, strict=True))


def test_a_job_that_never_fits_ends_with_a_remedy_and_the_next_job_runs(small, small_request):
    request = small_request(steps=2)
    with (
        running_out(small.unet.up_blocks[-1], 3),
        pytest.raises(OutOfMemory, match=r"UNet.*policy that needs the least.*Close other"),
    ):
        draw(small, request)
    _, told = draw(small, request)
    assert not told


@pytest.mark.parametrize(
    "fusion",
    [
        FusionSettings(),
        FusionSettings.from_values({"content_source": "prior", "prior": "lagged"}),
        FusionSettings.from_values({"blend_unconditional": False, "mask_smoothing": 0.5}),
    ],
)
def test_separate_guidance_halves_draw_the_same_as_joint_ones(small, small_request, fusion):
    """In float32 the two differ by rounding only. This policy's VAE tiles are switched off here."""
    request: GenerationRequest = small_request(steps=3, fusion=fusion)
    latents = []
    for policy in (MemoryPolicy.RESIDENT, MemoryPolicy.SEQUENTIAL):
        seen = []
        handle = small.vae.post_quant_conv.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs))
        try:
            with untiled(small):
                draw(small, request, policy)
        finally:
            handle.remove()
        latents.append(torch.cat([inputs[0] for inputs in seen[-3:]]))
    torch.testing.assert_close(*latents, atol=2e-4, rtol=1e-3)


@contextmanager
def untiled(bundle):
    """Keep the VAE whole."""
    own = bundle.vae.tiled_decode
    bundle.vae.tiled_decode = lambda z, return_dict: DecoderOutput(bundle.vae.decoder(bundle.vae.post_quant_conv(z)))
    try:
        yield
    finally:
        bundle.vae.tiled_decode = own


def test_the_sequential_policy_runs_the_guidance_halves_apart(small, small_request):
    """After the prior pass of 1 row, 3 rows run at a time instead of 6."""
    rows = []
    handle = small.unet.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    try:
        guided = small.spec.defaults.fusion.preset("exact")
        draw(small, small_request(steps=1, fusion=guided), MemoryPolicy.SEQUENTIAL)
    finally:
        handle.remove()
    assert rows == [1, 3, 3]


def test_tiles_change_the_picture_little(bundle, request_for):
    request = request_for(steps=3)
    whole, tiled = (draw(bundle, request, policy)[0] for policy in (MemoryPolicy.RESIDENT, MemoryPolicy.SEQUENTIAL))
    difference = abs(whole.layers[0].pixels.astype(int) - tiled.layers[0].pixels)
    assert difference.mean() < 8


def test_a_vae_that_overflows_continues_in_a_wider_type(bundle):
    from copy import deepcopy
    from dataclasses import replace

    from layerfusion.engine.models.runtime.vae import to_rgb

    narrow = replace(bundle, vae=deepcopy(bundle.vae).to(torch.float16))
    for name in ("conv_in", "conv_out"):
        scale = 3e3 if name == "conv_in" else 1 / 3e3
        getattr(narrow.vae.decoder, name).weight.mul_(scale)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * 300
    with torch.inference_mode():
        rgb = to_rgb(narrow, latents)
    assert torch.isfinite(rgb).all()
    assert narrow.vae.dtype is torch.float32


def test_policies_by_name():
    from layerfusion.engine.errors import InvalidRequest
    from layerfusion.server.cli.environment import MEMORY_POLICIES

    assert [memory_policy(name) for name in MEMORY_POLICIES] == [None, *MemoryPolicy]
    with pytest.raises(InvalidRequest, match=r"frugal.*auto, resident, offload, sequential"):
        memory_policy("frugal")
