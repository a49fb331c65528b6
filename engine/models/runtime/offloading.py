"""How a model that is larger than a graphics card still draws: three ways of running, one below the other.

| policy | what is on the device | what else |
|---|---|---|
| resident | everything, all the time | the fastest |
| offload | one component at a time, the others in main memory | some seconds of copying a job |
| sequential | the same | guidance halves one after the other, VAE in tiles, one view of the decoder at a time |

Rows of one guidance half are coupled inside the UNet, so they cannot be drawn apart. When memory runs out in the middle
of a job, what is there is freed, the next policy takes over and the work that failed is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import torch
from torch import nn

from layerfusion.engine.errors import InvalidRequest, OutOfMemory
from layerfusion.engine.events import Notice
from layerfusion.engine.models.runtime.devices import free_bytes, is_out_of_memory, release
from layerfusion.engine.transparency.deltas import Deltas

T = TypeVar("T")


class MemoryPolicy(Enum):
    """The ways of running, the fastest and hungriest first."""

    RESIDENT = "resident"
    OFFLOAD = "offload"
    SEQUENTIAL = "sequential"

    @property
    def next(self) -> MemoryPolicy | None:
        """The next thriftier one; None for the last."""
        ladder = list(MemoryPolicy)
        place = ladder.index(self) + 1
        return ladder[place] if place < len(ladder) else None


def memory_policy(name: str) -> MemoryPolicy | None:
    """The policy of that name; None for "auto", which chooses by what is free.

    Raises:
        InvalidRequest: there is none of that name.
    """
    if name == "auto":
        return None
    try:
        return MemoryPolicy(name)
    except ValueError:
        names = ", ".join(policy.value for policy in MemoryPolicy)
        raise InvalidRequest(f"There is no memory policy {name!r:.40}.", f"Choose one of: auto, {names}.") from None


class Component(Enum):
    """What of a model is moved as one. The value is its name for people."""

    TEXT = "text encoders"
    UNET = "UNet"
    VAE = "VAE"
    ENCODER = "transparent encoder"
    DECODER = "transparent decoder"


_SAYS = {
    MemoryPolicy.OFFLOAD: "Memory is full; drawing goes on with one part of the model at a time.",
    MemoryPolicy.SEQUENTIAL: "Memory is still full; drawing goes on in small pieces, which is slower.",
}

RESERVE = 1 << 30
"""Bytes left alone when a policy is chosen: the driver's context, kernels' workspaces, gaps between tensors."""

_BYTES = {Component.TEXT: 0, Component.UNET: 5600, Component.VAE: 800, Component.ENCODER: 40, Component.DECODER: 330}
"""Activations at their peak, for every byte of a number: a row and latent pixel of the UNet's, a pixel of the others'
(and view of the decoder's). Counted on SDXL's networks, see `engine.profiling.flop_counter`."""


@dataclass(frozen=True, kw_only=True)
class MemoryDemand:
    """What the next picture asks of memory.

    Attributes:
        rows: of one guidance half: foregrounds, background and blended.
        pixels: of the working picture.
    """

    rows: int
    pixels: int


class Memory:
    """Where a model's components are, and what is done when they do not fit.

    Args:
        parts: the networks of each component, in main memory.
        deltas: the UNet's foreground deltas; the tensors in the dictionary are replaced when they move.
        device: where the model computes.
        native_size: the side the model was trained at, in pixels.
        latent_factor: pixels per latent, a side.

    Attributes:
        policy: in force now. Within a job it only goes down.
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

    def begin(self, job: MemoryDemand, policy: MemoryPolicy | None = None) -> None:
        """A job begins.

        Args:
            policy: None takes the fastest that fits into what is free now.
        """
        self._notices.clear()
        self._follow(policy or self._fitting(job))

    @property
    def halves_apart(self) -> bool:
        """Whether the two guidance halves are two forwards."""
        return self.policy is MemoryPolicy.SEQUENTIAL

    def views_at_once(self, pixels: int) -> int:
        """Of the transparent decoder's eight views of a picture: as many as fit into what is free, and one at least."""
        if self.policy is MemoryPolicy.SEQUENTIAL:
            return 1
        free = free_bytes(self._device)
        if free is None:
            return 8
        return min(8, max(1, (free - RESERVE) // (pixels * _BYTES[Component.DECODER] * self._width(Component.DECODER))))

    def run(self, work: Callable[[], T], *components: Component) -> T:
        """Do `work` with its components on the device, again and more thriftily whenever memory runs out.

        Args:
            work: without lasting effects before it is done; it may read this object's policy anew on every try.
            components: what it computes with.

        Raises:
            OutOfMemory: it does not fit even with the last policy.
        """
        while True:
            try:
                self._bring(set(components))
                return work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                lower = self.policy.next
                if lower is None:
                    raise self._failure(components) from error
            # Here and not above: while an error is handled, its traceback keeps every tensor of the failed try alive.
            self._notices.append(Notice(code="memory_policy_changed", text=_SAYS[lower]))
            self._follow(lower)
            self._evict(set(self._present))

    def notices(self) -> list[Notice]:
        """What a person should know since the last call."""
        said, self._notices = self._notices, []
        return said

    def needs(self, policy: MemoryPolicy, job: MemoryDemand) -> int:
        """The peak of a job in bytes: weights and activations, without `RESERVE`."""
        sequential = policy is MemoryPolicy.SEQUENTIAL
        pixels = dict.fromkeys(Component, job.pixels)
        pixels[Component.UNET] = job.pixels // self._latent_factor**2 * job.rows * (1 if sequential else 2)
        if sequential:
            pixels[Component.VAE] = min(job.pixels, (self._native_size // 2) ** 2)
        weights = {component: self.weights(component) for component in self._parts}
        activations = {c: pixels[c] * _BYTES[c] * self._width(c) for c in self._parts}
        if policy is MemoryPolicy.RESIDENT:
            return sum(weights.values()) + max(activations.values())
        return max(weights[component] + activations[component] for component in self._parts)

    def weights(self, component: Component) -> int:
        """What a component's weights take, in bytes; the foreground deltas belong to the UNet."""
        modules = self._parts[component]
        size = sum(tensor.nbytes for module in modules for tensor in module.state_dict().values())
        if component is Component.UNET:
            size += sum(t.nbytes for parts in self._deltas.values() for delta in parts.values() for t in tensors(delta))
        return size

    def _width(self, component: Component) -> int:
        """Bytes of a number."""
        first = next((p for module in self._parts[component] for p in module.parameters()), None)
        return 4 if first is None else first.dtype.itemsize

    def _fitting(self, job: MemoryDemand) -> MemoryPolicy:
        free = free_bytes(self._device)
        if free is None or self._device.type == "cpu":  # there, nothing is gained by moving weights
            return MemoryPolicy.RESIDENT
        free += sum(self.weights(component) for component in self._present)
        fits = (policy for policy in MemoryPolicy if self.needs(policy, job) + RESERVE <= free)
        return next(fits, MemoryPolicy.SEQUENTIAL)

    def _follow(self, policy: MemoryPolicy) -> None:
        """From now on; the VAE works in tiles of half the model's favourite side where that is the policy."""
        self.policy = policy
        for vae in self._parts.get(Component.VAE, ()):
            settings: Any = vae
            settings.use_tiling = policy is MemoryPolicy.SEQUENTIAL
            settings.tile_sample_min_size = self._native_size // 2
            settings.tile_latent_min_size = self._native_size // 2 // self._latent_factor

    def _bring(self, wanted: set[Component]) -> None:
        wanted = set(self._parts) if self.policy is MemoryPolicy.RESIDENT else wanted & set(self._parts)
        self._evict(self._present - wanted)
        for component in Component:
            if component in wanted - self._present:
                self._present.add(component)  # first, so that half of a move is undone too
                self._move(component, self._device)

    def _evict(self, components: set[Component]) -> None:
        for component in components:
            self._move(component, torch.device("cpu"))
            self._present.discard(component)
        if components:
            release(self._device)

    def _move(self, component: Component, device: torch.device) -> None:
        for module in self._parts[component]:
            module.to(device)
        if component is Component.UNET:
            for parts in self._deltas.values():
                for name, delta in parts.items():
                    parts[name] = delta.to(device, next(iter(tensors(delta))).dtype)

    def _failure(self, components: tuple[Component, ...]) -> OutOfMemory:
        names = " and ".join(component.value for component in components)
        return OutOfMemory(
            f"Memory ran out in the {names}, even in the smallest pieces (device: {self._device}).",
            "Close other programs that use it, or ask for fewer foregrounds.",
        )


def tensors(delta: Any) -> tuple[torch.Tensor, ...]:
    """Of one foreground delta, whatever its form."""
    return tuple(vars(delta).values())
