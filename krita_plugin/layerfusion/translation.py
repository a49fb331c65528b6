"""Texts in the artist's language. The English text is the key, and the tables are in the folder `translations`.

What the server says in words stays English, except for what the protocol names, such as a stage or a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

TABLES = Path(__file__).with_name("translations")
"""The folder with `<language>.json`: an object whose keys are the English texts."""

LANGUAGES = {"en": "English", "de": "Deutsch", "zh_CN": "简体中文", "ja": "日本語"}
"""Code of each language -> its own name for itself."""

_current = {"language": "en"}
"""One for the whole of Krita, as its own language is: a text need not know who asks for it."""


def use(language: str) -> None:
    """Show texts in this language of `LANGUAGES` from now on. Texts that are shown already stay what they are."""
    if language not in LANGUAGES:
        raise ValueError(f"{language!r} is none of the languages {', '.join(LANGUAGES)}")
    _current["language"] = language


def current() -> str:
    """The language in which texts are shown."""
    return _current["language"]


def best(preferred: Iterable[str]) -> str:
    """The first of the languages that somebody prefers, in the form “de” or “zh-Hans-CN”, for which there is a table.

    English if there is none. Traditional Chinese is not served with the simplified one.
    """
    for code in preferred:
        language, *others = code.replace("_", "-").split("-")
        if language == "zh" and {"TW", "HK", "MO", "Hant"}.isdisjoint(others):
            return "zh_CN"
        if language in LANGUAGES:
            return language
    return "en"


def mark(text: str) -> str:
    """The text itself. It says that a constant is shown to the artist, who gets `tr` of it."""
    return text


def tr(text: str, /, **values: object) -> str:
    """A text in the artist's language; English if the table does not have it.

    Args:
        text: the English text.
        values: what takes the places of the `{names}` in it.
    """
    words = _table(_current["language"]).get(text, text)
    return words.format(**values) if values else words


def plural(number: int, one: str, many: str, **values: object) -> str:
    """One of two texts with a number, which is `{number}` in them. Languages without a plural have one text twice."""
    return tr(one if number == 1 else many, number=number, **values)


def joined(sentences: Iterable[str]) -> str:
    """Sentences one after the other; those that are empty are left out. Chinese and Japanese have no spaces between."""
    text = ""
    for sentence in filter(None, sentences):
        text += sentence if not text or text.endswith("。") else f" {sentence}"
    return text


def everywhere(text: str) -> frozenset[str]:
    """A text in all languages: a document may have been made in another one."""
    return frozenset(_table(language).get(text, text) for language in LANGUAGES)


@cache
def _table(language: str) -> dict[str, str]:
    return {} if language == "en" else json.loads((TABLES / f"{language}.json").read_text("utf-8"))
