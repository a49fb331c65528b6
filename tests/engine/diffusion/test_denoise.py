"""The denoising loop, by its results."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from layerfusion.engine.diffusion.observer import Observer
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.models.catalog.samplers import SAMPLERS
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import Generated, GenerationRequest, Kept


class Seen(Observer):
    def __init__(self):
        self.steps = []

    def begin(self, bundle, backbone, sampler, coupling, constraints):
        self.constraints = constraints

    def step(self, step):
        self.steps.append(step)


@pytest.mark.parametrize("sampler", ["euler", "euler_a", "dpmpp_2m_sde_karras", "lcm"])
def test_a_kept_foregrounds_row_ends_at_its_own_latents(small, sampler):
    """It does so with samplers that add noise at every step and with those that do not."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[20:45, 20:45] = (200, 30, 20, 255)
    kept = Kept(layer=Layer(name="mine", role=Role.FOREGROUND, pixels=pixels), prompt="a red apple")
    spec = replace(small.spec, samplers=tuple(SAMPLERS))
    request = GenerationRequest(
        size=Size(64, 64),
        background=Generated(prompt="a beach at sunset"),
        foregrounds=(kept,),
        steps=3,
        sampler=sampler,
    )
    seen = Seen()
    with closing(LayerFusionPipeline(spec, bundle=replace(small, spec=spec)).generate(request, seen)) as events:
        stack = list(events)[-1].stack
    assert np.array_equal(next(layer for layer in stack if layer.name == "mine").pixels, pixels)
    assert len(seen.steps) == 3
    (held,) = [constraint for constraint in seen.constraints.latents if constraint.stream == 0]
    torch.testing.assert_close(seen.steps[-1].latents[0], held.clean, atol=2e-3, rtol=2e-3)
