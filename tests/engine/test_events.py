from typing import get_args

import pytest

from layerfusion.engine.events import STAGES, Notice, Progress, Stage


def test_every_stage_has_its_words():
    assert tuple(STAGES) == get_args(Stage)


@pytest.mark.parametrize(("text", "words"), [("", "reading the prompts"), ("lecture des textes", "lecture des textes")])
def test_progress_carries_words_beside_its_code(text, words):
    assert Progress(stage="reading_prompts", step=0, total=1, text=text).text == words


def test_a_stage_of_a_newer_engine_is_its_own_words():
    assert Progress(stage="dreaming", step=0, total=1).text == "dreaming"


def test_the_same_notice_is_one():
    assert len({Notice(code="demo_model", text="small"), Notice(code="demo_model", text="small")}) == 1
