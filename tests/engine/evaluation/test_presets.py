"""What the presets cost and lose: which of them are on the Pareto front, and what is said of `balanced`."""

import numpy as np
import pytest

from layerfusion.engine.evaluation import presets
from layerfusion.engine.evaluation.rows import Row, Section, certain
from layerfusion.engine.evaluation.statistics import Estimate, estimate
from layerfusion.engine.evaluation.trade_off import TradeOff, draw_trade_offs, front
from layerfusion.engine.models.catalog.registry import find_model


def panel(points, *, more):
    return TradeOff("a quality", "a cost", {n: (c, certain(q, 3)) for n, (c, q) in points.items()}, more)


POINTS = {"dear": (3, 30), "middle": (2, 31), "cheap": (1, 20), "as cheap and worse": (1, 19), "dearest": (4, 31)}


def test_the_front_has_what_nothing_beats_in_both():
    assert front(panel(POINTS, more=True)) == ["cheap", "middle"]
    assert front(panel(POINTS, more=False)) == ["as cheap and worse"]


def test_a_chart_shows_every_point_and_the_front_in_its_own_colour():
    picture = np.asarray(draw_trade_offs([panel(POINTS, more=True), panel(POINTS, more=False)]))
    left, right = np.split(picture, 2, axis=1)
    assert not np.array_equal(left, right)
    for half in (left, right):
        blue, grey = ((half == ink).all(axis=-1).sum() for ink in ((31, 87, 158), (150, 150, 150)))
        assert blue > 30 and grey > 60


def test_a_chart_of_equal_values_can_be_drawn():
    assert draw_trade_offs([panel({"a": (1, 5), "b": (1, 5)}, more=True)]).size == (1120, 340)


@pytest.mark.parametrize(
    ("ours", "more", "holds"),
    [(0.9, True, True), (0.5, True, False), (3.0, True, True), (0.5, False, True), (3.0, False, False)],
)
def test_balanced_is_judged_by_the_interval_of_exact(ours, more, holds):
    values = {"exact": [0.8, 1.0, 1.2], "balanced": [ours] * 3}
    row, change = presets._judged("a measure", values, more)
    assert row.holds is holds
    assert change.figures.keys() == {"balanced"}
    assert change.figures["balanced"].value == pytest.approx(ours - 1)


def test_what_could_not_be_measured_is_not_judged():
    row, _ = presets._judged("a measure", {"exact": [np.nan], "balanced": [1.0]}, more=True)
    assert row.holds is None and row.verdict == "not measured"


def test_a_job_is_counted_as_it_is_drawn():
    """`fast` has the steps and the guidance of the model's adapter, and all others the model's own."""
    spec = find_model("tiny")
    asked = {}
    presets.costs(spec, lambda steps, scale, settings, usual: asked.setdefault((settings, steps, scale), usual) and 1.0)
    jobs = {(steps, scale) for _, steps, scale in asked}
    adapter, own = spec.few_step_adapter, spec.defaults
    assert jobs == {(own.steps, own.guidance_scale), (adapter.steps, adapter.guidance_scale)}
    assert set(asked.values()) == {(own.steps, own.guidance_scale)}
    assert len(asked) == len(presets._ALTERNATIVES)


def test_panels_are_left_out_that_have_nothing_to_show():
    names = ("exact", "balanced")
    known = {name: Estimate(1.0, 0.5, 1.5, 4) for name in names}
    consistency = next(row for row, (metric, _) in presets._BETTER.items() if metric == "psnr")
    rows = [Row(presets.COST, known)]
    rows += [Row(row, known if row == consistency else dict.fromkeys(names, estimate([]))) for row in presets._BETTER]
    panels = presets.trade_offs(Section("presets", "", names, rows))
    assert [panel.title.splitlines()[0] for panel in panels] == ["Layer consistency, dB"]
    assert panels[0].points == {name: (1.0, known[name]) for name in names}
