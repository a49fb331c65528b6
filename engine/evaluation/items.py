"""What is drawn: a fixed set of pairs, made of the words the embedded model knows.

Item i (from 0) shows object i mod n before scene i·s mod m, with seed 1000 + i. n and m are the numbers of objects and
scenes in the order of the model card; s is the whole number next to 0.618 m that has no factor in common with m: any
beginning of the set goes round all objects, and over the scenes evenly. Nothing is drawn by lot and nothing is left
out, so the set is fixed by the card, and a card with another vocabulary has a set of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from layerfusion.engine.errors import InvalidRequest

FIRST_SEED = 1000

TEXTURED = ("forest", "flower", "city", "stars", "sea floor", "meadow")
"""Words of scenes that are busy all over: the stress set's backdrops."""


@dataclass(frozen=True)
class Item:
    """One pair.

    Attributes:
        name: unique, also as part of a file's name.
        object: the foreground's prompt, "a red apple".
        scene: the background's.
        seed: of every stream.
        other_scene: the background's in the comparisons that change it.
        other_seed: the background's in those that change that.
    """

    name: str
    object: str
    scene: str
    seed: int
    other_scene: str
    other_seed: int

    @property
    def thing(self) -> str:
        """The object without its article, as the classifier calls it."""
        first, _, rest = self.object.partition(" ")
        return rest if first in ("a", "an", "the") else self.object


def objects_of(vocabulary: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Every object of a model card's vocabulary.

    Raises:
        InvalidRequest: it names none.
    """
    return _named(vocabulary, "object") or _missing("objects")


def scenes_of(vocabulary: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Every scene of a model card's vocabulary: each place at each time, then the scenes that know no time.

    Raises:
        InvalidRequest: it names fewer than two.
    """
    places, times = _named(vocabulary, "place"), _named(vocabulary, "time")
    timed = tuple(f"{place} {time}" for place in places for time in times) if times else places
    scenes = (*timed, *_named(vocabulary, "other scene"))
    return scenes if len(scenes) > 1 else _missing("scenes")


def prompt_set(vocabulary: Mapping[str, Sequence[str]], count: int) -> tuple[Item, ...]:
    """The first `count` items; a longer set begins with a shorter one.

    Raises:
        InvalidRequest: a vocabulary without objects or scenes, or a count below 1.
    """
    return _items(objects_of(vocabulary), scenes_of(vocabulary), count, "item", FIRST_SEED)


def stress_set(vocabulary: Mapping[str, Sequence[str]], count: int) -> tuple[Item, ...]:
    """The same before textured backdrops only, with seeds of their own.

    Raises:
        InvalidRequest: as `prompt_set`.
    """
    scenes = scenes_of(vocabulary)
    busy = tuple(scene for scene in scenes if any(word in scene for word in TEXTURED))
    return _items(objects_of(vocabulary), busy if len(busy) > 1 else scenes, count, "stress", 5 * FIRST_SEED)


def _items(
    objects: tuple[str, ...], scenes: tuple[str, ...], count: int, prefix: str, first_seed: int
) -> tuple[Item, ...]:
    if count < 1:
        raise InvalidRequest(f"{count} pairs.", "Ask for at least one.")
    stride = _stride(len(scenes))
    found = []
    for place in range(count):
        scene = place * stride % len(scenes)
        # half the set further on: another place, and another time of day
        other = (scene + len(scenes) // 2 + 1) % len(scenes)
        item = Item(
            name=f"{prefix}{place:03d}",
            object=objects[place % len(objects)],
            scene=scenes[scene],
            seed=first_seed + place,
            other_scene=scenes[other if other != scene else (scene + 1) % len(scenes)],
            other_seed=first_seed + 100_000 + place,
        )
        found.append(item)
    return tuple(found)


def _stride(length: int) -> int:
    wanted = length * (math.sqrt(5) - 1) / 2
    coprime = [step for step in range(1, length + 1) if math.gcd(step, length) == 1]
    return min(coprime, key=lambda step: abs(step - wanted))


def _named(vocabulary: Mapping[str, Sequence[str]], beginning: str) -> tuple[str, ...]:
    return tuple(word for kind, words in vocabulary.items() if kind.startswith(beginning) for word in words)


def _missing(what: str) -> tuple[str, ...]:
    raise InvalidRequest(f"The model card's vocabulary has no {what}.", "Evaluate with a card that lists them.")
