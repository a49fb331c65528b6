"""Streaming the parts of the embedded UNet to a device, for which the meta device stands here."""

import copy

import pytest
import torch

from layerfusion.engine.models.runtime.offloading import Component, Memory, MemoryDemand, MemoryPolicy
from layerfusion.engine.models.runtime.streaming import StreamedNetwork, largest_resident, parts_of, size_of

META = torch.device("meta")


@pytest.fixture
def unet(bundle):
    return copy.deepcopy(bundle.unet)


def places(module):
    return {tensor.device.type for tensor in module.parameters()}


def run(unet):
    """One forward on the meta device; returns the places of every part's weights while it ran."""
    seen = []
    for part in parts_of(unet):
        part.register_forward_pre_hook(lambda one, _: seen.append([places(other) for other in parts_of(unet)]))
    out = unet(
        torch.zeros((1, 4, 16, 16), device=META),
        torch.tensor(1, device=META),
        torch.zeros((1, 77, 256), device=META),
        added_cond_kwargs={
            "text_embeds": torch.zeros((1, unet.config.projection_class_embeddings_input_dim - 192), device=META),
            "time_ids": torch.zeros((1, 6), device=META),
        },
    ).sample
    assert out.device == META
    return seen


@torch.inference_mode()
def test_one_part_at_a_time_is_on_the_device_and_all_come_back(unet):
    before = {name: tensor.data_ptr() for name, tensor in unet.named_parameters()}
    streamed = StreamedNetwork(unet, META)
    assert places(unet.conv_in) == {"meta"} and places(parts_of(unet)[0]) == {"cpu"}
    seen = run(unet)
    assert len(seen) == len(parts_of(unet)) > 8
    assert all(sum(place == {"meta"} for place in moment) == 1 for moment in seen)
    streamed.end()
    assert {name: tensor.data_ptr() for name, tensor in unet.named_parameters()} == before


def test_the_part_that_failed_comes_back_too(unet):
    streamed = StreamedNetwork(unet, META)
    with pytest.raises(RuntimeError):
        parts_of(unet)[0](torch.zeros((1, 3, 4, 4), device=META), None)
    assert places(parts_of(unet)[0]) == {"cpu"}
    streamed.end()
    assert places(unet) == {"cpu"}


def test_what_is_on_the_device_at_a_time_is_counted(unet):
    parts = parts_of(unet)
    small = sum(size_of(module) for module in (unet.conv_in, unet.conv_out, unet.time_embedding))
    assert small + max(map(size_of, parts)) < largest_resident(unet) < size_of(unet)
    assert largest_resident(torch.nn.Linear(2, 2)) == size_of(torch.nn.Linear(2, 2)) == 24


def test_the_thriftiest_policy_streams_and_the_others_do_not(unet):
    memory = Memory({Component.UNET: (unet,)}, {}, device=META, native_size=128, latent_factor=8)
    job = MemoryDemand(rows=3, pixels=128 * 128)
    memory.begin(job, MemoryPolicy.SEQUENTIAL)
    assert memory.run(lambda: places(parts_of(unet)[0]), Component.UNET) == {"cpu"}
    assert places(unet.conv_in) == {"meta"}
    assert memory.needs(MemoryPolicy.SEQUENTIAL, job) < memory.needs(MemoryPolicy.OFFLOAD, job)
    memory.begin(job, MemoryPolicy.OFFLOAD)
    assert places(unet) == {"cpu"}, "the network streams no longer"
    assert memory.run(lambda: places(parts_of(unet)[0]), Component.UNET) == {"meta"}
