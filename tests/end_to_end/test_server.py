"""The whole program without Krita: a real server process with its real worker, the embedded model, and a real client.

The servers here cannot connect to anything outside the loopback interface, so every test also shows that no network is
needed.
"""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import proving
from layerfusion.engine import formats
from layerfusion.engine.events import Finished
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer as EngineLayer
from layerfusion.engine.image.layers import Role
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated as EngineGenerated
from layerfusion.engine.sources import Kept as EngineKept
from layerfusion.server import translate
from layerfusion.server.client.client import Layer, Refusal, new_job
from layerfusion.server.protocol.messages import Cancelled, Done, Failed, Generated, Kept, Progress, Started, Submit
from serving import GUARD, SECONDS, cmdline, wait_until, worker_of


def submit(**values):
    defaults = {
        "job": new_job(),
        "width": 120,
        "height": 90,
        "background": Generated(prompt="a beach at sunset"),
        "foregrounds": (Generated(prompt="a red apple", negative_prompt="a leaf", seed=11),),
        "seed": 5,
        "steps": 2,
        "model": "tiny",
    }
    return Submit(**{**defaults, **values})


def draw(client, job):
    """All events of a job, and its layers by their place in the stack."""
    client.submit(job)
    events = list(client.events(job.job))
    return events, {event.begin.index: event for event in events if isinstance(event, Layer)}


def draw_here(request):
    """Draw the same without a server."""
    from layerfusion.engine.pipeline import LayerFusionPipeline

    *_, finished = LayerFusionPipeline(find_model(request.model)).generate(request)
    assert isinstance(finished, Finished)
    return finished.stack


def bgra(pixels):
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3]]).tobytes()


def records(stack):
    """What a stack and its layers say of how they were made, without the date."""
    return dataclasses.replace(stack.record, created=""), [layer.record for layer in stack]


def check_records(client, done, expected, folder):
    """What the client is told, and what an exported file says, is what a local drawing says of itself."""
    told = translate.with_stated_records(expected.without_prompts(), done.record)
    assert records(told) == records(expected)
    for form in ("psd", "ora"):
        (folder / f"a.{form}").write_bytes(client.export(done.job, form))
        assert records(formats.load(folder / f"a.{form}")) == records(expected)
    (folder / "b.ora").write_bytes(client.export(done.job, "ora", prompts=False))
    silent = formats.load(folder / "b.ora")
    assert records(silent) == records(expected.without_prompts())
    assert b"apple" not in (folder / "b.ora").read_bytes()


def disc(width, height):
    """A soft disc with colour under alpha 0, too."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x - width / 2, y - height / 2)
    alpha = np.clip((min(width, height) / 2 - distance) * 60, 0, 255)
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 4), np.uint8)
    pixels[..., 3] = alpha.astype(np.uint8)
    return pixels


def test_the_network_guard_blocks_connections(tmp_path):
    """Without this, the other tests would not show that no network is needed."""
    code = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
    script, log = GUARD + code, str(tmp_path / "blocked")
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        env={**os.environ, "BLOCKED": log},
        timeout=SECONDS,
    )
    assert b"blocked: socket.getaddrinfo 192.0.2.1" in ended.stderr


def test_the_server_sends_the_same_layers_as_the_pipeline(server, tmp_path):
    expected = draw_here(
        GenerationRequest(
            size=Size(120, 90),
            background=EngineGenerated(prompt="a beach at sunset"),
            foregrounds=(EngineGenerated(prompt="a red apple", negative_prompt="a leaf", seed=11),),
            seed=5,
            steps=2,
        )
    )
    with server.connect() as client:
        events, layers = draw(client, submit())
        check_records(client, events[-1], expected, tmp_path)
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Done)
    assert events[-1].layers == len(layers) == len(expected)
    for index, layer in enumerate(expected):
        begin = layers[index].begin
        assert layers[index].pixels == bgra(layer.pixels)
        assert (begin.name, begin.role, begin.blend) == (layer.name, layer.role.value, layer.blend.value)
        assert ((begin.x, begin.y), begin.opacity, begin.visible) == (layer.offset, layer.opacity, layer.visible)


def test_a_kept_foreground_gives_the_same_result_as_without_a_server(server):
    pixels = disc(50, 60)
    with server.connect() as client:
        layer = client.upload(bgra(pixels))
        kept = Kept(layer=layer, width=50, height=60, x=30, y=-8, name="Mein Apfel 😀", prompt="a red apple")
        events, layers = draw(client, submit(foregrounds=(kept,)))
    (back,) = (layer for layer in layers.values() if layer.begin.role == "foreground")
    assert back.pixels == bgra(pixels)
    assert back.begin.sha256 == layer
    assert (back.begin.x, back.begin.y, back.begin.width, back.begin.height) == (30, -8, 50, 60)
    assert back.begin.name == "Mein Apfel 😀"

    own = EngineLayer(name="Mein Apfel 😀", role=Role.FOREGROUND, pixels=pixels, offset=(30, -8))
    expected = draw_here(
        GenerationRequest(
            size=Size(120, 90),
            background=EngineGenerated(prompt="a beach at sunset"),
            foregrounds=(EngineKept(layer=own, prompt="a red apple"),),
            seed=5,
            steps=2,
        )
    )
    assert [layers[i].pixels for i in range(len(layers))] == [bgra(layer.pixels) for layer in expected]
    told = translate.with_stated_records(expected.without_prompts(), events[-1].record)
    assert records(told) == records(expected)
    assert told.foreground.record.sha256 == hashlib.sha256(pixels.tobytes()).hexdigest()


def test_cancel_acts_within_a_step_and_the_next_job_runs(server):
    with server.connect() as client:
        job = submit(steps=150)
        client.submit(job)
        steps = []
        for event in client.events(job.job):
            if isinstance(event, Progress) and event.stage == "drawing":
                if not steps:
                    client.cancel(job.job)
                steps.append(event.step)
        assert isinstance(event, Cancelled)
        assert max(steps) < 20
        assert isinstance(draw(client, submit())[0][-1], Done)


def test_two_clients_take_turns_and_get_only_their_own_events(server):
    with server.connect() as one, server.connect() as two:
        first, second, other = submit(steps=1), submit(steps=1), submit(steps=1, seed=6)
        one.submit(first)
        one.submit(second)
        two.submit(other)
        assert isinstance(list(two.events(other.job))[-1], Done)
        one.cancel(second.job)
        assert isinstance(list(one.events(first.job))[-1], Done)
        assert isinstance(list(one.events(second.job))[-1], Cancelled | Done)


def test_a_client_that_comes_back_gets_every_event_once(server):
    job = submit(seed=21)
    with server.connect() as client:
        client.submit(job)
        before = []
        for event in client.events(job.job):
            before.append(event)
            if isinstance(event, Layer):
                break
    with server.connect() as client:
        client.resume(job.job, after=before[-1].begin.seq)
        after = list(client.events(job.job))
    layers = [event for event in (*before, *after) if isinstance(event, Layer)]
    assert sorted(layer.begin.index for layer in layers) == list(range(after[-1].layers))
    with server.connect() as client:
        client.resume(job.job)
        again = list(client.events(job.job))
    assert [type(event) for event in again if isinstance(event, Started | Done)] == [Started, Done]
    assert [layer.pixels for layer in again if isinstance(layer, Layer)] == [layer.pixels for layer in layers]


def test_the_same_submission_again_is_drawn_once(server):
    job = submit(seed=22, steps=1)
    with server.connect() as client:
        first, _ = draw(client, job)
    with server.connect() as client:
        again, _ = draw(client, job)
        assert [event.begin.sha256 for event in first if isinstance(event, Layer)] == [
            layer.begin.sha256 for layer in again if isinstance(layer, Layer)
        ]
        with pytest.raises(Refusal, match="belongs to another job"):
            client.submit(submit(job=job.job))


def test_a_layer_lost_from_disk_is_reported(server):
    job = submit(seed=23, steps=1)
    with server.connect() as client:
        _, layers = draw(client, job)
    for path in server.runtime_file.parents[1].glob(f"layers/layers/??/{layers[0].begin.sha256[2:]}"):
        path.unlink()
    with server.connect() as client:
        client.resume(job.job)
        *_, last = client.events(job.job)
    assert (last.type, last.code, last.seq) == ("failed", "layer_lost", 0)
    assert "no longer in the server's store" in last.message


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the worker is found in /proc")
def test_a_killed_worker_fails_its_job_and_the_next_one_is_drawn(tmp_path):
    """The engine is scripted, because importing the real one again takes long."""
    with proving.ScriptedServer(tmp_path) as server, server.connect() as client:
        job = proving.submit("hang=1")
        client.submit(job)
        for event in client.events(job.job):
            if isinstance(event, Progress) and event.stage == "drawing":
                break
        os.kill(worker_of(server.process), signal.SIGKILL)
        *_, failed = client.events(job.job)
        assert isinstance(failed, Failed)
        assert failed.code == "worker_died"
        assert isinstance(draw(client, proving.submit())[0][-1], Done)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the worker is found in /proc")
def test_a_killed_servers_worker_ends_and_another_server_can_start(tmp_path):
    """The engine is scripted, because the real one would be imported twice without being used."""
    with proving.ScriptedServer(tmp_path) as server:
        worker = worker_of(server.process)
        with server.connect() as client:
            client.submit(proving.submit("hang=1"))
            server.process.kill()
            server.process.wait(SECONDS)
        assert (tmp_path / "server.json").exists()
        wait_until(lambda: not cmdline(worker))
        server.start()
        server.connect().close()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(SECONDS) == 0
        assert not (tmp_path / "server.json").exists()
