"""The training set on disk: shards of triplets, the same for the same seed, drawn by several processes.

A shard is one .npz file: pictures as uint8 arrays, and a JSON line an example with captions, light, tint and names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
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
from layerfusion.engine.training.data.vocabulary import KINDS, TRANSLUCENT, is_held_out, names

SHARD = 500
FIELDS = ("foreground", "studio", "background", "composite", "shadow")

PAIRS = 0.14
"""Share of examples with two objects, so that the blended stream knows pictures with more than one."""

SEEN_THROUGH = 3
"""How often translucent things come, compared with solid ones: few of them must teach all there is to transparency."""


@dataclass(frozen=True)
class Examples:
    """A training or test set in memory.

    Attributes:
        foreground: uint8 (N, 128, 128, 4), straight alpha.
        studio, background, composite: uint8 (N, 128, 128, 3).
        shadow: uint8 (N, 128, 128).
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
        """Foregrounds over mid-grey, (n, 128, 128, 3), -1..1: how LayerDiffuse pads what is transparent."""
        rgba = self.foreground[indices].astype(np.float32) / 255
        return (rgba[..., :3] * 2 - 1) * rgba[..., 3:]


Plan = Literal["train", "small", "held_out", "everything"]
"""What a set shows: the pairs and colours for training, the same with small objects, those that are held out of both,
or all of them."""

_Job = tuple[Path, Path, int, int, Plan]


def build(folder: Path, sprites: Path, *, count: int, seed: int, workers: int, plan: Plan = "train") -> None:
    """Draw a set; shards that exist are left as they are, so that a stopped build goes on.

    Args:
        folder: where the shards go.
        sprites: the unpacked packages, see `sprites`.
        count: examples; rounded up to whole shards.
        seed: of the whole set.
        workers: processes.
        plan: what it shows; the classifier, an instrument, learns from "everything".
    """
    folder.mkdir(parents=True, exist_ok=True)
    SpriteLibrary(sprites)  # a missing package is told here, once
    shards: list[_Job] = [(folder, sprites, seed, shard, plan) for shard in range(-(-count // SHARD))]
    open_ = [job for job in shards if not _file(folder, job[3]).exists()]
    with spawning() as context, context.Pool(workers) as pool:
        for _ in tqdm(pool.imap_unordered(_draw_shard, open_), total=len(open_), desc="shards", unit="shard"):
            pass


def load(folder: Path) -> Examples:
    """Read all shards of a folder.

    Raises:
        InvalidRequest: there are none.
    """
    files = sorted(folder.glob("shard-*.npz"))
    if not files:
        raise InvalidRequest(f"{folder} holds no training shards.", "Build them with `layerfusion train dataset`.")
    arrays: dict[str, list[NDArray[Any]]] = {field: [] for field in FIELDS}
    facts: list[dict[str, Any]] = []
    for file in files:
        with np.load(file) as shard:
            for field in FIELDS:
                arrays[field].append(shard[field])
            facts += [json.loads(line) for line in str(shard["facts"]).splitlines()]
    return Examples(**{field: np.concatenate(parts) for field, parts in arrays.items()}, facts=facts)


def _file(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:04d}.npz"


def _draw_shard(job: _Job) -> None:
    folder, sprites, seed, shard, purpose = job
    rng = np.random.default_rng((seed, shard))
    library = SpriteLibrary(sprites)
    plan = {"train": _plan, "small": _small_plan, "held_out": _held_out_plan, "everything": _whole_plan}[purpose](rng)
    drawn = [make_triplet(rng, library, name, **rest) for name, rest in (next(plan) for _ in range(SHARD))]
    arrays = {field: np.stack([getattr(triplet, field) for triplet in drawn]) for field in FIELDS}
    facts = "\n".join(json.dumps(_facts(triplet)) for triplet in drawn)
    part = _file(folder, shard).with_suffix(".part.npz")
    np.savez(part, facts=np.asarray(facts), **arrays)  # type: ignore[arg-type]
    part.replace(_file(folder, shard))


_Wishes = Iterator[tuple[str, dict[str, Any]]]
"""Objects without end, each with what else `make_triplet` is asked."""


def _plan(rng: np.random.Generator) -> _Wishes:
    """Every solid object equally often and what can be seen through more often, in random order; now and then two."""
    known = names(held_out=False)
    often = [name for name in known for _ in range(SEEN_THROUGH if name in TRANSLUCENT else 1)]
    while True:
        for name in rng.permutation(often):
            other = str(rng.choice(known)) if rng.random() < PAIRS else ""
            yield str(name), {"second": other} if other and other != name else {}


def _small_plan(rng: np.random.Generator) -> _Wishes:
    """Every object equally often, where an artist has put it: smaller than the model would draw it, and anywhere."""
    while True:
        for name in rng.permutation(names(held_out=False)):
            yield str(name), {"small": True}


def _held_out_plan(rng: np.random.Generator) -> _Wishes:
    """Pairs of object and scene that training never shows, and colours it never shows before any scene."""
    shown = set(names(held_out=False))
    pairs = [(n, k) for n in names(held_out=True) for k in KINDS if n not in shown or is_held_out(n, k)]
    while True:
        for index in rng.permutation(len(pairs)):
            name, kind = pairs[index]
            yield name, {"kind": kind}


def _whole_plan(rng: np.random.Generator) -> _Wishes:
    """Every object in every colour before every kind of scene."""
    known = names(held_out=True)
    while True:
        for name in rng.permutation(known):
            yield str(name), {"kind": str(rng.choice(KINDS))}


def _facts(triplet: Triplet) -> dict[str, Any]:
    return {
        "names": triplet.names,
        "kind": triplet.kind,
        "captions": triplet.captions,
        "light": asdict(triplet.light),
        "tint": triplet.tint,
    }
