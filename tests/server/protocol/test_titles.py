"""Titles of jobs, and the prompts that are read back from them where they are whole."""

import pytest

from layerfusion.server.protocol.titles import PROMPT, TITLE, prompts_in, shortened, title


def test_a_title_is_one_line_of_shortened_prompts():
    assert title(["a  red\napple", "a beach"]) == "a red apple + a beach"
    assert title(["", ""]) == " + "
    assert title([]) == title([""]) == "-"
    assert len(title(["x" * 100] * 7)) == TITLE


def test_a_long_prompt_ends_with_an_ellipsis():
    long = "a very red apple on a table in the garden of my aunt"
    assert len(shortened(long)) <= PROMPT and shortened(long).endswith("…")
    assert shortened("x" * PROMPT) == "x" * PROMPT


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("a red apple + a beach", ("a red apple", "a beach")),
        ("a cat + a dog + a park", ("a cat", "a dog", "a park")),
        ("a red apple", ()),
        ("a very red apple on a table in the g… + a beach", ()),
        (" + a beach", ()),
        ("x + " * 70, ()),
    ],
)
def test_prompts_are_read_from_a_title_only_if_they_are_whole(text, prompts):
    assert prompts_in(text) == prompts
