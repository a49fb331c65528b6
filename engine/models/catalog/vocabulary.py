"""What a model of few words says about words it was never shown: which ones, and what lies nearest."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an the and or of on in at with to by from for under over before behind beside near into its his her some "
        "one very front is are",
    )
)
"""What everybody says; no model need be shown it."""

_SPELLING = 0.75
"""How alike two words must be, as difflib measures it, for one to be taken for a slip of the other."""

_LISTED = 3


def unknown_words(vocabulary: Mapping[str, Iterable[str]], prompt: str) -> list[str]:
    """The words of a prompt that no phrase of the vocabulary has, in their order; everybody's words such as `the` and
    plurals of known words count as known.

    Args:
        vocabulary: kind -> phrases, as `ModelSpec.vocabulary`; empty: nothing is unknown.
    """
    known = _words(phrase for phrases in vocabulary.values() for phrase in phrases)
    if not known:
        return []
    found = dict.fromkeys(re.findall(r"[^\W\d_]+", prompt.lower()))
    return [word for word in found if word not in _COMMON and not {word, word.removesuffix("s")} & known]


def nearest(vocabulary: Mapping[str, Iterable[str]], related: Mapping[str, str], word: str) -> list[str]:
    """Known phrases for a word that is not known, the likeliest first; empty if nothing is near.

    Args:
        related: known phrase -> words it can stand for, parted by spaces.
    """
    phrases = [phrase for phrases in vocabulary.values() for phrase in phrases]
    meant = [phrase for phrase, words in related.items() if {word, word.removesuffix("s")} & set(words.split())]
    slips = difflib.get_close_matches(word, _words(phrases) - _COMMON, n=1, cutoff=_SPELLING)
    spelt = [phrase for phrase in phrases for slip in slips if slip in phrase.split()]
    return list(dict.fromkeys([*meant, *spelt]))[:_LISTED]


def hint(vocabulary: Mapping[str, Iterable[str]], related: Mapping[str, str], prompts: Iterable[str]) -> str:
    """One sentence a prompt's unknown words, with what the model knows instead; empty if it knows them all."""
    words = dict.fromkeys(word for prompt in prompts for word in unknown_words(vocabulary, prompt))
    return " ".join(_sentence(word, nearest(vocabulary, related, word)) for word in list(words)[:_LISTED])


def _sentence(word: str, near: list[str]) -> str:
    if not near:
        return f"“{word}” is not among the words this model knows."
    listed = " or ".join(f"“{phrase}”" for phrase in near)
    return f"“{word}” is not among the words this model knows; near it: {listed}."


def _words(phrases: Iterable[str]) -> set[str]:
    return {word for phrase in phrases for word in phrase.lower().split()}
