"""Offloading and the memory policies, with small networks that record to which device they were moved."""

import pytest
import torch
from torch import nn

from layerfusion.engine.diffusion.layer_codec import decode_rgba
from layerfusion.engine.errors import OutOfMemory
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.models.runtime import devices, offloading
from layerfusion.engine.models.runtime.loading import load_model
from layerfusion.engine.models.runtime.offloading import Component, Memory, MemoryDemand, MemoryPolicy
from layerfusion.engine.transparency.deltas import LowRank

GPU, CPU = torch.device("cuda"), torch.device("cpu")
JOB = MemoryDemand(rows=3, pixels=1024 * 1024)


class Network(nn.Module):
    """A network that stays on the CPU and records to which device it was moved."""

    def __init__(self, numbers: int = 1000) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(numbers, dtype=torch.float16), requires_grad=False)
        self.place = CPU

    def to(self, device):  # pyright: ignore[reportIncompatibleMethodOverride]
        self.place = device
        return self


class Delta(LowRank):
    def to(self, device, dtype):
        return self


@pytest.fixture
def parts():
    return {component: (Network(),) for component in Component}


@pytest.fixture
def made(parts, monkeypatch):
    """A `Memory` for a simulated graphics card with 24 GiB of free memory."""
    monkeypatch.setattr(offloading, "release", lambda device: None)
    monkeypatch.setattr(offloading, "free_bytes", lambda device: 24 << 30)
    deltas = {"module": {"to_q": Delta(torch.zeros(2, 4), torch.zeros(4, 2))}}
    return Memory(parts, deltas, device=GPU, native_size=1024, latent_factor=8)


def present(parts):
    return {component for component, (network,) in parts.items() if network.place == GPU}


def out_of_memory(times):
    """Work that runs out of memory a number of times and then returns 7."""
    left = [times]

    def work():
        if left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return 7

    return work


def test_resident_loads_everything_and_keeps_it_on_the_device(made, parts):
    made.begin(JOB, MemoryPolicy.RESIDENT)
    assert made.run(lambda: present(parts), Component.VAE) == set(Component)
    assert present(parts) == set(Component)


def test_resident_lets_the_text_encoders_go_if_memory_is_short(made, parts, monkeypatch):
    needed = made.needs(MemoryPolicy.RESIDENT, JOB) + offloading.RESERVE
    monkeypatch.setattr(offloading, "free_bytes", lambda device: needed)
    made.begin(JOB)
    assert made.policy is MemoryPolicy.RESIDENT and not made.has_own_weights
    assert made.run(lambda: present(parts), Component.TEXT) == set(Component)
    assert made.run(lambda: present(parts), Component.UNET) == set(Component) - {Component.TEXT}


def test_foregrounds_get_own_weights_if_there_is_room(made, monkeypatch):
    made.begin(JOB, MemoryPolicy.OFFLOAD)
    assert made.has_own_weights
    made.run(out_of_memory(1), Component.UNET)
    assert not made.has_own_weights
    made.begin(JOB, MemoryPolicy.SEQUENTIAL)
    assert not made.has_own_weights, "it is for those who have no room"
    needed = made.needs(MemoryPolicy.OFFLOAD, JOB) + offloading.RESERVE
    for more, own in ((made.own_weights, True), (made.own_weights - 1, False)):
        monkeypatch.setattr(offloading, "free_bytes", lambda device, more=more: needed + more)
        made.begin(JOB, MemoryPolicy.OFFLOAD)
        assert made.has_own_weights is own


@pytest.mark.parametrize("policy", [MemoryPolicy.OFFLOAD, MemoryPolicy.SEQUENTIAL])
def test_the_other_policies_load_only_the_needed_components(made, parts, policy):
    made.begin(JOB, policy)
    assert made.run(lambda: present(parts), Component.TEXT) == {Component.TEXT}
    assert made.run(lambda: present(parts), Component.VAE, Component.DECODER) == {Component.VAE, Component.DECODER}
    assert made.run(lambda: present(parts), Component.VAE) == {Component.VAE}


def test_sequential_separates_guidance_halves_tiles_and_views(made, parts):
    (vae,) = parts[Component.VAE]
    made.begin(JOB, MemoryPolicy.OFFLOAD)
    assert (made.halves_apart, made.views_at_once(1024**2), vae.use_tiling) == (False, 8, False)
    made.begin(JOB, MemoryPolicy.SEQUENTIAL)
    assert (made.halves_apart, made.views_at_once(1024**2), vae.use_tiling) == (True, 1, True)
    assert (vae.tile_sample_min_size, vae.tile_latent_min_size) == (512, 64)
    made.begin(JOB, MemoryPolicy.RESIDENT)
    assert vae.use_tiling is False


@pytest.mark.parametrize(("failures", "policy"), [(0, "RESIDENT"), (1, "OFFLOAD"), (2, "SEQUENTIAL")])
@pytest.mark.parametrize("component", list(Component))
def test_each_time_memory_runs_out_the_next_policy_takes_effect(made, parts, failures, policy, component):
    made.begin(JOB)
    assert made.run(out_of_memory(failures), component) == 7
    assert made.policy is MemoryPolicy[policy]
    assert len(made.notices()) == failures
    assert made.notices() == []
    if failures:
        assert present(parts) == {component}


@pytest.mark.parametrize("component", list(Component))
def test_it_fails_only_if_the_last_policy_fails(made, component):
    made.begin(JOB)
    with pytest.raises(OutOfMemory, match=f"{component.value}.*policy that needs the least.*Close other programs"):
        made.run(out_of_memory(3), component)


def test_running_out_of_memory_while_loading_counts_too(made, parts, monkeypatch):
    (unet,) = parts[Component.UNET]
    tries = []

    def to(device):
        tries.append(device)
        if device == GPU and len(tries) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        unet.place = device
        return unet

    monkeypatch.setattr(unet, "to", to)
    made.begin(JOB)
    assert made.run(lambda: present(parts), Component.UNET) == {Component.UNET}
    assert tries == [GPU, CPU, GPU]  # the component that failed to load was unloaded before the next run


def test_the_failed_runs_tensors_are_released_before_the_next_run(made):
    """The error's traceback must not keep its tensors while the work is repeated."""
    import weakref

    held = []

    def work():
        large = torch.zeros(10)
        if held:
            return held[0]() is None
        held.append(weakref.ref(large))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    made.begin(JOB)
    assert made.run(work, Component.UNET) is True


def test_the_next_job_starts_with_the_fastest_policy_again(made):
    made.begin(JOB)
    made.run(out_of_memory(2), Component.UNET)
    made.begin(JOB)
    assert made.policy is MemoryPolicy.RESIDENT
    assert made.notices() == []


def test_other_errors_are_passed_on(made):
    def broken():
        raise RuntimeError("shapes do not match")

    made.begin(JOB)
    with pytest.raises(RuntimeError, match="shapes"):
        made.run(broken, Component.VAE)
    assert made.policy is MemoryPolicy.RESIDENT


@pytest.mark.parametrize(
    ("free", "policy"), [(24, "RESIDENT"), (10, "RESIDENT"), (7, "OFFLOAD"), (6, "SEQUENTIAL"), (1, "SEQUENTIAL")]
)
def test_the_policy_is_chosen_by_the_free_memory(made, parts, monkeypatch, free, policy):
    """The weights have about SDXL's sizes."""
    gigabytes = {
        Component.TEXT: 1.6,
        Component.UNET: 4.6,
        Component.VAE: 0.2,
        Component.ENCODER: 0,
        Component.DECODER: 0.2,
    }
    monkeypatch.setattr(made, "weights", lambda component, policy=None: int(gigabytes[component] * (1 << 30)))
    monkeypatch.setattr(offloading, "free_bytes", lambda device: free << 30)
    made.begin(JOB)
    assert made.policy is MemoryPolicy[policy]


def test_memory_of_its_own_components_counts_as_free(made, monkeypatch):
    made.begin(JOB, MemoryPolicy.RESIDENT)
    made.run(lambda: None, Component.UNET)
    needed = made.needs(MemoryPolicy.RESIDENT, JOB) + offloading.RESERVE
    held = sum(made.weights(component) for component in Component)
    monkeypatch.setattr(offloading, "free_bytes", lambda device: needed - held)
    made.begin(JOB)
    assert made.policy is MemoryPolicy.RESIDENT
    monkeypatch.setattr(offloading, "free_bytes", lambda device: needed - held - 1)
    made.begin(JOB)
    assert made.policy is not MemoryPolicy.RESIDENT


def test_on_the_cpu_everything_stays_in_place(parts, monkeypatch):
    monkeypatch.setattr(offloading, "free_bytes", lambda device: 1)
    own = Memory(parts, {}, device=CPU, native_size=128, latent_factor=8)
    own.begin(JOB)
    assert own.policy is MemoryPolicy.RESIDENT


def test_without_a_report_of_free_memory_resident_is_chosen(made, monkeypatch):
    monkeypatch.setattr(offloading, "free_bytes", lambda device: None)
    made.begin(JOB)
    assert made.policy is MemoryPolicy.RESIDENT
    assert made.views_at_once(1024**2) == 8


def test_the_out_of_memory_errors_of_every_backend_are_recognised(subtests):
    for error, is_one in [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("can't allocate memory"), False),
    ]:
        with subtests.test(error=error, is_one=is_one):
            assert devices.is_out_of_memory(error) is is_one


def test_the_vae_does_not_overflow(monkeypatch):
    upcast, mended = {"force_upcast": True}, {"force_upcast": False}
    for bf16, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, bf16=bf16: bf16)
        assert devices.vae_precision(upcast, GPU, torch.float16) is expected
    assert devices.vae_precision({}, torch.device("mps"), torch.float16) is torch.float32
    assert devices.vae_precision(mended, GPU, torch.float16) is torch.float16
    assert devices.vae_precision(upcast, GPU, torch.bfloat16) is torch.bfloat16
    assert devices.vae_precision(upcast, CPU, torch.float32) is torch.float32


def test_the_transparent_networks_never_compute_in_bfloat16():
    assert devices.transparent_precision(GPU, torch.bfloat16) is torch.float16
    assert devices.transparent_precision(CPU, torch.bfloat16) is torch.float32
    for dtype in (torch.float16, torch.float32):
        assert devices.transparent_precision(GPU, dtype) is dtype
    bundle = load_model(find_model("tiny"), dtype=torch.bfloat16)
    kinds = {next(network.parameters()).dtype for network in (bundle.encoder, bundle.decoder)}
    assert kinds == {torch.float32}
    assert decode_rgba(bundle, torch.randn(1, bundle.latent_channels, 8, 8)).shape[-1] == 4


def test_free_main_memory_is_read_from_proc_meminfo(tmp_path):
    table = tmp_path / "meminfo"
    table.write_text("MemTotal:       16000000 kB\nMemAvailable:    1000 kB\n")
    assert devices._free_main_memory(table) == 1_024_000
    assert devices._free_main_memory(tmp_path / "nowhere") is None


def test_a_small_model_computes_in_one_thread_on_a_processor(parts, monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        memory = Memory(parts, {}, device=CPU, native_size=1024, latent_factor=8)
        assert {memory.run(torch.get_num_threads, component) for component in Component} == {1}
        assert torch.get_num_threads() == 2
        monkeypatch.setattr(offloading, "SMALL", memory.weights(Component.UNET) - 1)
        assert memory.run(torch.get_num_threads, Component.UNET) == 2
    finally:
        torch.set_num_threads(before)
