"""The cost of a job with SDXL's shapes. It is counted once for all tests of this file."""

import re
from pathlib import Path
from typing import get_args

import pytest

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.manifest import SDXL, spec_from_values
from layerfusion.engine.models.catalog.model_files import read_json
from layerfusion.engine.models.runtime.offloading import MemoryDemand, MemoryPolicy
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.profiling.cost_model import CostModel
from layerfusion.server.cli.main import main

pytestmark = pytest.mark.timeout(300)

PAGE = Path(__file__).parents[3] / "docs" / "performance.md"


@pytest.fixture(scope="module")
def price():
    card = {**read_json(SDXL), "few_steps": None, "name": "sdxl", "checkpoint": "nowhere"}
    return CostModel(spec_from_values(card, SDXL.parent), Size(1024, 1024))


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


def test_presets_get_cheaper_and_each_is_compared_fairly(jobs):
    stock = jobs["stock, one picture"].flops
    ratios = [jobs[name].flops / stock for name in ("paper", "exact", "balanced", "fast")]
    assert ratios == sorted(ratios, reverse=True)
    assert 3.5 < ratios[0] < 4.2
    assert 3.0 < ratios[1] < 3.6
    assert all(2.9 < jobs[name].flops / jobs[name].stock_flops < 4.2 for name in ("paper", "exact", "balanced", "fast"))


def test_policies_that_use_less_memory_need_less_and_name_a_card(policies):
    peaks = [policies[policy].peak for policy in MemoryPolicy]
    assert peaks == sorted(peaks, reverse=True)
    assert [policies[policy].card for policy in MemoryPolicy] == [12, 8, 8]


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
    assert re.search(r"exact +\d+ +181 +3\.\d\d +1\.\d\d +3\.\d\d", out)
    assert out.count("GB card") == 3


def test_the_page_agrees_with_the_command(said):
    """It has all figures of every job, including every preset, and of every memory policy."""
    page = PAGE.read_text(encoding="utf-8")
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    jobs = {name: figures for name, *figures in rows if len(figures) == 5 and figures[0].isdigit()}
    assert jobs == {line[:28].strip(): line[28:].split() for line in said.splitlines()[2:8]}
    assert {"stock, one picture", "stock, three pictures", *get_args(Preset)} == jobs.keys()
    memory = {row[0]: row[2:] for row in rows if row[-1].endswith(" GB")}
    assert memory == {
        name: [peak, card]
        for name, peak, card in re.findall(
            r"memory (\w+) +([\d.]+ GiB) at its peak, half precision: (\d+ GB) card", said
        )
    }
    assert memory.keys() == {policy.value for policy in MemoryPolicy}


@pytest.mark.parametrize("given", [["--size", "10x10"], ["--foregrounds", "7"], ["--steps", "0"]])
def test_impossible_jobs_are_refused(capsys, given):
    assert main(["benchmark", *given]) == 2
    assert capsys.readouterr().err.count("\n") == 1
