"""The sentences of notices: each is in one table, is said by the engine, and gets the values that it names."""

import ast
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from layerfusion import engine, server
from layerfusion.engine import notices
from layerfusion.engine.notices import SENTENCES, Notice, NoticeCode, Sentence, sentence, value_names

ENGINE, SERVER = (Path(package.__path__[0]) for package in (engine, server))


@cache
def sources():
    """The parsed modules of engine and server that make notices."""
    texts = {path: path.read_text("utf-8") for folder in (ENGINE, SERVER) for path in sorted(folder.rglob("*.py"))}
    return {path: ast.parse(text) for path, text in texts.items() if f"from {notices.__name__} import" in text}


def calls(function):
    """The calls of a function: (module, call)."""
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
                yield path, node


def test_notices_that_are_sent_consist_of_sentences():
    """The command line's own are printed where they are made; `translate` passes on what a server says."""
    made = [(path, call) for path, call in calls("Notice") if path != SERVER / "translate.py"]
    assert len(made) > 10
    for path, call in [each for each in made if SERVER / "cli" not in each[0].parents]:
        assert {keyword.arg for keyword in call.keywords} == {"code", "sentences"}, f"{path.name}:{call.lineno}"


def test_each_kind_of_notice_is_made_somewhere():
    codes = {
        keyword.value.value
        for _, call in calls("Notice")
        for keyword in call.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
    }
    assert codes == set(get_args(NoticeCode))


def test_each_sentence_is_said_somewhere():
    constants = {node.value for tree in sources().values() for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert set(SENTENCES) - constants == set()


def test_each_sentence_gets_the_values_that_it_names():
    found = [call for _, call in calls("sentence")]
    assert len(found) > 15
    for call in found:
        given = {keyword.arg for keyword in call.keywords}
        names = [node.value for node in ast.walk(call.args[0]) if isinstance(node, ast.Constant)]
        for name in names if isinstance(call.args[0], (ast.Constant, ast.IfExp)) else []:
            assert value_names(SENTENCES[name]) == given, name


def test_a_notice_is_its_sentences_in_english():
    notice = Notice(
        code="prompt_part_ignored",
        sentences=(sentence("lora_left_out", name="{x}"), sentence("reason", reason="It is for Flux.")),
    )
    assert notice.text == "The LoRA “{x}” was left out. Reason: It is for Flux."
    assert notice in {Notice(code=notice.code, sentences=notice.sentences)}


@pytest.mark.parametrize("wrong", [Sentence("no_such"), sentence("reason"), sentence("reason", reason=1, more=2)])
def test_a_sentence_that_is_not_in_the_table_or_has_other_values_is_a_mistake(wrong):
    with pytest.raises(ValueError, match=wrong.name):
        Notice(code="demo_model", sentences=(wrong,))


def test_what_a_newer_server_says_is_taken_as_it_is():
    assert Notice(code="demo_model", sentences=(Sentence("no_such"),), text="Words.").text == "Words."
