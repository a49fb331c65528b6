"""The executors of a server, as its settings say: worker processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from layerfusion.server.config import ServerConfig
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.worker.loading import EngineLoader, Load
from layerfusion.server.worker.supervisor import WorkerSupervisor

if TYPE_CHECKING:
    from layerfusion.server.worker.ray_executor import RayExecutor


async def make_executors(
    config: ServerConfig, store: LayerStore, load: Load | None, stack: AsyncExitStack
) -> list[WorkerSupervisor] | list[RayExecutor]:
    """Make the executors, which are not running yet: each is an async context manager.

    Args:
        config: which executors, and how patient they are.
        store: where finished layers go.
        load: makes the pipeline of a model; None is the engine's, on the device of each executor.
        stack: gets the connection to the cluster.

    Raises:
        CannotServe: the Ray cluster cannot be used.
    """
    patience = {"silence_seconds": config.silence_seconds, "cancel_seconds": config.cancel_seconds}
    if config.executor == "ray":
        from layerfusion.server.worker import ray_cluster
        from layerfusion.server.worker.ray_executor import RayExecutor

        cluster = await ray_cluster.connect(config.ray_address)
        stack.callback(cluster.close)
        load = load or EngineLoader(memory=config.memory)
        return [RayExecutor(cluster, store, load, **patience) for _ in range(config.workers or cluster.cards or 1)]
    loads = [
        load or EngineLoader(device=device, memory=config.memory, threads=config.threads) for device in config.devices
    ]
    return [WorkerSupervisor(store.folder, load=each, written=store.note_fresh, **patience) for each in loads]
