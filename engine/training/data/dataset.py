"""The training set on disk: triplets, the same for the same seed, drawn shard by shard by several processes.

Pictures of a kind lie in one .npy file, which training maps into memory instead of reading it: at 256 px, 16,000
examples take 14 GB. A shard is a part of each of these files, and a file of JSON lines, one an example, with captions,
light, tint and names; this comes last, so that a shard is whole when it is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.spawning import spawning
from layerfusion.engine.training.data.sprites import SpriteLibrary
from layerfusion.engine.training.data.triplets import Triplet, make_triplet
from layerfusion.engine.training.data.vocabulary import (
    FIRST,
    NAMELESS,
    TRANSLUCENT,
    VOCABULARIES,
    Vocabulary,
    is_held_out,
)

SHARD = 500
FIELDS = ("foreground", "studio", "background", "composite", "shadow")
_CHANNELS = {"foreground": (4,), "studio": (3,), "background": (3,), "composite": (3,), "shadow": ()}

PAIRS, GROUPS = 0.12, 0.14
"""Shares of examples with two objects, and with three or four of different sizes side by side, so that the blended
stream knows pictures with more than one."""

TINTED_SHARE = 0.2
"""Share of examples whose foreground is in its scene's light already, so that a foreground stream that is given one, a
relit layer or a cut-out, has seen such."""

SEEN_THROUGH = 5
"""How often translucent things come, compared with solid ones: few of them must teach all there is to transparency."""


@dataclass(frozen=True)
class Examples:
    """A training or test set; the arrays are mapped from their files.

    Attributes:
        foreground: uint8 (N, height, width, 4), straight alpha.
        studio, background, composite: uint8 (N, height, width, 3).
        shadow: uint8 (N, height, width).
        facts: a dictionary an example: names, kind, captions, light, tint.
    """

    foreground: NDArray[np.uint8]
    studio: NDArray[np.uint8]
    background: NDArray[np.uint8]
    composite: NDArray[np.uint8]
    shadow: NDArray[np.uint8]
    facts: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.facts)

    def on_grey(self, indices: NDArray[np.integer]) -> NDArray[np.floating]:
        """Foregrounds over mid-grey, (n, height, width, 3), -1..1: how LayerDiffuse pads what is transparent."""
        rgba = self.foreground[indices].astype(np.float32) / 255
        return (rgba[..., :3] * 2 - 1) * rgba[..., 3:]


Plan = Literal["train", "small", "nameless", "wide", "tall", "held_out", "everything"]
"""What a set shows: the pairs and colours for training, the same with small objects, things without a name, all three
in pictures of 2:1 and 1:2, the pairs and colours that are held out of all these, or all of them."""

FORMS: dict[Plan, tuple[int, int]] = {"wide": (2, 1), "tall": (1, 2)}
"""Width and height in shorter sides, where a set's pictures are not square."""


@dataclass(frozen=True)
class _Job:
    """A shard of `size` examples to be drawn."""

    folder: Path
    sprites: Path
    seed: int
    shard: int
    size: int
    plan: Plan
    native: int
    vocabulary: str


def build(
    folder: Path,
    sprites: Path,
    *,
    count: int,
    seed: int,
    workers: int,
    plan: Plan = "train",
    native: int = 128,
    vocabulary: str = "first",
) -> None:
    """Draw a set; shards that exist are left as they are, so that a stopped build goes on.

    Args:
        folder: where the shards go.
        sprites: the unpacked packages, see `sprites`.
        count: examples; rounded up to whole shards.
        seed: of the whole set.
        workers: processes.
        plan: what it shows; the classifier, an instrument, learns from "everything".
        native: shorter side of the pictures, in pixels.
        vocabulary: one of `VOCABULARIES`.

    Raises:
        InvalidRequest: the sprites are not there, or the folder holds a set of another size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    SpriteLibrary(sprites)  # a missing package is told here, once
    shards = -(-count // SHARD)
    _lay_out(folder, shards * SHARD, native, FORMS.get(plan, (1, 1)))
    jobs = [_Job(folder, sprites, seed, shard, SHARD, plan, native, vocabulary) for shard in range(shards)]
    open_ = [job for job in jobs if not _facts_file(folder, job.shard).exists()]
    with spawning() as context, context.Pool(workers) as pool:
        for _ in tqdm(pool.imap_unordered(_draw_shard, open_), total=len(open_), desc="shards", unit="shard"):
            pass


def load(folder: Path) -> Examples:
    """Map the pictures of all shards of a folder that are drawn.

    Raises:
        InvalidRequest: there are none.
    """
    found = sorted(int(file.stem.removeprefix("facts-")) for file in folder.glob("facts-*.jsonl"))
    whole = next((shard for shard, there in enumerate(found) if shard != there), len(found))
    if not whole:
        raise InvalidRequest(f"{folder} holds no training shards.", "Build them with `layerfusion train dataset`.")
    facts: list[dict[str, Any]] = []
    for shard in range(whole):
        facts += [json.loads(line) for line in _facts_file(folder, shard).read_text(encoding="utf-8").splitlines()]
    arrays = {field: np.load(folder / f"{field}.npy", mmap_mode="r")[: len(facts)] for field in FIELDS}
    return Examples(**arrays, facts=facts)


def _lay_out(folder: Path, count: int, native: int, form: tuple[int, int]) -> None:
    """Make the pictures' files, or leave them."""
    size = (form[1] * native, form[0] * native)
    for field in FIELDS:
        file, shape = folder / f"{field}.npy", (count, *size, *_CHANNELS[field])
        if not file.exists():
            np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        elif (there := np.load(file, mmap_mode="r").shape) != shape:
            raise InvalidRequest(
                f"{file} holds {there[0]} pictures of {there[2]}x{there[1]}, not {count} of {size[1]}x{size[0]}.",
                "Use another folder.",
            )


def _facts_file(folder: Path, shard: int) -> Path:
    return folder / f"facts-{shard:04d}.jsonl"


def _draw_shard(job: _Job) -> None:
    rng = np.random.default_rng((job.seed, job.shard))
    library = SpriteLibrary(job.sprites, VOCABULARIES[job.vocabulary])
    plan = _PLANS[job.plan](rng, library.vocabulary)
    arrays = {field: np.load(job.folder / f"{field}.npy", mmap_mode="r+") for field in FIELDS}
    lines = []
    for place in range(job.shard * job.size, (job.shard + 1) * job.size):
        name, rest = next(plan)
        triplet = make_triplet(rng, library, name, native=job.native, form=FORMS.get(job.plan, (1, 1)), **rest)
        for field, array in arrays.items():
            array[place] = getattr(triplet, field)
        lines.append(json.dumps(_facts(triplet)))
    for array in arrays.values():
        array.flush()
    file = _facts_file(job.folder, job.shard)
    part = file.with_suffix(".part")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    part.replace(file)


_Wishes = Iterator[tuple[str, dict[str, Any]]]
"""Objects without end, each with what else `make_triplet` is asked."""


def _plan(rng: np.random.Generator, vocabulary: Vocabulary = FIRST) -> _Wishes:
    """Every solid object equally often and what can be seen through more often, in random order; now and then two, or
    a group."""
    known = vocabulary.names(held_out=False)
    often = [name for name in known for _ in range(SEEN_THROUGH if name in TRANSLUCENT else 1)]
    while True:
        for name in rng.permutation(often):
            yield str(name), {"others": _others(rng, str(name), known), "tinted": _tinted(rng)}


def _tinted(rng: np.random.Generator) -> bool:
    return bool(rng.random() < TINTED_SHARE)


def _others(rng: np.random.Generator, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """What else is in the picture: mostly nothing."""
    lot = rng.random()
    count = 1 if lot < PAIRS else int(rng.integers(2, 4)) if lot < PAIRS + GROUPS else 0
    return tuple(other for other in (str(one) for one in rng.choice(known, count, replace=False)) if other != name)


def _small_plan(rng: np.random.Generator, vocabulary: Vocabulary = FIRST) -> _Wishes:
    """Every object equally often, where an artist has put it: smaller than the model would draw it, and anywhere; in
    one picture of three beside one to three others that are as small."""
    known = vocabulary.names(held_out=False)
    while True:
        for name in rng.permutation(known):
            count = int(rng.integers(1, 4)) if rng.random() < 1 / 3 else 0
            others = tuple(str(one) for one in rng.choice(known, count, replace=False) if one != name)
            yield str(name), {"small": True, "others": others, "tinted": _tinted(rng)}


def _long_plan(rng: np.random.Generator, vocabulary: Vocabulary = FIRST) -> _Wishes:
    """Every object equally often, mostly alone: however wide a picture is, it shows what was asked for once."""
    known = vocabulary.names(held_out=False)
    while True:
        for name in rng.permutation(known):
            thing = str(rng.choice(NAMELESS)) if rng.random() < 0.1 else str(name)
            yield thing, {"small": rng.random() < 0.2, "others": _others(rng, thing, known), "tinted": _tinted(rng)}


def _nameless_plan(rng: np.random.Generator, vocabulary: Vocabulary = FIRST) -> _Wishes:
    """Things without a name, of any size and anywhere; one in four beside something that has a name, or beside more of
    them."""
    known = vocabulary.names(held_out=False)
    while True:
        name, lot = str(rng.choice(NAMELESS)), rng.random()
        if lot < 0.1:
            yield name, {"others": tuple(str(one) for one in rng.choice(known, int(rng.integers(1, 4)), replace=False))}
        elif lot < 0.25:
            yield name, {"others": (name,) * int(rng.integers(1, 4))}
        else:
            yield name, {"small": lot < 0.55, "tinted": _tinted(rng)}


def _held_out_plan(rng: np.random.Generator, vocabulary: Vocabulary = FIRST) -> _Wishes:
    """Pairs of object and scene that training never shows, and colours it never shows before any scene."""
    shown = set(vocabulary.names(held_out=False))
    pairs = [
        (n, k) for n in vocabulary.names(held_out=True) for k in vocabulary.kinds if n not in shown or is_held_out(n, k)
    ]
    while True:
        for index in rng.permutation(len(pairs)):
            name, kind = pairs[index]
            yield name, {"kind": kind}


def _whole_plan(rng: np.random.Generator, vocabulary: Vocabulary = FIRST) -> _Wishes:
    """Every object in every colour before every kind of scene."""
    known = vocabulary.names(held_out=True)
    while True:
        for name in rng.permutation(known):
            yield str(name), {"kind": str(rng.choice(vocabulary.kinds))}


_PLANS: dict[Plan, Callable[[np.random.Generator, Vocabulary], _Wishes]] = {
    "train": _plan,
    "small": _small_plan,
    "nameless": _nameless_plan,
    "wide": _long_plan,
    "tall": _long_plan,
    "held_out": _held_out_plan,
    "everything": _whole_plan,
}


def _facts(triplet: Triplet) -> dict[str, Any]:
    return {
        "names": triplet.names,
        "kind": triplet.kind,
        "captions": triplet.captions,
        "light": asdict(triplet.light),
        "tint": triplet.tint,
    }
