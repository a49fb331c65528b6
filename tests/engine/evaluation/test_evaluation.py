"""A complete evaluation with real weights, at half size and in two steps; the figures themselves do not matter here."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from layerfusion.engine.errors import InvalidRequest, UnreadableFile
from layerfusion.engine.evaluation import systems
from layerfusion.engine.evaluation.evaluation import Evaluation, Plan, quick
from layerfusion.engine.evaluation.items import prompt_set
from layerfusion.engine.evaluation.measures import alpha_of, pasted, soft_iou
from layerfusion.engine.evaluation.study import Study, read_drawing, write_drawing
from layerfusion.engine.models.catalog.registry import find_model

QUICK = quick(find_model("tiny"))
SPEC = replace(QUICK, defaults=replace(QUICK.defaults, steps=2))
PLAN = Plan(
    parts=("table", "background", "blending", "masks", "moving", "presets"), pairs=2, claim_pairs=1, stress_pairs=1
)


def evaluation(folder) -> Evaluation:
    return Evaluation(folder, SPEC, PLAN, SPEC.vocabulary, light_known=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study that was stopped after five drawings and then resumed and finished."""
    folder = tmp_path_factory.mktemp("study")
    stopped = evaluation(folder).draw()
    first = [next(stopped) for _ in range(5)]
    stopped.close()
    with (folder / "drawings.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"item": "item001", "vari')  # as a killed run leaves it
    rest = list(evaluation(folder).draw())
    assert [done.left for done in (*first, *rest)] == list(range(len(first) + len(rest) - 1, -1, -1))
    assert not {(done.item, done.variant) for done in first} & {(done.item, done.variant) for done in rest}
    return folder


def test_nothing_is_drawn_twice(folder):
    assert evaluation(folder).missing() == 0
    assert list(evaluation(folder).draw()) == []


def test_the_report_has_every_requested_part(folder):
    report = evaluation(folder).report()
    assert [section.key for section in report.sections] == [
        *("exactness", "consistency", "residue", "tone", "shadow", "masks"),
        *("background", "blending", "masks", "moving", "presets"),
    ]
    figures = json.loads(json.dumps(report.figures, allow_nan=False))
    assert figures["pairs"] == {"table": 2, "background": 1, "blending": 2, "masks": 1, "moving": 1, "presets": 1}
    exact = next(row for row in figures["table"]["exactness"]["rows"] if row["measure"].startswith("exact mode"))
    assert exact["figures"]["(4) LayerFusion"]["value"] <= 1
    kept = next(row for row in figures["table"]["exactness"]["rows"] if row["measure"].startswith("kept"))
    assert kept["holds"] is True
    moved = figures["table"]["moving"]["rows"]
    assert moved[0]["measure"].startswith("layers moved and kept") and moved[0]["holds"] is True
    assert len(moved) == 6
    assert report.charts is not None and report.pictures is not None
    lines = (folder / "items.jsonl").read_text().splitlines()
    assert len(lines) == 2 * 4
    assert {json.loads(line)["system"] for line in lines} == {system.name for system in systems.SYSTEMS}


def test_without_a_classifier_names_are_not_measured(folder):
    markdown = evaluation(folder).report().as_markdown()
    assert "| scene named correctly | not measured | not measured | not measured | not measured |" in markdown


def test_the_baselines_follow_their_definitions(folder):
    study, (item, *_) = Study(folder, SPEC), prompt_set(SPEC.vocabulary, 2)
    alone, sequential = study.drawing(item, systems.PASTED), study.drawing(item, systems.SEQUENTIAL)
    frozen, ours = study.drawing(item, systems.FROZEN), study.drawing(item, systems.LAYERFUSION)
    assert np.array_equal(alone.blended, pasted(alone.background, alone.foreground))
    assert np.array_equal(sequential.foreground, alone.foreground)
    assert not np.array_equal(sequential.blended, alone.blended)
    assert np.array_equal(frozen.foreground, alone.foreground)  # it saw nothing of the scene
    assert not np.array_equal(ours.blended, alone.blended)
    other = study.drawing(item, systems.OTHER_SEED)
    assert not np.array_equal(other.background, ours.background)
    assert ours.maps is not None
    assert ours.maps.soft.shape[0] == SPEC.defaults.steps


def test_claim_a_changes_one_thing_at_a_time(folder):
    study, (item, *_) = Study(folder, SPEC), prompt_set(SPEC.vocabulary, 2)
    ours, apart = study.drawing(item, systems.LAYERFUSION), study.drawing(item, systems.APART)
    seed, scene = study.drawing(item, systems.APART_OTHER_SEED), study.drawing(item, systems.APART_OTHER_SCENE)
    overlap = [soft_iou(alpha_of(apart.foreground), alpha_of(other.foreground)) for other in (ours, seed, scene)]
    assert overlap[0] < min(overlap[1:]), "the default shares its noise, these three have one of their own"
    assert not np.array_equal(seed.background, apart.background)
    assert not np.array_equal(scene.background, apart.background)


def test_another_models_drawings_are_not_mixed_in(folder):
    other = replace(SPEC, defaults=replace(SPEC.defaults, steps=4))
    with pytest.raises(InvalidRequest, match="another model"):
        Study(folder, other)


def test_a_report_without_drawings_is_refused(tmp_path):
    with pytest.raises(InvalidRequest, match="no completely drawn item"):
        evaluation(tmp_path / "new").report()
    assert not list(tmp_path.iterdir())


def test_a_damaged_drawing_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"hello")
    with pytest.raises(UnreadableFile, match=r"a\.png.*Delete the file"):
        read_drawing(tmp_path / "a.png")


def test_a_worker_process_draws_the_same_pixels(folder, tmp_path):
    """A pool starts a process for each waiting item; one new process that loads the model is enough here."""
    item, *_ = prompt_set(SPEC.vocabulary, 2)
    study, variants = Study(tmp_path, SPEC), (systems.FROZEN, systems.PASTED)
    assert len(list(study.draw([item], variants, workers=2))) == 2
    for variant in variants:
        assert np.array_equal(study.drawing(item, variant).blended, Study(folder, SPEC).drawing(item, variant).blended)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"parts": ()}, "No part is given"),
        ({"skip": -1}, "number of skipped pairs is -1"),
        ({"parts": ("x",)}, "x"),
        ({"pairs": 0}, "number of pairs is 0"),
    ],
)
def test_invalid_plans_are_refused(values, named):
    with pytest.raises(InvalidRequest, match=named):
        Plan(**values)


def test_a_drawing_is_read_as_it_was_written(tmp_path):
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (32, 32, 4), np.uint8) for _ in range(3)]
    maps = systems.Maps(*(rng.random((2, 4, 4), np.float32) for _ in range(6)))
    write_drawing(tmp_path / "a.png", systems.Drawing(*pictures, maps=maps))
    found = read_drawing(tmp_path / "a.png")
    assert np.array_equal(found.foreground, pictures[0])
    assert np.array_equal(found.blended, pictures[2])
    assert found.maps is not None
    assert np.array_equal(found.maps.soft, maps.soft)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (96, 32)
