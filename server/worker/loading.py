"""How a worker process gets what draws: the engine's pipeline with a model, on the slot's device."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from layerfusion.engine.events import Event
from layerfusion.engine.importing import paused_collection, without
from layerfusion.engine.request import GenerationRequest

if TYPE_CHECKING:
    from layerfusion.engine.inspection.records import MaskRecord
    from layerfusion.engine.pipeline import LayerFusionPipeline


class Pipeline(Protocol):
    """What draws in the process, usually `engine.pipeline.LayerFusionPipeline`."""

    def generate(self, request: GenerationRequest, masks: MaskRecord | None = None, /) -> Generator[Event, None, None]:
        """Draw a picture. The priors and masks of every step are added to `masks`."""
        ...


Load = Callable[[str], Pipeline]
"""Makes the pipeline of a model. It reaches the process by pickle: a function of a module or an `EngineLoader`."""


@dataclass(frozen=True, kw_only=True)
class EngineLoader:
    """Loads the engine's pipeline with a model.

    Attributes:
        device: name of torch's device on which it draws, such as "cuda:1"; None is the best of the machine.
        memory: name of the memory policy, or "auto".
        threads: number of threads with which it computes on the processor; None leaves the choice to torch.
    """

    device: str | None = None
    memory: str = "auto"
    threads: int | None = None

    def prepare(self) -> None:
        """Import the engine, which takes seconds, and set the number of threads."""
        with paused_collection(), without("scipy"):
            importlib.import_module("layerfusion.engine.pipeline")
        gc.freeze()  # modules live as long as the process
        if self.threads is not None:
            importlib.import_module("torch").set_num_threads(self.threads)

    def __call__(self, model: str) -> Pipeline:
        """The pipeline with the model of this name.

        Raises:
            UnknownModel, BrokenModel: see `find_model`.
            InvalidRequest: this machine does not have the device.
        """
        from layerfusion.engine.models.catalog.registry import find_model
        from layerfusion.engine.models.runtime.devices import device_named
        from layerfusion.engine.models.runtime.offloading import memory_policy
        from layerfusion.engine.pipeline import LayerFusionPipeline

        device = None if self.device is None else device_named(self.device)
        return _Engine(LayerFusionPipeline(find_model(model), device, memory_policy(self.memory)))


@dataclass(frozen=True)
class _Engine:
    """The engine's pipeline; what records masks is imported when somebody asks for them."""

    pipeline: LayerFusionPipeline

    def generate(self, request: GenerationRequest, masks: MaskRecord | None = None, /) -> Generator[Event, None, None]:
        if masks is None:
            return self.pipeline.generate(request)
        from layerfusion.engine.inspection.recorder import Recorder

        return self.pipeline.generate(request, Recorder(masks))
