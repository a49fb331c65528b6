from typing import get_args

import pytest

from layerfusion.engine.events import STAGES, Progress, Stage


def test_every_stage_has_a_text():
    assert tuple(STAGES) == get_args(Stage)


@pytest.mark.parametrize(("text", "words"), [("", "reading the prompts"), ("lecture des textes", "lecture des textes")])
def test_progress_has_a_text_beside_its_code(text, words):
    assert Progress(stage="reading_prompts", step=0, total=1, text=text).text == words


def test_an_unknown_stage_is_shown_by_its_code():
    assert Progress(stage="dreaming", step=0, total=1).text == "dreaming"
