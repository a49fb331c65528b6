"""A study: a folder of drawings of items in several variants. Drawing can be stopped and resumed.

    study.json        the model's name and a digest of its defaults and weights, so that models are never mixed
    drawings.jsonl    one line per finished drawing: item, variant, seconds, digest of the pixels
    drawings/         ITEM-VARIANT.png: foreground, background and blended side by side; ITEM-VARIANT.npz: the masks

A drawing is finished if its line and its file exist. All measures are computed from these files.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from layerfusion.engine.errors import InvalidRequest, UnreadableFile, UnwritableFile
from layerfusion.engine.evaluation.items import Item
from layerfusion.engine.evaluation.systems import LAYERFUSION, Drawing, ItemDrawer, Maps, Variant, same_as_own
from layerfusion.engine.formats.files import reading, replacing, writing
from layerfusion.engine.formats.images import encode
from layerfusion.engine.models.catalog.spec import ModelSpec, located
from layerfusion.engine.spawning import spawning

_MIB = 1 << 20
_OWNER = "study.json"


@dataclass(frozen=True)
class Task:
    """One item and its missing variants; a variant comes after the one from which it starts."""

    item: Item
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class Done:
    """The event that one drawing is finished.

    Attributes:
        item, variant: the names of item and variant.
        seconds: the time it took.
        left: number of drawings still to be made.
    """

    item: str
    variant: str
    seconds: float
    left: int


class Study:
    """A folder of drawings by one model.

    Args:
        folder: the folder. If it does not exist, it is created when drawing begins.
        spec: the model.

    Raises:
        InvalidRequest: the folder contains the drawings of another model.
        UnreadableFile: its list of drawings cannot be read.
        UnwritableFile: `folder` is a file, or its list of drawings cannot be written.
    """

    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        self.folder = folder
        self.spec = spec
        self._owner = {"model": spec.name, "digest": fingerprint(spec)}
        if folder.exists() and not folder.is_dir():
            raise UnwritableFile(f"“{folder}” is a file.", "Choose another name for the folder.")
        self._check_owner()
        self._done = self._finished()

    @property
    def seconds(self) -> float:
        """The time of all drawings together in seconds."""
        return sum(self._done.values())

    def seconds_of(self, item: Item, variant: Variant) -> float:
        """The time of one drawing in seconds. `has` must be true."""
        return self._done[item.name, self._drawn_as(item, variant).name]

    @property
    def count(self) -> int:
        """The number of finished drawings."""
        return len(self._done)

    def draw(self, items: Sequence[Item], variants: Sequence[Variant], workers: int = 1) -> Generator[Done]:
        """Draw every item in every variant; see `draw_all`."""
        return self.draw_all([(item, variants) for item in items], workers)

    def draw_all(self, wanted: Sequence[tuple[Item, Sequence[Variant]]], workers: int = 1) -> Generator[Done]:
        """Make the missing drawings and yield after each. Closing the generator stops after the items in progress.

        Args:
            wanted: items, each with its variants.
            workers: number of processes that draw at the same time; each loads the model.

        Raises:
            UnwritableFile: at the call if the folder cannot be created; during iteration if the disk is full.
        """
        self._begin()
        return self._draw_missing(wanted, workers)

    def _draw_missing(self, wanted: Sequence[tuple[Item, Sequence[Variant]]], workers: int) -> Generator[Done]:
        tasks = [task for item, variants in wanted if (task := self._task(item, variants)).variants]
        left = sum(len(task.variants) for task in tasks)
        for item, variant, seconds, digest in _in_processes(self, tasks, workers) if workers > 1 else self._here(tasks):
            left -= 1
            self._note(item, variant, seconds, digest)
            yield Done(item, variant, seconds, left)

    def missing(self, items: Sequence[Item], variants: Sequence[Variant]) -> int:
        """The number of drawings still to be made."""
        return sum(len(self._task(item, variants).variants) for item in items)

    def has(self, item: Item, variant: Variant) -> bool:
        name = self._drawn_as(item, variant).name
        return (item.name, name) in self._done and self._picture(item.name, name).exists()

    def forget(self, item: Item, variants: Sequence[Variant]) -> int:
        """Delete drawings of an item, if they exist; returns their number.

        Raises:
            UnwritableFile: a file cannot be deleted.
        """
        found = [variant for variant in self._needed(item, variants) if self.has(item, variant)]
        for variant in found:
            path = self._picture(item.name, variant.name)
            with writing(path):
                path.unlink()
                path.with_suffix(".npz").unlink(missing_ok=True)
            del self._done[item.name, variant.name]
        return len(found)

    def drawing(self, item: Item, variant: Variant) -> Drawing:
        """Read a drawing. `has` must be true."""
        return read_drawing(self._picture(item.name, self._drawn_as(item, variant).name))

    def write(self, name: str, content: bytes) -> Path:
        """Write a result file into the study's folder atomically."""
        path = self.folder / name
        with replacing(path) as file:
            file.write(content)
        return path

    def _task(self, item: Item, variants: Sequence[Variant]) -> Task:
        return Task(item, tuple(variant for variant in self._needed(item, variants) if not self.has(item, variant)))

    def _needed(self, item: Item, variants: Sequence[Variant]) -> tuple[Variant, ...]:
        """The variants whose drawings are those of the given ones, each once."""
        return tuple({(drawn := self._drawn_as(item, one)).name: drawn for one in variants}.values())

    def _drawn_as(self, item: Item, variant: Variant) -> Variant:
        """The variant whose drawing is that of a variant: its own if there is one; `LAYERFUSION` if nothing differs."""
        drawn = (item.name, variant.name) in self._done
        return LAYERFUSION if not drawn and same_as_own(variant, self.spec.defaults.fusion) else variant

    def _here(self, tasks: Sequence[Task]) -> Iterator[tuple[str, str, float, str]]:
        drawer = ItemDrawer(self.spec)
        for task in tasks:
            yield from draw_task(drawer, task, self.folder)

    def _picture(self, item: str, variant: str) -> Path:
        return picture_path(self.folder, item, variant)

    def _begin(self) -> None:
        """Create the folder and record its model."""
        drawings = self.folder / "drawings"
        with writing(drawings):
            drawings.mkdir(parents=True, exist_ok=True)
        if not (self.folder / _OWNER).exists():
            self.write(_OWNER, json.dumps(self._owner, indent=2).encode())

    def _check_owner(self) -> None:
        path = self.folder / _OWNER
        if not path.exists():
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        if found != self._owner:
            model = found.get("model") if isinstance(found, dict) else None
            whose = f"“{model:.60}”" if isinstance(model, str) and model != self.spec.name else "another model"
            raise InvalidRequest(
                f"“{self.folder}” contains drawings of {whose}, not of “{self.spec.name}” with its current weights and "
                "defaults.",
                "Choose an empty folder.",
            )

    def _finished(self) -> dict[tuple[str, str], float]:
        path = self.folder / "drawings.jsonl"
        text = ""
        if path.exists():
            with reading(path, "list of drawings"):
                text = path.read_text(encoding="utf-8")
        if text and not text.endswith("\n"):  # a killed run left half a line; the next line must not be joined to it
            with writing(path), path.open("a", encoding="utf-8") as file:
                file.write("\n")
        found: dict[tuple[str, str], float] = {}
        for line in text.splitlines():
            try:
                entry: dict[str, Any] = json.loads(line)
                found[entry["item"], entry["variant"]] = float(entry["seconds"])
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def _note(self, item: str, variant: str, seconds: float, digest: str) -> None:
        entry = {"item": item, "variant": variant, "seconds": round(seconds, 3), "sha256": digest}
        path = self.folder / "drawings.jsonl"
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        self._done[item, variant] = seconds


def draw_task(drawer: ItemDrawer, task: Task, folder: Path) -> Iterator[tuple[str, str, float, str]]:
    """Draw and write one item's missing variants; yields (item, variant, seconds, digest) after each."""
    earlier: dict[str, Drawing] = {}
    for variant in task.variants:
        if variant.after and variant.after not in earlier:
            earlier[variant.after] = read_drawing(picture_path(folder, task.item.name, variant.after))
        started = time.monotonic()
        drawing = drawer.draw(task.item, variant, earlier)
        seconds = time.monotonic() - started
        earlier[variant.name] = drawing
        yield (
            task.item.name,
            variant.name,
            seconds,
            write_drawing(picture_path(folder, task.item.name, variant.name), drawing),
        )


_drawer: ItemDrawer | None = None
"""The drawer of a worker process, kept so that the model is loaded only once per process."""


def _start_worker(spec: ModelSpec) -> None:
    import torch

    torch.set_num_threads(1)  # the workers share the processor's cores
    global _drawer
    _drawer = ItemDrawer(spec)


def _work(task: Task, folder: Path) -> list[tuple[str, str, float, str]]:
    assert _drawer is not None
    return list(draw_task(_drawer, task, folder))


def _in_processes(study: Study, tasks: Sequence[Task], workers: int) -> Iterator[tuple[str, str, float, str]]:
    with spawning() as context:
        pool = ProcessPoolExecutor(workers, context, _start_worker, (study.spec,))
        try:
            running: set[Future[list[tuple[str, str, float, str]]]] = {
                pool.submit(_work, task, study.folder) for task in tasks
            }
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield from future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def picture_path(folder: Path, item: str, variant: str) -> Path:
    return folder / "drawings" / f"{item}-{variant}.png"


def write_drawing(path: Path, drawing: Drawing) -> str:
    """Write a drawing atomically and return the SHA-256 of its pixels."""
    strip = np.concatenate([drawing.foreground, drawing.background, drawing.blended], axis=1)
    if drawing.maps is not None:
        buffer = io.BytesIO()
        maps = {each.name: getattr(drawing.maps, each.name) for each in fields(drawing.maps)}
        np.savez_compressed(buffer, **maps)
        with replacing(path.with_suffix(".npz")) as file:
            file.write(buffer.getvalue())
    with replacing(path) as file:
        file.write(encode(strip))
    return hashlib.sha256(strip.tobytes()).hexdigest()


def read_drawing(path: Path) -> Drawing:
    """Read a drawing that `write_drawing` wrote.

    Raises:
        UnreadableFile: one of its files is missing or damaged.
    """
    try:
        with reading(path, "drawing"), Image.open(path) as image:
            strip = np.asarray(image.convert("RGBA"))
            foreground, background, blended = (np.ascontiguousarray(part) for part in np.split(strip, 3, axis=1))
        masks, maps = path.with_suffix(".npz"), None
        if masks.exists():
            with reading(masks, "drawing's masks"), np.load(masks, allow_pickle=False) as values:
                maps = Maps(**{each.name: values[each.name] for each in fields(Maps)})
    except UnreadableFile as error:
        raise UnreadableFile(error.message, "Delete the file and run the evaluation again.") from error
    return Drawing(foreground, background, blended, maps)


def fingerprint(spec: ModelSpec) -> str:
    """A digest of a model's defaults and of its weights: every file's name, size, first MiB and last MiB."""
    drawn = {"defaults": asdict(spec.defaults), "size": spec.native_size, "template": spec.blended_template}
    drawn["usual"] = asdict(spec.usual)
    digest = hashlib.sha256(json.dumps(drawn, sort_keys=True).encode())
    parts = spec.transparency
    sources = [
        spec.checkpoint,
        spec.vae,
        parts.deltas,
        parts.encoder,
        parts.decoder,
        *(lora.file for lora in spec.loras),
        spec.few_step_adapter and spec.few_step_adapter.lora.file,
    ]
    for source in sources:
        if source is not None:
            path = located(source, spec.name)
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                _digest_file(file, path, digest)
    return digest.hexdigest()


def _digest_file(file: Path, root: Path, digest: hashlib._Hash) -> None:
    if file.is_file():
        size = file.stat().st_size
        digest.update(f"{file.relative_to(root).as_posix()} {size}".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_MIB))
            stream.seek(max(0, size - _MIB))
            digest.update(stream.read())
