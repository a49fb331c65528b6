"""A complete evaluation: it determines the drawings that are needed, makes them, and reports the measures."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from PIL import Image

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.evaluation import claims, kept, mixtures, moving, presets, table
from layerfusion.engine.evaluation.charts import Chart, draw_charts
from layerfusion.engine.evaluation.contact_sheets import kept_sheet, picture_sheet
from layerfusion.engine.evaluation.items import Item, made_set, prompt_set, stress_set
from layerfusion.engine.evaluation.made_cutouts import KINDS
from layerfusion.engine.evaluation.metrics import Classifier, Truth, plain
from layerfusion.engine.evaluation.results import PartResult, merged, read_results
from layerfusion.engine.evaluation.rows import Section
from layerfusion.engine.evaluation.statistics import estimate
from layerfusion.engine.evaluation.study import Done, Study
from layerfusion.engine.evaluation.systems import Variant
from layerfusion.engine.evaluation.trade_off import draw_trade_offs
from layerfusion.engine.models.catalog.spec import ModelSpec

Part = Literal["table", "background", "blending", "masks", "boundary", "mixtures", "moving", "presets", "kept"]
PARTS: tuple[Part, ...] = get_args(Part)
MAX_PAIRS = 10_000

VARIANTS: dict[Part, tuple[Variant, ...]] = {
    "table": table.VARIANTS,
    "background": claims.BACKGROUND_VARIANTS,
    "blending": claims.BLENDING_VARIANTS,
    "masks": claims.MASK_VARIANTS,
    "boundary": claims.BOUNDARY_VARIANTS,
    "mixtures": mixtures.VARIANTS,
    "moving": moving.VARIANTS,
    "presets": presets.VARIANTS,
    "kept": kept.VARIANTS,
}
"""The variants that must be drawn of every item of a part."""

_SHEET_ITEMS = 8
"""Items on the contact sheet."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parts and the size of an evaluation.

    Attributes:
        parts: some or all of: the table, the four claims of Fig. 5, the readings of Fig. 2c, the moved object of
            Fig. 1, and the presets.
        pairs: number of items of the table and of claim (b), which needs no further drawings.
        claim_pairs: number of items of claims (a), (c) and (d), of the readings of Fig. 2c, of the moved object and of
            the presets. They are the first items of the table.
        stress_pairs: number of items with textured backgrounds, for claim (c).
        kept_pairs: number of items, and number of made pictures, for the kept layers.
        skip: number of items at the beginning of every list that are left out. Settings are to be chosen on other items
            than those of which figures are published; results with a skip are written to files of their own.

    Raises:
        InvalidRequest: a part is unknown, there is no part, or a number is outside its range.
    """

    parts: tuple[Part, ...] = PARTS
    pairs: int = 120
    claim_pairs: int = 40
    stress_pairs: int = 24
    kept_pairs: int = 24
    skip: int = 0

    def __post_init__(self) -> None:
        unknown = set(self.parts) - set(PARTS)
        if unknown or not self.parts:
            message = f"There is no part {', '.join(sorted(unknown))}." if unknown else "No part is given."
            raise InvalidRequest(message, f"Choose among: {', '.join(PARTS)}.")
        for name in ("pairs", "claim_pairs", "stress_pairs", "kept_pairs"):
            if not 1 <= getattr(self, name) <= MAX_PAIRS:
                title = name.replace("_", " ")
                raise InvalidRequest(
                    f"The number of {title} is {getattr(self, name)}.", f"Choose 1 to {MAX_PAIRS} {title}."
                )
        if not 0 <= self.skip <= MAX_PAIRS:
            raise InvalidRequest(f"The number of skipped pairs is {self.skip}.", f"Choose 0 to {MAX_PAIRS}.")

    def file(self, name: str) -> str:
        """The name of a result file, such as `results.json`; with a skip, it has the number in it."""
        stem, _, suffix = name.rpartition(".")
        return f"{stem}-from-{self.skip}.{suffix}" if self.skip else name


def quick(spec: ModelSpec) -> ModelSpec:
    """The same model at half its size and three steps, to test that an evaluation runs; its figures mean nothing."""
    adapter = spec.few_step_adapter and replace(spec.few_step_adapter, steps=3)
    return replace(
        spec,
        native_size=spec.native_size // 2,
        defaults=replace(spec.defaults, steps=3),
        few_step_adapter=adapter,
    )


@dataclass(frozen=True)
class Report:
    """The results of an evaluation, those of parts that earlier runs measured in the same folder included.

    Attributes:
        sections: the tables and claims of all parts.
        figures: all results as plain values for JSON.
        pictures: name -> RGB image, for the page: "charts"; "losses" of the presets against their cost; "pictures"
            of the compared systems, if the table is among the parts; "kept", a choice of the kept layers, if they were
            measured now.
        sheets: name -> RGB image: all kept layers, one sheet for each set and use, if they were measured now.
    """

    sections: tuple[Section, ...]
    figures: dict[str, Any]
    pictures: Mapping[str, Image.Image]
    sheets: Mapping[str, Image.Image]

    def as_markdown(self) -> str:
        """The summary, all tables and all verdicts."""
        return "\n".join([str(self.figures["summary"]), "", *(section.as_markdown() for section in self.sections)])


class Evaluation:
    """Draws and measures.

    Args:
        folder: the study's folder; drawings that it already contains are not made again.
        spec: the model.
        plan: the parts and numbers of items.
        vocabulary: kind -> phrases for the prompts: the model's own vocabulary, or the embedded model's for a model
            without one.
        classifier: classifies objects and scenes; None leaves these rows "not measured".
        count: counts the cost of the presets, see `presets.Count`; None leaves it unmeasured.
        light_known: whether the model was trained on data whose light `light` knows; tone and shadow need it.

    Raises:
        InvalidRequest: the folder contains another model's drawings, or the vocabulary lacks objects or scenes.
        FileError: the folder is a file, or its list of drawings cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        spec: ModelSpec,
        plan: Plan,
        vocabulary: dict[str, tuple[str, ...]],
        classifier: Classifier | None = None,
        count: presets.Count | None = None,
        *,
        light_known: bool,
    ) -> None:
        self.plan = plan
        skip = plan.skip
        self._items = prompt_set(vocabulary, skip + max(plan.pairs, plan.claim_pairs, plan.kept_pairs))[skip:]
        self._made = made_set(vocabulary, skip + plan.kept_pairs)[skip:]
        self._stress = stress_set(vocabulary, skip + plan.stress_pairs)[skip:]
        self._classifier, self._count_cost = classifier, count
        self._known_light = light_known
        self.study = Study(folder, spec)

    def wanted(self) -> list[tuple[Item, tuple[Variant, ...]]]:
        """Every item with the variants in which it must be drawn."""
        found = [
            (item, unique([v for part in self.plan.parts if index < self._count(part) for v in VARIANTS[part]]))
            for index, item in enumerate(self._items)
        ]
        if "masks" in self.plan.parts:
            found += [(item, claims.MASK_VARIANTS) for item in self._stress]
        if "kept" in self.plan.parts:
            found += [(item, kept.MADE_VARIANTS) for item in self._made]
        return [(item, variants) for item, variants in found if variants]

    def _count(self, part: Part) -> int:
        """The number of items of a part."""
        if part == "kept":
            return self.plan.kept_pairs
        return self.plan.pairs if part in ("table", "blending") else self.plan.claim_pairs

    def missing(self) -> int:
        """The number of drawings still to be made."""
        return sum(self.study.missing([item], variants) for item, variants in self.wanted())

    def forget(self) -> int:
        """Delete the drawings of all parts of the plan, so that they are made again; returns their number.

        A study knows whether the model changed, not whether the program did.
        """
        return sum(self.study.forget(item, variants) for item, variants in self.wanted())

    def draw(self, workers: int = 1) -> Generator[Done]:
        """Make the missing drawings and yield after each; see `Study.draw_all`."""
        return self.study.draw_all(self.wanted(), workers)

    def report(self) -> Report:
        """Measure every item of which all drawings exist, and add what earlier runs found for other parts.

        Raises:
            InvalidRequest: there is no such item.
            UnreadableFile: a drawing or the earlier results are damaged.
        """
        drawn: dict[Part, tuple[Item, ...]] = {part: self._drawn(part) for part in self.plan.parts}
        if not any(drawn.values()):
            raise InvalidRequest(
                f"“{self.study.folder}” contains no completely drawn item.", "Run the evaluation without --report."
            )
        earlier = read_results(self.study.folder / self.plan.file("results.json"), PARTS)
        layers: dict[str, kept.ByUse] = {}
        measured: dict[Part, PartResult] = {
            part: PartResult(len(items), self._sections(part, items, layers)) for part, items in drawn.items() if items
        }
        parts = merged(earlier, measured, PARTS)
        sections = tuple(section for part in parts.values() for section in part.sections)
        pictures: dict[str, Image.Image] = {}
        if charts := _charts(sections):
            pictures["charts"] = draw_charts(charts)
        if panels := [
            panel for section in sections if section.key == "presets" for panel in presets.trade_offs(section)
        ]:
            pictures["losses"] = draw_trade_offs(panels)
        if "table" in parts and (shown := self._drawn("table")[:_SHEET_ITEMS]):
            pictures["pictures"] = picture_sheet(self.study, shown)
        if layers:
            pictures["kept"] = kept_sheet(_some(layers))
        return Report(sections, self._figures(parts), pictures, _sheets(layers))

    def _sections(self, part: Part, items: Sequence[Item], layers: dict[str, kept.ByUse]) -> tuple[Section, ...]:
        """Measure one part; both sets of kept layers are added to `layers`."""
        study, known = self.study, self._known_light
        if part == "table":
            rows = table.gather(study, items, self._classifier, light_known=known)
            self._write_items(items, rows)
            return table.sections(rows, table.kept_bytes(study, items))
        if part == "background":
            return (claims.background_claim(study, items, self._classifier, light_known=known),)
        if part == "blending":
            return (claims.blending_claim(study, items, light_known=known),)
        if part == "masks":
            stress = tuple(item for item in self._stress if self._has(item, claims.MASK_VARIANTS))
            return (claims.mask_claim(study, items, stress),)
        if part == "boundary":
            return (claims.boundary_claim(study, items),)
        if part == "mixtures":
            return (mixtures.mixture_section(study, items, self._classifier, light_known=known),)
        if part == "moving":
            casts = [Truth.of(item, known=known).casts for item in items]
            return (moving.moving_section(study, items, casts),)
        if part == "presets":
            return (presets.presets_section(study, items, self._classifier, self._count_cost, light_known=known),)
        return self._kept(items, layers)

    def _kept(self, items: Sequence[Item], layers: dict[str, kept.ByUse]) -> tuple[Section, ...]:
        """Both sets of kept layers; writes every picture's metrics."""
        made = tuple(item for item in self._made if self._has(item, kept.MADE_VARIANTS))
        sections, lines = [], []
        for group, chosen in ((kept.VOCABULARY, items), (kept.OTHERS, made)):
            found = kept.gather(self.study, group, chosen, light_known=self._known_light)
            sections.append(kept.section(group, found))
            lines += kept.as_lines(group, found)
            layers[group.key] = found
        self.study.write(self.plan.file("kept.jsonl"), ("\n".join(lines) + "\n").encode())
        return tuple(sections)

    def _drawn(self, part: Part) -> tuple[Item, ...]:
        """The items of a part of which all drawings exist."""
        return tuple(item for item in self._items[: self._count(part)] if self._has(item, VARIANTS[part]))

    def _has(self, item: Item, variants: Sequence[Variant]) -> bool:
        return all(self.study.has(item, variant) for variant in variants)

    def _figures(self, parts: Mapping[Part, PartResult]) -> dict[str, Any]:
        spec, study = self.study.spec, self.study
        counted = ", ".join(f"{part} {result.pairs}" for part, result in parts.items())
        summary = (
            f"{max(result.pairs for result in parts.values())} pairs of an object and a scene, drawn by “{spec.name}” "
            f"({spec.title}) in {study.count} drawings, which took {study.seconds / 60:.0f} minutes. "
            f"Pairs per part: {counted}."
        )
        return {
            "summary": summary,
            "model": spec.name,
            "steps": spec.usual.steps,
            "size": spec.native_size,
            "drawings": study.count,
            "seconds": round(study.seconds, 1),
            "parts": {part: result.as_json() for part, result in parts.items()},
        }

    def _write_items(self, items: Sequence[Item], rows: table.BySystem) -> None:
        """Write every item's metrics, one line per item and system."""
        lines = [
            json.dumps(
                {"item": item.name, "system": system, "object": item.object, "scene": item.scene, **plain(metrics)}
            )
            for system, column in rows.items()
            for item, metrics in zip(items, column, strict=True)
        ]
        self.study.write(self.plan.file("items.jsonl"), ("\n".join(lines) + "\n").encode())


def _sheets(layers: Mapping[str, kept.ByUse]) -> dict[str, Image.Image]:
    """A contact sheet for each set and use."""
    return {
        f"{key}_{use}": kept_sheet(pictures)
        for key, found in layers.items()
        for use, pictures in found.items()
        if pictures
    }


def _some(layers: Mapping[str, kept.ByUse]) -> list[kept.KeptPicture]:
    """For each use, the first made picture of every kind and the first pair of the vocabulary."""
    vocabulary, others = (layers[group.key] for group in (kept.VOCABULARY, kept.OTHERS))
    return [one for use in others for one in (*others[use][: len(KINDS)], *vocabulary[use][:1])]


def unique(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """Each variant once; a variant comes after the one from which it starts."""
    found = {variant.name: variant for variant in variants}

    def depth(variant: Variant) -> int:
        return 1 + depth(found[variant.after]) if variant.after in found else int(bool(variant.after))

    return tuple(sorted(found.values(), key=depth))


def _charts(sections: Sequence[Section]) -> list[Chart]:
    """The charts: consistency, residue, tone and shadow by system, and one for each of claims (a), (c) and (d)."""
    wanted = (
        ("consistency", "layer consistency (floor 0, ceiling 1)", "Layer consistency\nfloor 0, ceiling 1", 0.6),
        ("residue", "object residue in the background, SD of chance", "Object residue in the background\nSD", 0.2),
        ("tone", "gain: fraction of the data's tint", "Tone: how much of the data's tint", 1.0),
        ("shadow", "gain: fraction of the data's shadow", "Shadow: how much of the data's", 1.0),
        ("masks", "spill over presence", "(c) Spill over presence\nby what the mask is made of", None),
    )
    found = []
    for key, measure, title, target in wanted:
        for section in sections:
            row = next((row for row in section.rows if section.key == key and row.measure == measure), None)
            if row is not None and any(figure.known for figure in row.figures.values()):
                labels = [label for label in section.columns if label in row.figures]
                found.append(Chart(title, labels, {"": [row.figures[label] for label in labels]}, target))
    for section in sections:
        if section.key == "background":
            along = next(row for row in section.rows if row.measure.startswith("its component"))
            if any(figure.known for figure in along.figures.values()):
                title = "(a) The foreground's colour shift\nalong the tint difference, ln"
                found.append(Chart(title, tuple(along.figures), {"": list(along.figures.values())}))
        if section.key == "boundary":
            lines = {row.measure.split(" ")[0]: row for row in section.rows[:4]}
            nothing = estimate([])
            series = {name: [row.figures.get(d, nothing) for d in section.columns] for name, row in lines.items()}
            found.append(Chart("(d) The decision boundary", section.columns, series))
    return found
