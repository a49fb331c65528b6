"""The figures that pages quote: those of docs/performance.md, which the command's test compares, and sizes of files."""

import json
import math
import re
import statistics
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.training.data.scenes import draw_scene
from layerfusion.engine.training.data.vocabulary import INDOOR, OUTDOOR, TIMES

ROOT = Path(__file__).parents[1]


def rows(page: str) -> list[list[str]]:
    """The rows of all tables of a page, in cells."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def cells(page: str) -> dict[str, list[str]]:
    """The tables of a page: first cell -> the others, of the first row that begins so."""
    return {re.sub("^`([^`]*)`$", r"\1", name): rest for name, *rest in reversed(rows(page))}


@pytest.fixture(scope="module")
def counted() -> dict[str, list[str]]:
    return cells("docs/performance.md")


def test_the_front_page_says_what_memory_each_policy_needs(counted):
    front = cells("README.md")
    for policy in ("resident", "offload", "sequential"):
        peak, card = counted[policy][1:]
        row = next(rest for name, rest in front.items() if f"{card} " in f"{name} " and "graphics card" in name)
        assert f"{peak} at its peak" in row[1], (policy, row)


def test_the_page_about_scaling_counts_with_the_operations_of_a_picture(counted):
    page, text = cells("docs/scaling.md"), (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    balanced, paper, fast = (int(counted[preset][0]) for preset in ("balanced", "paper", "fast"))
    assert page["operations, preset `balanced` (`paper`)"][0] == f"{balanced} ({paper}) TFLOP"
    assert page["memory of the card, `resident`"][0] == counted["resident"][1]
    speed = int(re.match(r"(\d+) TFLOP", page["what a card does in a second"][0])[1])
    seconds = balanced / speed
    assert page["time on such a card"][0] == f"{seconds:.1f} s ({paper / speed:.1f} s)"

    pictures = [int(cell.replace(",", "")) for cell in page["pictures in a busy hour"]]
    full = [count * seconds / 3600 for count in pictures]
    few, many = (math.ceil(cards / 0.7) for cards in full)
    assert page["cards at full load; planned"] == [f"{full[0]:.1f}; **{few}**", f"{full[1]:.0f}; **{many}**"]
    words = " ".join(text.split())
    assert f"{few} cards a cell are {100 * few}, {100 * few - many} more than the {many} above." in words

    drawing = 100 * seconds / 3600 / 0.7  # cents, at 1 € an hour
    assert page["drawing at 70 % load"] == [f"{drawing:.2f} ct", f"{drawing / 5:.3f} ct"]
    others = sum(float(page[name][0].split()[0]) for name in ("keeping for a month", "sending over the internet"))
    assert "Drawing is three fifths of it." in words and drawing / (drawing + others) == pytest.approx(0.6, abs=0.04)
    assert f"`fast` has {fast / balanced:.2f} of the operations of `balanced`" in words


def test_the_seconds_on_the_page_are_those_of_the_runs(counted):
    times = json.loads((ROOT / "docs" / "performance-times.json").read_text(encoding="utf-8"))
    compared = {name: runs for name, runs in times.items() if "before" in runs}
    assert len(compared) == 6
    for name, runs in compared.items():
        cells_of = [cell.split(", ") for cell in counted[name.strip("`") if name.count("`") == 2 else name]]
        medians = [statistics.median(runs[when]["seconds"]) for when in ("before", "now")]
        for seconds, when, (shown, *memory) in zip(medians, ("before", "now"), cells_of, strict=False):
            assert float(shown.removesuffix(" s")) == pytest.approx(seconds, abs=0.006)
            assert memory == ([f"{runs[when]['gib']:.2f} GiB"] if "gib" in runs[when] else [])
        assert cells_of[2] == [f"{medians[1] / medians[0]:.2f}"]


@pytest.fixture(scope="module")
def timed():
    """What `layerfusion benchmark` said, option -> figures, and its medians in seconds, option -> row -> median."""
    times = json.loads((ROOT / "docs" / "performance-times.json").read_text(encoding="utf-8"))
    said = {name.removeprefix("benchmark --"): found for name, found in times.items() if "benchmark" in found}
    medians = {
        name: {row: statistics.median(runs) for row, runs in found["processor"].items()} for name, found in said.items()
    }
    return said, medians


def test_the_ratios_beside_the_runs_are_theirs(timed):
    said, medians = timed
    for name, found in said.items():
        assert name == found["benchmark"] and {len(runs) for runs in found["processor"].values()} == {found["runs"]}
    delivery, clock = medians["delivery"], said["delivery"]["clock"]
    expected = {
        "busy": {"beside to alone": medians["busy"]["beside 3 loops"] / medians["busy"]["alone"]},
        "threads": {
            "two threads": medians["threads"]["one thread"] / medians["threads"]["two threads, the longest"],
            "two processes": 2 * medians["threads"]["one thread"] / medians["threads"]["two processes"],
        },
        "delivery": {
            "clock": statistics.median(clock["engine to client"]) / statistics.median(clock["bare socket"]),
            "processor": sum(delivery[part] for part in ("worker", "server", "client")) / delivery["bare socket"],
        },
        "drawing": {
            f"{preset} to stock": seconds / medians["drawing"]["stock picture"]
            for preset, seconds in medians["drawing"].items()
            if preset != "stock picture"
        },
    }
    assert expected.keys() == said.keys()
    for name, ratios in expected.items():
        assert {row: said[name]["ratios"][row] for row in ratios} == pytest.approx(ratios, rel=2e-3)


def test_what_the_page_says_of_jobs_of_the_embedded_model_is_in_the_runs(counted, timed):
    said, medians = timed
    text = " ".join((ROOT / "docs" / "performance.md").read_text(encoding="utf-8").split())
    drawing, threads = said["drawing"]["ratios"], said["threads"]["ratios"]
    for preset in get_args(Preset):
        row = "`fast`, 4 steps" if preset == "fast" else preset
        stock, first, each = (drawing[f"{preset}{what}"] for what in (" to stock", ", first preview", ", each preview"))
        last = [cells for name, *cells in rows("docs/performance.md") if name.strip("`") == row.strip("`")][-1]
        assert last == [f"{stock:.1f}", f"{first:.2f}", f"{100 * each:.1f} %"]
    assert f"one thread; medians of {said['drawing']['runs']}:" in text
    one, longest, two = (
        f"{1e3 * medians['threads'][row]:.0f} ms" for row in ("one thread", "two threads, the longest", "two processes")
    )
    assert f"takes {one} in one thread, and {longest} in two: {threads['two threads']:.2f} times the speed" in text
    assert f"take {two} for a picture each, so that they draw {threads['two processes']:.1f} times as many" in text
    parts = {
        part: statistics.median(1e3 * run[part] for run in said["drawing"]["parts"]["fast"])
        for part in ("steps", "Shadow, Light", "previews", "decoding")
    }
    assert f"of the {1e3 * medians['drawing']['fast']:.0f} ms of such a job" in text
    for part, verb in zip(
        parts, ("are the steps", "are Shadow and Light", "are previews", "are decoding"), strict=True
    ):
        assert f"{parts[part]:.0f} {verb}" in text
    assert f"it takes {said['busy']['ratios']['beside to alone']:.2f} times its processor time without them" in text


def test_what_the_page_says_of_layers_on_their_way_is_in_the_runs(counted, timed):
    said, medians = timed
    text = " ".join((ROOT / "docs" / "performance.md").read_text(encoding="utf-8").split())
    names = {
        "worker": "the drawing process",
        "server": "the server",
        "client": "the client",
        "bare socket": "the bare bytes",
    }
    for part, name in names.items():
        assert counted[name][0] == f"{1e3 * medians['delivery'][part]:.1f}"
    assert f"a whole job takes {said['delivery']['ratios']['processor']:.0f} times the processor time" in text
    assert f"the command says, {said['delivery']['runs']} jobs" in text


def test_the_page_says_why_the_costs_beside_the_losses_are_higher(counted):
    spec = find_model("tiny").defaults
    text = " ".join((ROOT / "docs" / "performance.md").read_text(encoding="utf-8").split())
    assert f"but for the {spec.steps} steps of the embedded model" in text
    beside = counted["operations on SDXL, in stock pictures"]
    fast, own_steps = beside[3:5]  # after paper, exact and balanced
    assert float(own_steps) > float(counted["fast"][3]) and float(fast) > float(counted["4 steps, `fast`"][3])
    assert f"{own_steps} instead of {counted['fast'][3]} for `fast` without an adapter" in text
    assert f"{fast} instead of {counted['4 steps, `fast`'][3]} for 4 steps with one" in text


def test_the_weights_are_as_small_as_the_front_page_and_the_card_say():
    weights = ROOT / "engine" / "models" / "tiny" / "weights"
    size = sum(file.stat().st_size for file in weights.rglob("*") if file.is_file())
    assert size <= 30_000_000
    assert f"It has {size / 1e6:.0f} MB" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"The files have {size / 1e6:.1f} MB in all" in (weights.parent / "README.md").read_text(encoding="utf-8")


def test_the_front_page_says_how_bright_light_is_in_the_training_data():
    rng, outdoor = np.random.default_rng(0), next(iter(OUTDOOR))  # outdoors, the time of the day decides
    kinds = [(outdoor, time) for time in TIMES] + [(kind, "") for kind in INDOOR]
    brightest = max(max(draw_scene(rng, kind, time).light.tint) for kind, time in kinds)
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"makes an object more than {100 * (brightest - 1):.0f} % brighter" in text
