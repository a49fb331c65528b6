"""The cost of a job with SDXL's shapes. Each job is counted once for all tests of this file."""

import json
import re
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

from layerfusion.engine.evaluation import presets
from layerfusion.engine.evaluation.results import read_results
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.manifest import SDXL, spec_from_values
from layerfusion.engine.models.catalog.model_files import read_json
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.models.runtime.offloading import MemoryDemand, MemoryPolicy
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.profiling import cost_model
from layerfusion.engine.profiling.cost_model import CostModel
from layerfusion.server.cli.main import main

pytestmark = pytest.mark.timeout(300)

PAGE = Path(__file__).parents[3] / "docs" / "performance.md"


@pytest.fixture(scope="module")
def price():
    card = {**read_json(SDXL), "few_steps": None, "name": "sdxl", "checkpoint": "nowhere"}
    model = CostModel(spec_from_values(card, SDXL.parent), Size(1024, 1024))
    count, needs = cache(partial(model.job, "")), cache(model.policies)
    model.job = lambda name, *job: replace(count(*job), name=name)
    model.policies = lambda: [*needs()]
    return model


@pytest.fixture(scope="module")
def jobs(price):
    defaults = price._bundle.spec.defaults
    return {job.name: job for job in price.jobs(30, 7.0, defaults.fusion)}


@pytest.fixture(scope="module")
def policies(price):
    return {cost.policy: cost for cost in price.policies()}


def test_the_stock_pipeline_has_the_known_cost(jobs):
    """The known cost is 60 rows of 6.76 TFLOP and one decoding of 10.5 TFLOP."""
    stock = jobs["stock, one picture"]
    assert stock.sample_forwards == 60
    assert stock.flops == pytest.approx(416e12, rel=0.005)


@pytest.mark.parametrize(("preset", "rows"), [("paper", 7 * 30), ("exact", 6 * 30 + 1)])
def test_the_rows_of_a_preset(jobs, preset, rows):
    """A step has three streams in two guidance halves; a prior pass runs before every step or only the first."""
    assert jobs[preset].sample_forwards == rows


def test_the_jobs_keep_what_the_page_promises(jobs):
    """Their operations, divided by those of one stock picture."""
    stock = jobs["stock, one picture"].flops
    most = {
        "paper": 3.7,
        "exact": 3.15,
        "balanced": 1.6,
        "fast": 1.0,
        "4 steps, fast": 0.45,
        "new background, balanced": 1.0,
        "harmonise again, balanced": 0.5,
    }
    ratios = {name: jobs[name].flops / stock for name in most}
    assert all(ratios[name] <= limit for name, limit in most.items()), ratios
    assert ratios["paper"] > ratios["exact"] > ratios["balanced"] > ratios["fast"] > ratios["4 steps, fast"]


def test_policies_that_use_less_memory_need_less_and_name_a_card(policies):
    peaks = [policies[policy].peak for policy in MemoryPolicy]
    assert peaks == sorted(peaks, reverse=True)
    assert [policies[policy].card for policy in MemoryPolicy] == [10, 8, 6]


@pytest.mark.parametrize("policy", list(MemoryPolicy))
def test_the_estimate_by_which_a_policy_is_chosen_is_near_the_count(price, policies, policy):
    estimate = price._bundle.memory.needs(policy, MemoryDemand(rows=3, pixels=1024 * 1024))
    assert estimate == pytest.approx(policies[policy].peak, rel=0.1)


@pytest.fixture
def said(capsys, monkeypatch, price):
    """The output of the command."""
    monkeypatch.setattr("layerfusion.engine.profiling.cost_model.CostModel", lambda *_: price)
    assert main(["benchmark"]) == 0
    return capsys.readouterr().out


def test_the_command_prints_a_table(said):
    out = said
    assert out.startswith("SDXL at 1024x1024 px, 30 steps, 1 foreground")
    assert re.search(r"exact +\d+ +181 +181 +3\.\d\d +1\.\d\d", out)
    assert out.count("GB card") == 3


def test_the_page_agrees_with_the_command(said):
    """It has all figures of every job, including every preset, and of every memory policy."""
    page = PAGE.read_text(encoding="utf-8")
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    jobs = {name.replace("`", ""): figures for name, *figures in rows if len(figures) == 5 and figures[0].isdigit()}
    lines = [line for line in said.splitlines() if re.search(r"( +\d+){3}( +\d+\.\d\d){2}$", line)]
    assert jobs == {line[:32].strip(): line[32:].split() for line in lines}
    assert {"stock, one picture", "stock, three pictures", *get_args(Preset)} < jobs.keys()
    memory = {row[0]: row[2:] for row in rows if row[-1].endswith(" GB")}
    assert memory == {
        name: [peak, card]
        for name, peak, card in re.findall(
            r"memory (\w+) +([\d.]+ GiB) at its peak, half precision: (\d+ GB) card", said
        )
    }
    assert memory.keys() == {policy.value for policy in MemoryPolicy}


def test_the_costs_beside_the_losses_are_counted_alike(monkeypatch, price, jobs):
    """Of an SDXL model, those of the presets are the benchmark's; those on the page are the embedded model's."""
    monkeypatch.setattr(cost_model, "_of_sdxl", lambda: price)
    stock = jobs["stock, one picture"].flops
    counted = presets.costs(price._bundle.spec, cost_model.count_on_sdxl)
    for name in ("paper", "exact", "balanced", "fast"):
        assert counted[name] == pytest.approx(jobs[name].flops / stock)
    assert counted["exact"] > counted["deep_every 3"] > counted["balanced"] < counted["guidance_every 3"]
    (section,) = read_results(PAGE.with_name("performance-figures.json"), ("presets",))["presets"].sections
    shown = {n: f.value for n, f in next(r.figures for r in section.rows if r.measure == presets.COST).items()}
    assert shown.keys() == counted.keys()
    some = {name: presets._ALTERNATIVES[name] for name in ("exact", "fast", "fast, no adapter")}
    monkeypatch.setattr(presets, "_ALTERNATIVES", some)  # counting all of them would take long
    embedded = presets.costs(find_model("tiny"), cost_model.count_on_sdxl)
    assert {name: shown[name] for name in some} == pytest.approx(embedded, rel=0.001)


def test_json_and_chart(capsys, monkeypatch, tmp_path, price):
    monkeypatch.setattr("layerfusion.engine.profiling.cost_model.CostModel", lambda *_: price)
    chart = tmp_path / "costs.png"
    assert main(["benchmark", "--json", "--plot", str(chart)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["size"], told["steps"], told["foregrounds"]) == ([1024, 1024], 30, 1)
    exact = next(job for job in told["jobs"] if job["name"] == "exact")
    assert (exact["unet_rows"], exact["deep_rows"]) == (181, 181) and 3 < exact["to_stock"] < 3.2
    assert [one["policy"] for one in told["memory"]] == [policy.value for policy in MemoryPolicy]
    with Image.open(chart) as picture:
        assert picture.width > 600 and len(picture.convert("L").getcolors()) > 3
    before = chart.read_bytes()
    assert main(["benchmark", "--plot", str(chart)]) == 2
    assert "--overwrite" in capsys.readouterr().err and chart.read_bytes() == before


@pytest.mark.parametrize("given", [["--size", "10x10"], ["--foregrounds", "7"], ["--steps", "0"]])
def test_impossible_jobs_are_refused(capsys, given):
    assert main(["benchmark", *given]) == 2
    assert capsys.readouterr().err.count("\n") == 1
