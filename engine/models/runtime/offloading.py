"""Offloading: running a model that is larger than the device's memory, with one of three memory policies.

| policy | what is on the device | effect |
|---|---|---|
| resident | all components; the text encoders only while they read, if memory is short | the fastest |
| offload | one component at a time, the others in main memory | some seconds of copying per job |
| sequential | the same, and of the UNet one part at a time | the UNet is copied in every forward; guidance halves one \
after the other, VAE in tiles, one decoder view at a time; the slowest |

A guidance half is the rows of the batch with, or those without, the prompt. Rows of one half are coupled inside the
UNet, so that they cannot be computed separately. If memory runs out during a job, the components are moved off the
device, the next policy takes effect and the failed work is repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import torch
from torch import nn

from layerfusion.engine.errors import InvalidRequest, OutOfMemory
from layerfusion.engine.models.runtime.devices import free_bytes, is_out_of_memory, release, threads_of_torch
from layerfusion.engine.models.runtime.streaming import StreamedNetwork, largest_resident, parts_of, size_of
from layerfusion.engine.notices import Notice, sentence
from layerfusion.engine.transparency.deltas import Deltas

T = TypeVar("T")


class MemoryPolicy(Enum):
    """The memory policies; the first is the fastest and needs the most memory."""

    RESIDENT = "resident"
    OFFLOAD = "offload"
    SEQUENTIAL = "sequential"

    @property
    def next(self) -> MemoryPolicy | None:
        """The policy that needs less memory than this one; None for the last."""
        policies = list(MemoryPolicy)
        index = policies.index(self) + 1
        return policies[index] if index < len(policies) else None


def memory_policy(name: str) -> MemoryPolicy | None:
    """The policy with the given name; None for "auto", which chooses by the free memory.

    Raises:
        InvalidRequest: there is no such policy.
    """
    if name == "auto":
        return None
    try:
        return MemoryPolicy(name)
    except ValueError:
        names = ", ".join(policy.value for policy in MemoryPolicy)
        raise InvalidRequest(f"There is no memory policy {name!r:.40}.", f"Choose one of: auto, {names}.") from None


class Component(Enum):
    """The units in which a model is moved between device and main memory. The value is the name in messages."""

    TEXT = "text encoders"
    UNET = "UNet"
    VAE = "VAE"
    ENCODER = "transparent encoder"
    DECODER = "transparent decoder"


_NOTICES = {
    MemoryPolicy.OFFLOAD: "one_part_at_a_time",
    MemoryPolicy.SEQUENTIAL: "smaller_pieces",
}
"""The sentence that says how drawing continues with each policy after memory ran out."""

RESERVE = 1 << 30
"""Bytes that the choice of a policy leaves free for the driver's context, kernels' workspaces and fragmentation."""

SMALL = 64 << 20
"""Bytes that are there even if the system does not report its free memory."""

_BYTES = {Component.TEXT: 0, Component.UNET: 5600, Component.VAE: 800, Component.ENCODER: 40, Component.DECODER: 330}
"""Peak number of activation values, per row and latent pixel for the UNet, per pixel and view for the decoder, and per
pixel for the others. Multiplied by the bytes of one value, this is the peak in bytes. Counted on SDXL's networks, see
`engine.profiling.flop_counter`."""


@dataclass(frozen=True, kw_only=True)
class MemoryDemand:
    """The quantities of a job that determine its memory use.

    Attributes:
        rows: rows of one guidance half: foregrounds, background and blended.
        pixels: pixels of an image at working size.
    """

    rows: int
    pixels: int


class Memory:
    """Moves a model's components between main memory and the device, according to a policy.

    Args:
        parts: the networks of each component, in main memory.
        deltas: the UNet's foreground deltas; the values of the dictionaries are replaced when they move.
        device: the device on which the model computes.
        native_size: side of the model's training images in pixels.
        latent_factor: pixels per latent along each axis.

    Attributes:
        policy: the current policy. Within a job it changes only to policies that need less memory.
        has_own_weights: whether there is room for attention weights of the foregrounds' own, which cost fewer
            operations than the low-rank deltas; see `fusion.projections`. False as soon as memory has run out.
    """

    def __init__(
        self,
        parts: Mapping[Component, tuple[nn.Module, ...]],
        deltas: Deltas,
        *,
        device: torch.device,
        native_size: int,
        latent_factor: int,
    ) -> None:
        self._parts = parts
        self._deltas = deltas
        self._device = device
        self._native_size = native_size
        self._latent_factor = latent_factor
        self._present: set[Component] = set()
        self._notices: list[Notice] = []
        self.policy = MemoryPolicy.RESIDENT
        self.has_own_weights = False
        self._keeps_text = True
        self._streamed: list[StreamedNetwork] = []
        self._sizes: dict[tuple[Component, bool, int], int] = {}

    def begin(self, job: MemoryDemand, policy: MemoryPolicy | None = None) -> None:
        """Choose the policy for a new job.

        Args:
            job: what the job needs.
            policy: the policy; None chooses the fastest for which enough memory is free.
        """
        self._notices.clear()
        self._set_policy(policy or self._choose_policy(job))
        if bool(self._streamed) != (self.policy is MemoryPolicy.SEQUENTIAL):
            self._unload(self._present & {Component.UNET})
        free, needed = self._free(), self.needs(self.policy, job) + RESERVE
        needed += self.own_weights
        self.has_own_weights = self.own_weights <= SMALL if free is None else needed <= free
        self.has_own_weights &= self.policy is not MemoryPolicy.SEQUENTIAL
        on_cpu = self._device.type == "cpu"
        self._keeps_text = free is None or on_cpu or needed + self.weights(Component.TEXT) <= free

    @property
    def halves_apart(self) -> bool:
        """Whether the two guidance halves are computed in two forward passes instead of one."""
        return self.policy is MemoryPolicy.SEQUENTIAL

    def views_at_once(self, pixels: int) -> int:
        """How many of the transparent decoder's eight views fit into the free memory at once, at least 1.

        Args:
            pixels: pixels of one view.
        """
        if self.policy is MemoryPolicy.SEQUENTIAL:
            return 1
        free = free_bytes(self._device)
        if free is None:
            return 8
        view = pixels * _BYTES[Component.DECODER] * self._value_bytes(Component.DECODER)
        return min(8, max(1, (free - RESERVE) // view))

    @property
    def pictures_at_once(self) -> int:
        """How many pictures are decoded at the same time, each in a thread of its own; see `_is_short`."""
        return torch.get_num_threads() if self._is_short and self.policy is MemoryPolicy.RESIDENT else 1

    def run(self, work: Callable[[], T], *components: Component) -> T:
        """Run `work` with its components on the device; if memory runs out, repeat it with the next policy.

        Args:
            work: a function that can be repeated: it has no lasting effect unless it succeeds. It may read `policy`.
            components: the components with which it computes.

        Raises:
            OutOfMemory: memory ran out with the last policy too.
        """
        while True:
            try:
                self._load(set(components))
                with threads_of_torch(1 if self._is_short else None):
                    return work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                lower = self.policy.next
                if lower is None:
                    raise self._failure(components) from error
            # Not in the except block: while an error is handled, its traceback keeps the failed run's tensors alive.
            self.has_own_weights = self._keeps_text = False
            self._notices.append(Notice(code="memory_policy_changed", sentences=(sentence(_NOTICES[lower]),)))
            self._set_policy(lower)
            self._unload(set(self._present))

    def notices(self) -> list[Notice]:
        """Notices about changes of the policy since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def needs(self, policy: MemoryPolicy, job: MemoryDemand) -> int:
        """A job's peak use of the device's memory in bytes: weights and activations, without `RESERVE`."""
        sequential = policy is MemoryPolicy.SEQUENTIAL
        pixels = dict.fromkeys(Component, job.pixels)
        pixels[Component.UNET] = job.pixels // self._latent_factor**2 * job.rows * (1 if sequential else 2)
        if sequential:
            pixels[Component.VAE] = min(job.pixels, (self._native_size // 2) ** 2)
        activations = {c: pixels[c] * _BYTES[c] * self._value_bytes(c) for c in self._parts}
        return self.peak(policy, activations)

    def peak(self, policy: MemoryPolicy, activations: Mapping[Component, int]) -> int:
        """The peak in bytes of weights and activations, with the given activations of each component."""
        weights = {component: self.weights(component, policy) for component in self._parts}
        if policy is not MemoryPolicy.RESIDENT:
            return max(weights[component] + activations[component] for component in self._parts)
        reading = activations.get(Component.TEXT, 0) + sum(weights.values())
        others = [component for component in self._parts if component is not Component.TEXT]
        drawing = sum(weights[c] for c in others) + max((activations[c] for c in others), default=0)
        return max(reading, drawing)

    def weights(self, component: Component, policy: MemoryPolicy = MemoryPolicy.RESIDENT) -> int:
        """The bytes of a component's weights on the device while it computes.

        The foreground deltas are part of the UNet.
        """
        if component not in self._parts:
            return 0
        streams = component is Component.UNET and policy is MemoryPolicy.SEQUENTIAL
        key = component, streams, self._value_bytes(component)  # counting visits every module of the network
        if key not in self._sizes:
            size = sum((largest_resident if streams else size_of)(module) for module in self._parts[component])
            if component is Component.UNET:
                deltas = (delta for parts in self._deltas.values() for delta in parts.values())
                size += sum(t.nbytes for delta in deltas for t in tensors(delta))
            self._sizes[key] = size
        return self._sizes[key]

    @property
    def own_weights(self) -> int:
        """The size in bytes of the foregrounds' own attention weights."""
        parts = (delta for module in self._deltas.values() for delta in module.values())
        return sum(math.prod(delta.shape) * tensors(delta)[0].dtype.itemsize for delta in parts)

    @property
    def _is_short(self) -> bool:
        """Whether the operations of the model are too short to be shared by threads: those of a small one are, on a
        processor.

        With two threads that sleep while they wait, a job of the embedded model took 2.0 s instead of 1.5. What is
        computed by one thread also does not depend on the machine's number of them.
        """
        return self._device.type == "cpu" and self.weights(Component.UNET) <= SMALL

    def _value_bytes(self, component: Component) -> int:
        """Bytes of one value in the component's dtype."""
        first = next((p for module in self._parts[component] for p in module.parameters()), None)
        return 4 if first is None else first.dtype.itemsize

    def _choose_policy(self, job: MemoryDemand) -> MemoryPolicy:
        free = self._free()
        if free is None or self._device.type == "cpu":  # moving weights cannot help on a CPU
            return MemoryPolicy.RESIDENT
        fits = (policy for policy in MemoryPolicy if self.needs(policy, job) + RESERVE <= free)
        return next(fits, MemoryPolicy.SEQUENTIAL)

    def _free(self) -> int | None:
        """The bytes that a job can use, those of the components that are there already included; None if unknown."""
        free = free_bytes(self._device)
        held = MemoryPolicy.SEQUENTIAL if self._streamed else MemoryPolicy.RESIDENT
        return None if free is None else free + sum(self.weights(component, held) for component in self._present)

    def _set_policy(self, policy: MemoryPolicy) -> None:
        """Set the policy. With `SEQUENTIAL`, the VAE works in tiles of half the model's native size (our choice).

        diffusers overlaps tiles by a quarter, and returns a larger picture where that is no whole number of latents.
        """
        self.policy = policy
        latents = max(4, self._native_size // 2 // self._latent_factor // 4 * 4)
        for vae in self._parts.get(Component.VAE, ()):
            settings: Any = vae
            settings.use_tiling = policy is MemoryPolicy.SEQUENTIAL
            settings.tile_sample_min_size = latents * self._latent_factor
            settings.tile_latent_min_size = latents

    def _load(self, wanted: set[Component]) -> None:
        if self.policy is MemoryPolicy.RESIDENT:
            wanted |= set(Component) if self._keeps_text else set(Component) - {Component.TEXT}
        wanted &= set(self._parts)
        self._unload(self._present - wanted)
        for component in Component:
            if component in wanted - self._present:
                self._present.add(component)  # before the move, so that a move that fails halfway is undone
                self._move(component, self._device)

    def _unload(self, components: set[Component]) -> None:
        for component in components:
            self._move(component, torch.device("cpu"))
            self._present.discard(component)
        if components:
            release(self._device)

    def _move(self, component: Component, device: torch.device) -> None:
        streams = component is Component.UNET and self.policy is MemoryPolicy.SEQUENTIAL
        if component is Component.UNET:
            for network in self._streamed:
                network.end()
            self._streamed.clear()
        for module in self._parts[component]:
            if streams and device == self._device and parts_of(module):
                self._streamed.append(StreamedNetwork(module, device))
            else:
                module.to(device)
        if component is Component.UNET:
            for parts in self._deltas.values():
                for name, delta in parts.items():
                    parts[name] = delta.to(device, next(iter(tensors(delta))).dtype)

    def _failure(self, components: tuple[Component, ...]) -> OutOfMemory:
        names = " and ".join(component.value for component in components)
        return OutOfMemory(
            f"Memory ran out in the {names}, even with the policy that needs the least (device: {self._device}).",
            "Close other programs that use the device, or ask for fewer foregrounds.",
        )


def tensors(delta: Any) -> tuple[torch.Tensor, ...]:
    """The tensors of one foreground delta in any form."""
    return tuple(vars(delta).values())
