"""The made pictures: always the same, of all kinds, with room to be moved, and unlike what the training draws."""

import ast
from pathlib import Path

import numpy as np
import pytest

from layerfusion.engine.evaluation import made_pictures
from layerfusion.engine.evaluation.made_cutouts import KINDS
from layerfusion.engine.evaluation.made_pictures import MOVED_BY, backdrop_prompt_of, made_picture, prompt_of
from layerfusion.engine.models.catalog.registry import find_model

SIDE = 64
NUMBERS = range(24)


@pytest.fixture(scope="module")
def pictures():
    return [made_picture(number, SIDE) for number in NUMBERS]


def test_a_picture_is_always_the_same_and_no_two_are_alike(pictures):
    for number, picture in enumerate(pictures[:4]):
        again = made_picture(number, SIDE)
        assert np.array_equal(picture.cutout, again.cutout) and np.array_equal(picture.backdrop, again.backdrop)
    assert len({picture.cutout.tobytes() for picture in pictures}) == len(pictures)
    assert len({picture.backdrop.tobytes() for picture in pictures}) == len(pictures)


def test_cutouts_are_whole_and_can_be_moved_to_the_right(pictures):
    for number, picture in enumerate(pictures):
        seen = picture.cutout[..., 3] > 12
        assert picture.cutout.shape == picture.backdrop.shape == (SIDE, SIDE, 4)
        assert (picture.backdrop[..., 3] == 255).all()
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        longer = max(np.ptp(rows), np.ptp(columns)) / SIDE
        assert 0.35 < longer < 0.62, number
        assert columns[0] > 0 and rows[0] > 0 and rows[-1] < SIDE - 1
        assert columns[-1] + round(MOVED_BY * SIDE) < SIDE, number


def test_one_kind_in_four_can_be_seen_through(pictures):
    clear = {number for number, picture in enumerate(pictures) if (picture.cutout[..., 3] > 242).mean() < 0.02}
    assert clear == {number for number in NUMBERS if number % len(KINDS) == 3}


def test_no_prompt_names_an_object_or_scene_of_the_embedded_model():
    known = {word for words in find_model("tiny").vocabulary.values() for word in words}
    prompts = {prompt_of(number) for number in NUMBERS}
    assert len(prompts) == len(NUMBERS)
    assert not (prompts | {backdrop_prompt_of(number) for number in NUMBERS}) & known


def test_they_share_no_code_with_the_data_for_training():
    folder = Path(made_pictures.__file__).parent
    for name in ("made_pictures", "made_cutouts", "made_paint"):
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        assert not {module for module in imported if "training" in module}
