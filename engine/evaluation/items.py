"""The items of an evaluation: a fixed list of pairs of an object and a scene, made from a model's vocabulary.

Item i (from 0) is object i mod n in scene i·s mod m, with seed 1000 + i. n and m are the numbers of objects and scenes
in the order of the manifest; s is the integer nearest to 0.618 m that is coprime to m, so that the first items of any
number cover objects and scenes evenly. Nothing is random and nothing is selected by hand: the vocabulary determines the
list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.evaluation.made_pictures import prompt_of

FIRST_SEED = 1000

TEXTURED = ("forest", "flower", "city", "stars", "sea floor", "meadow")
"""Words that identify scenes with texture everywhere, the backgrounds of the stress set."""


@dataclass(frozen=True)
class Item:
    """One pair.

    Attributes:
        name: unique name, also used in file names.
        object: the foreground's prompt, such as "a red apple".
        scene: the background's prompt.
        seed: the seed of every stream.
        other_scene: the background's prompt in comparisons that change the prompt.
        other_seed: the background's seed in comparisons that change the seed.
        made: the number of the picture in `made_pictures` whose layers the item has; None for a pair of the vocabulary.
    """

    name: str
    object: str
    scene: str
    seed: int
    other_scene: str
    other_seed: int
    made: int | None = None

    @property
    def thing(self) -> str:
        """The object without its article, which is the classifier's name for it."""
        first, _, rest = self.object.partition(" ")
        return rest if first in ("a", "an", "the") else self.object


def objects_of(vocabulary: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Every object of a vocabulary.

    Raises:
        InvalidRequest: there is none.
    """
    return _named(vocabulary, "object") or _missing("objects")


def scenes_of(vocabulary: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Every scene of a vocabulary: each place at each time, then the scenes without a time.

    Raises:
        InvalidRequest: there are fewer than two.
    """
    places, times = _named(vocabulary, "place"), _named(vocabulary, "time")
    timed = tuple(f"{place} {time}" for place in places for time in times) if times else places
    scenes = (*timed, *_named(vocabulary, "other scene"))
    return scenes if len(scenes) > 1 else _missing("scenes")


def prompt_set(vocabulary: Mapping[str, Sequence[str]], count: int) -> tuple[Item, ...]:
    """The first `count` items. A longer list begins with the items of every shorter one.

    Raises:
        InvalidRequest: the vocabulary has no objects or too few scenes, or `count` is below 1.
    """
    return _items(objects_of(vocabulary), scenes_of(vocabulary), count, "item", FIRST_SEED)


def stress_set(vocabulary: Mapping[str, Sequence[str]], count: int) -> tuple[Item, ...]:
    """Items with textured scenes only and with other seeds than `prompt_set`.

    Raises:
        InvalidRequest: as `prompt_set`.
    """
    scenes = scenes_of(vocabulary)
    textured = tuple(scene for scene in scenes if any(word in scene for word in TEXTURED))
    return _items(objects_of(vocabulary), textured if len(textured) > 1 else scenes, count, "stress", 5 * FIRST_SEED)


def made_set(vocabulary: Mapping[str, Sequence[str]], count: int) -> tuple[Item, ...]:
    """Items whose objects and backdrops are made pictures; the scenes are those of `prompt_set`.

    Raises:
        InvalidRequest: as `prompt_set`.
    """
    objects = tuple(prompt_of(number) for number in range(count)) or ("",)
    items = _items(objects, scenes_of(vocabulary), count, "made", 9 * FIRST_SEED)
    return tuple(replace(item, made=number) for number, item in enumerate(items))


def _items(
    objects: tuple[str, ...], scenes: tuple[str, ...], count: int, prefix: str, first_seed: int
) -> tuple[Item, ...]:
    if count < 1:
        raise InvalidRequest(f"The number of pairs is {count}.", "Ask for at least one pair.")
    stride = _stride(len(scenes))
    found = []
    for index in range(count):
        scene = index * stride % len(scenes)
        # half the list further on: another place, and another time of day
        other = (scene + len(scenes) // 2 + 1) % len(scenes)
        item = Item(
            name=f"{prefix}{index:03d}",
            object=objects[index % len(objects)],
            scene=scenes[scene],
            seed=first_seed + index,
            other_scene=scenes[other if other != scene else (scene + 1) % len(scenes)],
            other_seed=first_seed + 100_000 + index,
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
    raise InvalidRequest(f"The model's vocabulary has too few {what}.", "Add them to “vocabulary” in its manifest.")
