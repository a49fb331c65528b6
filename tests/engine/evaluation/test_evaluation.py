"""A complete evaluation with real weights, at half size and in two steps; the figures themselves do not matter here."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from layerfusion.engine.editing import harmonise
from layerfusion.engine.errors import InvalidRequest, UnreadableFile
from layerfusion.engine.evaluation import systems
from layerfusion.engine.evaluation.evaluation import Evaluation, Plan, quick
from layerfusion.engine.evaluation.items import made_set, prompt_set
from layerfusion.engine.evaluation.kept import Shown
from layerfusion.engine.evaluation.made_pictures import MOVED_BY
from layerfusion.engine.evaluation.measures import alpha_of, pasted, soft_iou
from layerfusion.engine.evaluation.study import Study, read_drawing, write_drawing
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.stack import LayerStack

QUICK = quick(find_model("tiny"))
assert QUICK.few_step_adapter is not None
SPEC = replace(QUICK, native_size=64, few_step_adapter=replace(QUICK.few_step_adapter, steps=2))
PLAN = Plan(
    parts=("table", "background", "blending", "masks", "moving", "presets", "kept"),
    pairs=2,
    claim_pairs=1,
    stress_pairs=1,
    kept_pairs=1,
)


def evaluation(folder, plan=PLAN) -> Evaluation:
    return Evaluation(folder, SPEC, plan, SPEC.vocabulary, count=lambda steps, *_: float(steps), light_known=True)


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
        *("kept_vocabulary", "kept_others"),
    ]
    figures = json.loads(json.dumps(report.figures, allow_nan=False))
    pairs = {part: result["pairs"] for part, result in figures["parts"].items()}
    assert pairs == {"table": 2, "background": 1, "blending": 2, "masks": 1, "moving": 1, "presets": 1, "kept": 1}
    exactness = figures["parts"]["table"]["sections"][0]["rows"]
    exact = next(row for row in exactness if row["measure"].startswith("exact mode"))
    assert exact["figures"]["(4) LayerFusion"]["value"] <= 1
    kept = next(row for row in exactness if row["measure"].startswith("kept"))
    assert kept["holds"] is True
    moved = figures["parts"]["moving"]["sections"][0]["rows"]
    assert moved[0]["measure"].startswith("layers moved and kept") and moved[0]["holds"] is True
    assert len(moved) == 6
    assert report.pictures.keys() == {"charts", "losses", "pictures", "kept"}
    assert len(report.sheets) == 8
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
    assert ours.maps.soft.shape[0] == SPEC.usual.steps


def test_claim_a_changes_one_thing_at_a_time(folder):
    study, (item, *_) = Study(folder, SPEC), prompt_set(SPEC.vocabulary, 2)
    ours, apart = study.drawing(item, systems.LAYERFUSION), study.drawing(item, systems.APART)
    seed, scene = study.drawing(item, systems.APART_OTHER_SEED), study.drawing(item, systems.APART_OTHER_SCENE)
    overlap = [soft_iou(alpha_of(apart.foreground), alpha_of(other.foreground)) for other in (ours, seed, scene)]
    assert overlap[0] < min(overlap[1:]), "the default shares its noise, these three have one of their own"
    assert not np.array_equal(seed.background, apart.background)
    assert not np.array_equal(scene.background, apart.background)


def test_kept_layers_come_back_and_their_shadow_and_light_are_the_pipelines(folder):
    study, (item,) = Study(folder, SPEC), made_set(SPEC.vocabulary, 1)
    for section in evaluation(folder).report().sections[-2:]:
        kept_bytes = section.rows[0]
        assert kept_bytes.measure.startswith("kept layers") and kept_bytes.holds is True
        assert {"kept", "harmonised", "moved"} == kept_bytes.figures.keys()
    made, harmonised = study.drawing(item, systems.MADE), study.drawing(item, systems.MADE_HARMONISED)
    assert np.array_equal(made.foreground, harmonised.foreground)
    moved = study.drawing(item, systems.MADE_MOVED)
    step = round(MOVED_BY * made.background.shape[1])
    assert np.array_equal(np.roll(made.foreground, step, axis=1), moved.foreground)
    layers = [
        Layer(name=role.value, role=role, pixels=pixels)
        for role, pixels in ((Role.BACKGROUND, made.background), (Role.FOREGROUND, made.foreground))
    ]
    stack = LayerStack(name="", size=layers[0].size, layers=tuple(layers))
    prompts = (item.object, systems.scene_of(item, systems.MADE_HARMONISED))
    *_, last = LayerFusionPipeline(SPEC).generate(harmonise(stack, layers[1], prompts, seed=item.seed))
    shown = Shown.of(harmonised)
    assert np.array_equal(last.stack["blended"].pixels, harmonised.blended)
    assert np.array_equal(last.stack["shadow"].pixels, shown.shadow)
    assert np.array_equal(last.stack["light"].pixels, shown.light)


def test_a_run_of_some_parts_keeps_the_results_of_the_others(folder):
    whole = evaluation(folder).report()
    path = Study(folder, SPEC).write("results.json", json.dumps(whole.figures).encode())
    try:
        some = evaluation(folder, replace(PLAN, parts=("moving",))).report()
        assert some.as_markdown() == whole.as_markdown()
        assert some.figures["parts"].keys() == whole.figures["parts"].keys()
        assert some.pictures.keys() == {"charts", "losses", "pictures"}  # those of kept layers are of an earlier run
        fewer = json.loads(path.read_text())
        fewer["parts"] = {"blending": fewer["parts"]["blending"]}
        path.write_text(json.dumps(fewer))
        assert list(evaluation(folder, replace(PLAN, parts=("moving",))).report().figures["parts"]) == [
            "blending",
            "moving",
        ]
        path.write_text('{"parts": {"table": {"pairs": 2}}}')
        with pytest.raises(UnreadableFile, match=r"results\.json.*Move it away"):
            evaluation(folder).report()
    finally:
        path.unlink()


def test_skipped_items_are_others_and_have_result_files_of_their_own(tmp_path):
    plan = Plan(parts=("kept",), kept_pairs=2, skip=3)
    wanted = {item.name for item, _ in evaluation(tmp_path, plan).wanted()}
    assert wanted == {"item003", "item004", "made003", "made004"}
    assert plan.file("results.json") == "results-from-3.json"
    assert PLAN.file("results.json") == "results.json"


def test_a_variant_with_the_models_own_settings_is_not_drawn_again(folder):
    study, (item, *_) = Study(folder, SPEC), prompt_set(SPEC.vocabulary, 2)
    own = SPEC.defaults.fusion
    same = systems.Variant("again", {"decision_boundary": own.decision_boundary, "mixture": own.values()["mixture"]})
    assert systems.same_as_own(same, own)
    assert study.has(item, same)
    drawn = systems.ItemDrawer(SPEC).draw(item, same, {})
    assert np.array_equal(study.drawing(item, same).blended, drawn.blended)
    assert study.missing([item], (same, systems.LAYERFUSION)) == 0
    for other in (systems.FROZEN, systems.KEPT, systems.OTHER_SEED, systems.Variant("p", preset="paper")):
        assert not systems.same_as_own(other, own)
    assert not systems.same_as_own(systems.Variant("d", {"decision_boundary": own.decision_boundary + 1}), own)


def test_drawings_are_forgotten_when_the_program_has_changed(folder, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    plan = replace(PLAN, parts=("blending",))
    assert evaluation(again, plan).forget() == 4
    assert evaluation(again, plan).missing() == 4
    assert evaluation(again, replace(PLAN, parts=("presets",))).missing() == 0


def test_another_models_drawings_are_not_mixed_in(folder):
    for other in (
        replace(SPEC, defaults=replace(SPEC.defaults, steps=4)),
        replace(SPEC, few_step_adapter=QUICK.few_step_adapter),
    ):
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
