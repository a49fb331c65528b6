"""What `layerfusion benchmark` times. No test asserts a time: clocks are scripted, or what is made of them counts."""

import json
import statistics
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch

from layerfusion.engine.evaluation.prices import request_for
from layerfusion.engine.events import Finished, LayerReady, Notice, Preview, Progress
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.models.catalog import registry
from layerfusion.engine.models.runtime.devices import threads_of_torch
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.stack import LayerStack
from layerfusion.server.cli import delivery, drawing, generate, starting, timings, two_threads, warm
from layerfusion.server.cli.console import CommandError
from layerfusion.server.cli.main import main

pytestmark = pytest.mark.timeout(300)


def told_by(capsys, *given):
    """The JSON of the command: every row has as many runs."""
    assert main(["benchmark", *given, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["benchmark"] == given[0][2:]
    assert {len(runs) for runs in [*told["processor"].values(), *told.get("clock", {}).values()]} == {told["runs"]}
    return told


def test_layers_are_delivered_by_a_server_of_the_benchmarks_own(capsys, monkeypatch):
    found = delivery.measure(96, 64, times=1)
    parts = (found.taken, found.worker, found.server, found.client, found.raw.processor, found.raw.clock)
    assert found.bytes == 3 * 4 * 96 * 64 and [len(part) for part in parts] == [1] * 6
    assert min(value for part in parts for value in part) >= 0 and min(*found.taken, *found.raw.clock) > 0
    raw = timings.JobTimes(processor=(0.004, 0.002, 0.009), clock=(0.002, 0.003, 0.004))
    parts = {"worker": (0.01, 0.01, 0.02), "server": (0.005, 0.005, 0.005), "client": (0.001, 0.009, 0.005)}
    known, asked = delivery.Delivery(bytes=12 * 2**20, taken=(0.03, 0.02, 0.05), raw=raw, **parts), []
    monkeypatch.setattr(delivery, "measure", lambda *given: asked.append(given) or known)
    told = told_by(capsys, "--delivery", "--times", "3", "--size", "128x64")
    assert told["ratios"] == {"clock": 10, "processor": 5} and told["bytes"] == 12 * 2**20 and told["runs"] == 3
    assert told["clock"] == {"engine to client": [0.03, 0.02, 0.05], "bare socket": [0.002, 0.003, 0.004]}
    assert told["processor"] == {name: list(part) for name, part in (parts | {"bare socket": raw.processor}).items()}
    assert main(["benchmark", "--delivery"]) == 0
    assert "engine to client     30.0 ms, at best 20.0 ms, of 3 times" in capsys.readouterr().out
    assert asked == [(128, 64, 3), (1024, 1024, delivery.TIMES)]


def test_starting_is_the_least_of_several_processes(capsys, monkeypatch):
    costs = iter([0.3, 5.0, 7.0, 0.2, 6.0, 6.5, 0.4, 5.5, 8.0])
    asked = []
    monkeypatch.setattr(starting, "_cost", lambda arguments: asked.append(arguments) or next(costs))
    monkeypatch.setattr(starting.sys, "platform", "linux")
    told = told_by(capsys, "--start")
    assert told["processor"] == {"help": [0.3, 0.2, 0.4], "first_step": [5.0, 6.0, 5.5], "picture": [7.0, 6.5, 8.0]}
    assert [("--help" in given, "--steps" in given) for given in asked[:3]] == [(1, 0), (0, 1), (0, 0)]
    costs = iter([0.3, 5.0, 7.0, 0.2, 6.0, 6.5])
    assert main(["benchmark", "--start", "--times", "2"]) == 0
    assert "layerfusion generate               6.50 s of processor time, the least of 2" in capsys.readouterr().out
    monkeypatch.setattr(starting.sys, "platform", "win32")
    assert main(["benchmark", "--start"]) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not say what a finished process cost")
def test_a_process_has_a_cost_and_a_failed_one_is_named():
    assert 0 < starting._cost(["--version"]) < 60
    with pytest.raises(CommandError, match=r"“layerfusion nonsense” failed: .*nonsense"):
        starting._cost(["nonsense"])


def test_one_thing_is_measured_at_a_time(capsys):
    for given in (
        ["--start", "--delivery"],
        ["--finishing", "--drawing"],
        ["--start", "--plot", "none.png"],
        ["--times", "2"],
        ["--times", "2", "--finishing"],
        ["--times", "0", "--start"],
    ):
        assert main(["benchmark", *given]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_job_is_timed_alone_and_beside_programs_that_end_with_it(capsys, monkeypatch):
    started, running = [], []
    start = warm.subprocess.Popen
    monkeypatch.setattr(warm.subprocess, "Popen", lambda *a, **k: started.append(start(*a, **k)) or started[-1])
    monkeypatch.setattr(
        warm, "embedded_job", lambda: lambda seed: running.append(sum(p.poll() is None for p in started))
    )
    told = told_by(capsys, "--busy", "--times", "2")
    assert running == [0, warm.LOOPS] * 2
    assert len(started) == warm.LOOPS * 2 and all(program.poll() is not None for program in started)
    assert told["loops"] == warm.LOOPS and told["runs"] == 2
    rows = {"alone", f"beside {warm.LOOPS} loops"}
    assert told["processor"].keys() == told["clock"].keys() == rows
    assert {len(times) for kind in ("processor", "clock") for times in told[kind].values()} == {2}
    known = warm.Busy(timings.JobTimes((1, 2, 9), (1, 2, 9)), timings.JobTimes((2, 3, 4), (9, 9, 9)))
    assert known.ratio == 1.5


def test_programs_that_compute_without_end_end_when_whoever_started_them_dies():
    with warm.busy_programs(1) as (program,):
        assert program.poll() is None
        program.stdin.close()
        assert program.wait(60) == 0


def test_a_job_is_timed_in_one_thread_and_in_two(capsys, monkeypatch):
    before, threads = torch.get_num_threads(), []
    known = timings.JobTimes((3.0, 5.0), (9.0, 9.0))
    monkeypatch.setattr(warm, "embedded_job", lambda: lambda seed, _observer: threads.append(torch.get_num_threads()))
    monkeypatch.setattr(two_threads, "_two_workers", lambda times: known)
    told = told_by(capsys, "--threads", "--times", "2")
    assert threads == [1, 2] * 2 and torch.get_num_threads() == before
    assert told["processor"]["two processes"] == [3, 5] and told["clock"]["two processes"] == [9, 9]
    assert told["processor"]["two threads, the longest"] == told["processor"]["two threads"]  # no other thread decoded
    one, two = timings.JobTimes((4, 2, 3), (9, 9, 9)), timings.JobTimes((9, 9, 9), (9, 9, 9))
    known = two_threads.Threads(one, two, longest=(2, 1, 9), workers=timings.JobTimes((4, 5, 3), (9, 9, 9)))
    assert (known.ratio, known.ratio_of_workers) == (1.5, 1.5)
    assert main(["benchmark", "--threads", "--plot", "a.png"]) == 2
    assert "--threads" in capsys.readouterr().err


def test_of_the_threads_that_decode_only_the_longest_counts(monkeypatch):
    """A job's two threads have computed for 3 and 5 s when they have decoded their last, and the job for 20 in all."""
    spent, clock = threading.local(), iter([0.0, 20.0, 20.0, 40.0])
    monkeypatch.setattr(two_threads.time, "thread_time", lambda: spent.seconds)
    monkeypatch.setattr(timings.time, "process_time", lambda: next(clock))

    def job(_seed, observer):
        def decode(*seconds):
            for spent.seconds in seconds:
                observer.decoded(0)

        decode(7)  # by the thread that draws, too
        if torch.get_num_threads() == 2:
            met = threading.Barrier(2)
            for one in [threading.Thread(target=lambda s=s: (met.wait(60), decode(*s))) for s in [(1, 3), (5,)]]:
                one.start()
                threads.append(one)
            for one in threads:
                one.join()

    threads = []
    monkeypatch.setattr(two_threads, "_two_workers", lambda times: timings.JobTimes((20.0,), (20.0,)))
    found = two_threads.in_threads(job, times=1)
    assert (found.one.processor, found.two.processor, found.longest) == ((20,), (20,), (17,))
    assert found.ratio == pytest.approx(20 / 17) and found.ratio_of_workers == 2


def test_a_job_tells_which_thread_decodes(weights):
    """Its pictures are decoded beside each other if torch has two threads, and by the job itself if it has one."""
    for count in (1, 2):
        seen = two_threads.DecodingThreads()
        with threads_of_torch(count):
            request = replace(request_for(weights.spec, Size(64, 64), "a duck", "a beach", 1), steps=1)
            spec = replace(weights.spec, native_size=64)
            list(LayerFusionPipeline(spec, bundle=replace(weights, spec=spec)).generate(request, seen))
        assert len(seen._spent) <= 2 and bool(seen._spent) == (count == 2)


def test_a_worker_process_draws_in_one_thread(monkeypatch):
    before, drawn, met = torch.get_num_threads(), [], []
    monkeypatch.setattr(warm, "embedded_job", lambda: lambda seed: drawn.append((seed, torch.get_num_threads())))
    monkeypatch.setattr(two_threads, "_of_this_process", None)
    try:
        two_threads._start_worker(SimpleNamespace(wait=met.append))
        assert two_threads._draw_in_worker(7) >= 0
    finally:
        torch.set_num_threads(before)
    assert drawn == [(7, 1)] and met == [two_threads._SECONDS]


def test_drawing_is_timed_in_parts_beside_a_stock_picture(capsys, monkeypatch, small_model):
    """A small job of every preset: its parts are the whole, and the ratios are what the runs say."""
    small = generate.find_model("tiny")
    monkeypatch.setattr(registry, "find_model", lambda _name: small)
    told = told_by(capsys, "--drawing", "--times", "3", "--steps", "2")
    assert told["benchmark"] == "drawing" and told["runs"] == 3
    presets, rows = get_args(Preset), told["processor"]
    assert rows.keys() == {drawing.STOCK, *presets} and {len(runs) for runs in rows.values()} == {3}
    stock = statistics.median(rows[drawing.STOCK])
    for preset in presets:
        parts = told["parts"][preset]
        assert [sum(run.values()) for run in parts] == pytest.approx(rows[preset]) and len(parts) == 3
        assert all(set(run) == set(drawing.PARTS) and min(run.values()) >= 0 for run in parts)
        whole = statistics.median(rows[preset])
        assert told["ratios"][f"{preset} to stock"] == pytest.approx(whole / stock, abs=1e-4)
        assert told["previews"][preset] == 3  # after the first of two steps, of each layer
        each = statistics.median(run["previews"] / 3 / sum(run.values()) for run in parts)
        assert told["ratios"][f"{preset}, each preview"] == pytest.approx(each, abs=1e-4)
        assert each * 3 <= told["ratios"][f"{preset}, first preview"] <= 1


def test_a_part_of_a_job_ends_with_its_event(monkeypatch):
    clock = iter([0, 1, 3, 10, 30, 31, 60, 100, 101, 200, 300, 301, 1000, 1001])
    monkeypatch.setattr(drawing.time, "process_time", lambda: next(clock))
    pixels = np.zeros((8, 8, 4), np.uint8)

    def ready(role):
        return LayerReady(layer=Layer(name="a", role=role, pixels=pixels), index=0)

    def step(stage, done):
        return Progress(stage=stage, step=done, total=2)

    preview = Preview(role=Role.BLENDED, index=0, pixels=pixels)
    before = [Notice(code="demo_model", text="A notice."), step("drawing", 0)]
    drawn = [step("drawing", 1), preview, preview, step("drawing", 2)]
    done = [ready(Role.BACKGROUND), step("decoding", 1), ready(Role.SHADOW), step("decoding", 2)]
    finished = Finished(stack=LayerStack(name="a", size=Size(8, 8), layers=(ready(Role.BACKGROUND).layer,)))
    found = drawing.drawn(iter([*before, *drawn, *done, step("decoding", 3), finished]))
    assert found.parts == {
        "prompts": 3,
        "steps": 7 + 29,
        "previews": 20 + 1,
        "decoding": 40 + 1,
        "Shadow, Light": 99 + 100 + 1 + 699 + 1,
    }
    assert (found.whole, found.first_preview, found.previews) == (1001, 30, 2)
