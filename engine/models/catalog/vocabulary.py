"""Hints about prompt words that a model with a limited vocabulary does not know, with known phrases to use instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

from layerfusion.engine.notices import Sentence, sentence

_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an the and or of on in at with to by from for under over before behind beside near into its his her some "
        "one very front is are",
    )
)
"""Function words, which never count as unknown."""

_MIN_SIMILARITY = 0.75
"""Least similarity (difflib's ratio, 0-1) at which a word counts as a misspelling of another (our choice)."""

_MAX_LISTED = 3
"""Most unknown words that a hint names, and most known phrases that it suggests for each."""


def unknown_words(vocabulary: Mapping[str, Iterable[str]], prompt: str) -> list[str]:
    """The words of a prompt that no phrase of the vocabulary contains, in the prompt's order and without repetition.

    Function words such as `the` and plurals of known words count as known.

    Args:
        vocabulary: kind -> phrases, see `ModelSpec.vocabulary`. If it is empty, no word is unknown.
        prompt: the prompt.
    """
    known = _words(phrase for phrases in vocabulary.values() for phrase in phrases)
    if not known:
        return []
    found = dict.fromkeys(re.findall(r"[^\W\d_]+", prompt.lower()))
    return [word for word in found if word not in _COMMON and not {word, word.removesuffix("s")} & known]


def nearest(vocabulary: Mapping[str, Iterable[str]], related: Mapping[str, str], word: str) -> list[str]:
    """At most three known phrases to use in place of an unknown word; empty if none is similar.

    Phrases that `related` lists for the word come first, then phrases with a word that is spelt similarly.

    Args:
        vocabulary: kind -> phrases, see `ModelSpec.vocabulary`.
        related: known phrase -> unknown words, separated by spaces, for which it is a substitute.
        word: the unknown word, in lower case.
    """
    phrases = [phrase for phrases in vocabulary.values() for phrase in phrases]
    substitutes = [phrase for phrase, words in related.items() if {word, word.removesuffix("s")} & set(words.split())]
    similar = difflib.get_close_matches(word, _words(phrases) - _COMMON, n=1, cutoff=_MIN_SIMILARITY)
    respelt = [phrase for phrase in phrases for known in similar if known in phrase.split()]
    return list(dict.fromkeys([*substitutes, *respelt]))[:_MAX_LISTED]


def hint(
    vocabulary: Mapping[str, Iterable[str]], related: Mapping[str, str], prompts: Iterable[str]
) -> tuple[Sentence, ...]:
    """One sentence for each of the first three unknown words of the prompts; empty if there are none.

    See `nearest` for the arguments.
    """
    words = dict.fromkeys(word for prompt in prompts for word in unknown_words(vocabulary, prompt))
    return tuple(_sentence(word, nearest(vocabulary, related, word)) for word in list(words)[:_MAX_LISTED])


_BY_SUGGESTIONS = (
    "word_unknown",
    "word_unknown_one_like_it",
    "word_unknown_two_like_it",
    "word_unknown_three_like_it",
)
"""Number of suggestions -> name of the sentence: how a list is written differs between languages."""


def _sentence(word: str, suggestions: list[str]) -> Sentence:
    listed = dict(zip(("first", "second", "third"), suggestions, strict=False))
    return sentence(_BY_SUGGESTIONS[len(suggestions)], word=word, **listed)


def _words(phrases: Iterable[str]) -> set[str]:
    return {word for phrase in phrases for word in phrase.lower().split()}
