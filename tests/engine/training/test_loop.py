"""The training loop: it can be interrupted and resumed at any moment with bit-equal results."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.training import loop
from layerfusion.engine.training.loop import Stage
from layerfusion.engine.training.optimisers import Muon, optimisers_for


class Regression(Stage):
    """A small problem: find A in y = x A."""

    name = "regression"

    def __init__(self, clock, fails_at=None):
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
        self.optimisers = optimisers_for(self.network, lr=1e-2)
        self.device = torch.device("cpu")
        self._clock, self._fails_at, self._steps = clock, fails_at, 0
        self._truth = torch.randn(6, 3, generator=torch.Generator().manual_seed(9))

    def loss(self, rng, generator):
        self._steps += 1
        self._clock.now += 1
        if self._steps == self._fails_at:
            raise KeyboardInterrupt
        x = torch.from_numpy(rng.normal(size=(16, 6)).astype(np.float32))
        noise = 0.01 * torch.randn((16, 3), generator=generator)
        loss = (self.network(x) - torch.tanh(x @ self._truth) - noise).square().mean()
        return loss, {"half": float(loss.detach()) / 2}, 16

    def sheet(self):
        return Image.new("RGB", (4, 4))


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances one second per step, so that a run's duration is a number of steps."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.mark.parametrize("stopped_at", [2, 31, 60])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, clock, stopped_at):
    whole = Regression(clock)
    through = loop.run(whole, tmp_path / "whole", minutes=1.5)
    with pytest.raises(KeyboardInterrupt):
        loop.run(Regression(clock, fails_at=stopped_at), tmp_path / "parts", minutes=1.5)
    resumed = Regression(clock)
    progress = loop.run(resumed, tmp_path / "parts", minutes=1.5)
    assert (progress.step, progress.samples) == (through.step, through.samples)
    for key, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[key], value, rtol=0, atol=0)


def test_it_learns_and_leaves_a_log_a_curve_and_a_sheet(tmp_path, clock):
    loop.run(Regression(clock), tmp_path, minutes=8)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.3 * lines[0]["loss"]
    assert lines[-1]["half"] == pytest.approx(lines[-1]["loss"] / 2, abs=1e-4)
    assert Image.open(tmp_path / "curve.png").width > 100
    assert list(tmp_path.glob("sheet-*.png"))


def test_a_finished_stage_is_not_trained_again(tmp_path, clock):
    first = loop.run(Regression(clock), tmp_path, minutes=1)
    stage = Regression(clock)
    assert loop.run(stage, tmp_path, minutes=1).step == first.step
    assert stage._steps == 0


def test_muon_takes_steps_with_equal_singular_values():
    weight = nn.Parameter(torch.randn(12, 20, generator=torch.Generator().manual_seed(1)))
    before = weight.detach().clone()
    muon = Muon([weight], lr=0.1, weight_decay=0)
    weight.grad = torch.randn(12, 20, generator=torch.Generator().manual_seed(2))
    muon.step()
    values = torch.linalg.svdvals((before - weight.detach()) / 0.1)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_embeddings_norms_and_outer_layers_are_trained_by_adam():
    network = nn.ModuleDict({"conv_in": nn.Conv2d(4, 8, 3), "block": nn.Conv2d(8, 8, 3), "embed": nn.Embedding(5, 8)})
    adam, muon = optimisers_for(network, lr=1e-3)
    assert sum(p.numel() for group in muon.param_groups for p in group["params"]) == network["block"].weight.numel()  # pyright: ignore[reportCallIssue]
    assert {group["base_lr"] for group in (*adam.param_groups, *muon.param_groups)} == {1e-3, 1e-2}
    slow = optimisers_for(network, lr=1e-3, share=lambda name: 0.1 if name.startswith("conv_in") else 1.0)
    rates = {id(p): group["base_lr"] for one in slow for group in one.param_groups for p in group["params"]}
    assert rates[id(network["conv_in"].weight)] == pytest.approx(1e-4)
    assert rates[id(network["block"].weight)] == pytest.approx(1e-2)


def test_a_loss_that_is_no_number_is_named_and_spoils_no_checkpoint(tmp_path, clock, monkeypatch):
    loop.run(Regression(clock), tmp_path, minutes=1)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    stage = Regression(clock)
    monkeypatch.setattr(stage, "loss", lambda rng, generator: (torch.tensor(float("nan")), {}, 1))
    with pytest.raises(InvalidRequest, match=r"loss of stage “.*” is nan.*--rate"):
        loop.run(stage, tmp_path, minutes=2)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
