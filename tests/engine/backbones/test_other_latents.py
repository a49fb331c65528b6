"""A network of SDXL's shape with 16 channels and 16 px a latent: the whole pipeline draws with it."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from layerfusion.engine import pipeline as job
from layerfusion.engine.backbones.choice import backbone_of
from layerfusion.engine.diffusion.observer import Observer
from layerfusion.engine.diffusion.previews import is_due
from layerfusion.engine.events import Finished, Preview
from layerfusion.engine.image.geometry import Box, Size
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.models.runtime.loading import assemble
from layerfusion.engine.models.runtime.offloading import MemoryPolicy
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated, Kept, Relit
from layerfusion.engine.transparency.compact import CompactTransparentDecoder, CompactTransparentEncoder

CHANNELS, FACTOR = 16, 16


@pytest.fixture(scope="module")
def random_bundle(bundle):
    """Random weights; only the tokenizers and text encoders are the embedded model's."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        shape = {**bundle.unet.config, "in_channels": CHANNELS, "out_channels": CHANNELS}
        unet = UNet2DConditionModel.from_config(shape)
        vae = AutoencoderKL.from_config(
            {
                **bundle.vae.config,
                "latent_channels": CHANNELS,
                "block_out_channels": (8,) * 5,
                "norm_num_groups": 4,
                "layers_per_block": 1,
                "down_block_types": ("DownEncoderBlock2D",) * 5,
                "up_block_types": ("UpDecoderBlock2D",) * 5,
                "latents_mean": None,
                "latents_std": None,
            }
        )
        encoder, decoder = CompactTransparentEncoder(CHANNELS, FACTOR), CompactTransparentDecoder(CHANNELS)
    for network in (unet, vae, encoder, decoder):
        network.eval().requires_grad_(False)
    spec = replace(bundle.spec, native_size=64, stride=64, transparency=replace(bundle.spec.transparency, stride=64))
    same = ("tokenizers", "text_encoders", "scheduler_config", "device", "dtype")
    parts = {name: getattr(bundle, name) for name in same}
    return assemble(
        spec=spec,
        unet=unet,
        vae=vae,
        zeros_for_empty_prompt=False,
        deltas={},
        encoder=encoder,
        decoder=decoder,
        **parts,
    )


class Seen(Observer):
    def __init__(self):
        self.shapes = []

    def step(self, step):
        self.shapes.append((tuple(step.estimate.shape), tuple(step.latents.shape)))


def layer(role, box):
    x, y, width, height = box
    pixels = np.full((height, width, 4), (200, 30, 20, 255), np.uint8)
    return Layer(name="mine", role=role, pixels=pixels, offset=(x, y))


def test_the_layout_is_the_networks_own(random_bundle):
    layout = backbone_of(random_bundle).layout
    assert (layout.channels, layout.factor) == (CHANNELS, FACTOR)
    assert layout.grid(Size(256, 128)) == (8, 16)


@pytest.mark.parametrize("policy", [MemoryPolicy.RESIDENT, MemoryPolicy.SEQUENTIAL])
def test_every_kind_of_source_is_drawn_refined_and_shown(monkeypatch, random_bundle, policy):
    """A kept, a relit, a placed and a free foreground, on a canvas that is larger than the model's picture."""
    monkeypatch.setattr(job, "is_due", is_due)
    kept = layer(Role.FOREGROUND, (5, 10, 30, 40))
    request = GenerationRequest(
        size=Size(128, 128),
        background=Relit(layer=layer(Role.BACKGROUND, (0, 0, 128, 128)), prompt="a beach", strength=0.7),
        foregrounds=(
            Kept(layer=kept, prompt="a red apple"),
            Relit(layer=layer(Role.FOREGROUND, (60, 15, 35, 45)), prompt="a dog", strength=0.5),
            Generated(prompt="a cat", box=Box(20, 60, 45, 50)),
            Generated(prompt="a robot"),
        ),
        steps=2,
        fusion=FusionSettings.from_values({"smallest_grid": 4, "contrast_gate": 0.0}),
        refine=0.3,
    )
    seen = Seen()
    with closing(
        LayerFusionPipeline(random_bundle.spec, memory=policy, bundle=random_bundle).generate(request, seen)
    ) as events:
        drawn = list(events)
    assert seen.shapes == [((6, CHANNELS, 4, 4),) * 2] * 2
    previews = [event for event in drawn if isinstance(event, Preview)]
    assert {event.pixels.shape for event in previews} == {(64, 64, 4)}
    assert isinstance(drawn[-1], Finished)
    stack = drawn[-1].stack
    assert stack.layers[1].pixels is kept.pixels
    assert all(each.size == Size(128, 128) for each in stack if each is not stack.layers[1])
    assert len(stack) == 8
