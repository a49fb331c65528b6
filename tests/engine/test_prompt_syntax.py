import pytest

from layerfusion.engine.prompt_syntax import LoraTag, Span, closed, literal, parse


def weights(prompt):
    return [(span.text.strip(), round(span.weight, 4)) for span in parse(prompt).spans]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a red apple, on a table", [("a red apple, on a table", 1.0)]),
        ("a (red) apple", [("a", 1.0), ("red", 1.1), ("apple", 1.0)]),
        ("a ((red)) apple", [("a", 1.0), ("red", 1.21), ("apple", 1.0)]),
        ("a (red:1.3) apple", [("a", 1.0), ("red", 1.3), ("apple", 1.0)]),
        ("(a (red:0.5) apple:1.2)", [("a", 1.2), ("red", 0.6), ("apple", 1.2)]),
        ("[apple]", [("apple", 0.9091)]),
        ("[[apple]] pie", [("apple", 0.8264), ("pie", 1.0)]),
        (r"a \(red\) apple \\ \[x\]", [("a (red) apple \\ [x]", 1.0)]),
        ("an (unclosed apple", [("an", 1.0), ("unclosed apple", 1.1)]),
        ("a closing) bracket]", [("a closing) bracket]", 1.0)]),
        ("time 10:30 (x: 1.5)", [("time 10:30", 1.0), ("x", 1.5)]),
        ("(apple:.5)", [("apple", 0.5)]),
        ("(apple:-1)", [("apple", -1.0)]),
        ("(apple:99)", [("apple", 10.0)]),
        ("(((", []),
        ("", [("", 1.0)]),
        ("()", []),
        ("a smile :)", [("a smile :)", 1.0)]),
        ("BREAKFAST AND BEANS", [("BREAKFAST , BEANS", 1.0)]),
    ],
)
def test_brackets_give_weights(prompt, expected):
    assert weights(prompt) == expected


def test_break_begins_a_new_chunk():
    spans = parse("a red apple BREAK on a (wooden) table BREAK").spans
    assert [(span.text.strip(), span.breaks) for span in spans] == [
        ("a red apple", True),
        ("on a", False),
        ("wooden", False),
        ("table", True),
    ]


def test_tags_leave_the_text():
    found = parse("a cat <lora:ink wash:0.8>, <lora:b> <LORA:c:0.5:0.7> <lora:d:x> <hypernet:e:1>")
    assert found.loras == (LoraTag("ink wash", 0.8), LoraTag("b", 1.0), LoraTag("c", 0.5))
    assert found.ignored == ("<lora:d:x>", "<hypernet:e:1>")
    assert found.text == "a cat,"


def test_textual_inversions_are_named():
    spans = parse("a cat, (embedding:my-style:1.2), embedding:other").spans
    assert [span for span in spans if span.embedding] == [
        Span("my-style", 1.2, embedding=True),
        Span("other", 1.0, embedding=True),
    ]


@pytest.mark.parametrize(
    ("prompt", "text", "ignored"),
    [
        ("a [cat:dog:0.5] here", "a dog here", "[cat:dog:0.5]"),
        ("a [cat:0.5] here", "a cat here", "[cat:0.5]"),
        ("a [cat::0.5] here", "a cat here", "[cat::0.5]"),
        ("a [cat|dog] here", "a cat here", "[cat|dog]"),
        ("a cat AND a dog", "a cat, a dog", "AND"),
    ],
)
def test_what_changes_during_the_steps_is_ignored_and_said(prompt, text, ignored):
    found = parse(prompt)
    assert (found.text, found.ignored) == (text, (ignored,))


def test_literal_text_has_no_syntax():
    found = literal("a (red:1.3) [x] <lora:y:1> BREAK")
    assert found.is_plain and found.text == "a (red:1.3) [x] <lora:y:1> BREAK"
    assert not parse("a (cat)").is_plain
    assert parse("a cat").is_plain


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [("a (cat", "a (cat)"), ("[a (b", "[a (b)]"), ("(a:1.2)", "(a:1.2)"), (r"a \( b", r"a \( b"), ("a)", "a)")],
)
def test_a_prompt_is_closed_before_it_stands_in_another(prompt, expected):
    assert closed(prompt) == expected


def test_reading_takes_time_in_proportion_to_the_length():
    for text in ("(" * 2000, "[a:" * 600, "<lora:" * 300, "embedding:a " * 160, "[a|" * 600, ":1" * 1000):
        parse(text)
