"""Drawing in actors of a Ray cluster, which is a real one on this machine. The engine is scripted."""

import asyncio
import importlib.util
import os
import sys
import threading

import pytest

import scripted
from layerfusion.server.errors import CannotServe
from layerfusion.server.protocol.messages import Cancelled, Done, Failed, Kept, LayerBegin, Progress, Started
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.worker import ray_cluster
from layerfusion.server.worker.ray_cluster import RayCluster
from running import Running
from samples import job_id, submit

SECONDS = 90


def test_a_missing_package_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(CannotServe, match=r"pip install 'layerfusion\[ray\]'"):
        RayCluster(None)


def test_a_cluster_without_authentication_is_not_used(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(CannotServe, match="RAY_AUTH_MODE is 'disabled'"):
        RayCluster(None)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "No Ray cluster answers at 127.0.0.1:1"),
        ("127.0.0.1:99999", "No Ray cluster answers"),
        ("localhost", "is not an address"),
        (":6379", "is not an address"),
        ("ray://x", "is not an address"),
    ],
)
def test_an_address_where_no_cluster_is_ends_the_start_at_once(address, words):
    with pytest.raises(CannotServe, match=words):
        ray_cluster._check_reachable(address)


def test_a_cluster_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(ray_cluster, "RayCluster", lambda _address: threading.Event().wait())
    monkeypatch.setattr(ray_cluster, "_CONNECT_SECONDS", 0.05)
    with pytest.raises(CannotServe, match=r"did not answer for 0\.05 s"):
        asyncio.run(ray_cluster.connect("127.0.0.1:1"))


@pytest.fixture(scope="module")
def cluster():
    if importlib.util.find_spec("ray") is None:  # not imported: Ray reads how it authenticates when it is
        pytest.skip("needs the extra `ray`")
    with pytest.MonkeyPatch.context() as patch:  # actors import `scripted`, too
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED"):
            patch.delenv(name, raising=False)
        cluster = RayCluster(None)
        yield cluster
        cluster.close()


@pytest.fixture
def drawing(cluster, tmp_path):
    """Runs a coroutine with an executor whose actor is ready."""
    from layerfusion.server.worker.ray_executor import RayExecutor

    def run(coroutine, **patience):
        async def ready():
            async with RayExecutor(cluster, LayerStore(tmp_path), scripted.load, **patience) as executor:
                async with asyncio.timeout(SECONDS):
                    await executor.ready()
                    return await coroutine(executor)

        return asyncio.run(ready())

    return run


async def draw(executor, job, at_first_step=lambda: None):
    messages = []
    async for message in executor.run(job):
        if isinstance(message, Progress) and not messages:
            at_first_step()
        messages.append(message)
    return messages


def test_layers_come_from_the_actor_into_the_store(drawing, tmp_path):
    async def scenario(executor):
        messages = await draw(executor, submit(blended_prompt="layers=2 side=600"))
        assert executor.model == "tiny"
        return messages

    messages = drawing(scenario)
    layers = [message for message in messages if isinstance(message, LayerBegin)]
    assert len(layers) == 2 and isinstance(messages[-1], Done)
    store = LayerStore(tmp_path)
    assert [len(store.read(layer.sha256)) for layer in layers] == [4 * 600 * 600] * 2


def test_kept_layers_go_to_the_actor_and_missing_ones_are_named(drawing, tmp_path):
    digest = LayerStore(tmp_path).put(b"\xff" * (4 * 64 * 64))
    kept = {"name": "my sky", "x": 0, "y": 0, "width": 64, "height": 64}

    async def scenario(executor):
        there = await draw(executor, submit(background=Kept(layer=digest, prompt="a sky", **kept)))
        missing = await draw(executor, submit(background=Kept(layer="ab" * 32, prompt="a sky", **kept)))
        return there[-1], missing[-1]

    there, missing = drawing(scenario)
    assert isinstance(there, Done), there
    assert isinstance(missing, Failed)
    assert missing.code == "unknown_layer" and "my sky" in missing.message


def test_a_cancelled_job_stops_after_its_step_and_the_actor_draws_on(drawing):
    async def scenario(executor):
        job = submit(steps=150, blended_prompt="seconds=0.1")
        cancelled = await draw(executor, job, lambda: executor.cancel(job.job))
        return cancelled, await draw(executor, submit())

    cancelled, after = drawing(scenario)
    assert isinstance(cancelled[-1], Cancelled) and len(cancelled) < 140
    assert isinstance(after[-1], Done)


def test_a_dead_actor_fails_its_job_and_is_replaced(drawing):
    async def scenario(executor):
        failed = await draw(executor, submit(blended_prompt="die=1"))
        assert not executor.is_ready
        await executor.ready()
        assert executor.model is None
        return failed[-1], (await draw(executor, submit()))[-1]

    failed, after = drawing(scenario)
    assert isinstance(failed, Failed)
    assert failed.code == "worker_died"
    assert isinstance(after, Done)


def test_an_actor_that_hangs_is_ended(drawing):
    async def scenario(executor):
        hung = await draw(executor, submit(blended_prompt="hang=1"))
        await executor.ready()
        job = submit(blended_prompt="hang=1")
        stopped = await draw(executor, job, lambda: executor.cancel(job.job))
        return hung[-1], stopped[-1]

    hung, stopped = drawing(scenario, silence_seconds=6, cancel_seconds=0.5)
    assert isinstance(hung, Failed)
    assert "made no step for 6 seconds" in hung.message
    assert isinstance(stopped, Cancelled)


def test_a_server_draws_in_two_actors_at_once(cluster, tmp_path, runtime_file, monkeypatch):
    monkeypatch.setattr(ray_cluster, "RayCluster", lambda _address: cluster)  # a process can be in one cluster only
    monkeypatch.setattr(cluster, "close", lambda: None)
    with Running(tmp_path, executor="ray", workers=2) as server, server.client() as client:
        for number in (1, 2):
            client.submit(submit(number, steps=100, blended_prompt="seconds=0.1"))
        for number in (1, 2):
            assert any(isinstance(event, Started) for event in client.events(job_id(number)))
