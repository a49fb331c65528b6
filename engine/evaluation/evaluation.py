"""A complete evaluation: it determines the drawings that are needed, makes them, and reports the measures."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from PIL import Image

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.evaluation import claims, kept, mixtures, moving, presets, table
from layerfusion.engine.evaluation.charts import Chart, draw_charts
from layerfusion.engine.evaluation.contact_sheets import picture_sheet
from layerfusion.engine.evaluation.items import Item, made_set, prompt_set, stress_set
from layerfusion.engine.evaluation.metrics import Classifier, Truth, plain
from layerfusion.engine.evaluation.rows import Claim, Section
from layerfusion.engine.evaluation.statistics import estimate
from layerfusion.engine.evaluation.study import Done, Study
from layerfusion.engine.evaluation.systems import Variant
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
        skip: number of items of the list that come before the first one, so that a model can be tuned on others than
            those of the table.

    Raises:
        InvalidRequest: a part is unknown, there is no part, or a number is outside 1 to 10000.
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


def quick(spec: ModelSpec) -> ModelSpec:
    """The same model at half its size and three steps, to test that an evaluation runs; its figures mean nothing."""
    return replace(spec, native_size=spec.native_size // 2, defaults=replace(spec.defaults, steps=3))


@dataclass(frozen=True)
class Report:
    """The results of an evaluation.

    Attributes:
        sections: the table's sections, then the claims.
        figures: all results as plain values for JSON.
        charts, pictures: RGB images; None if the plan has no part for them.
    """

    sections: tuple[Section, ...]
    figures: dict[str, Any]
    charts: Image.Image | None
    pictures: Image.Image | None

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
        *,
        light_known: bool,
    ) -> None:
        self.plan = plan
        most = max(plan.pairs, plan.claim_pairs, plan.kept_pairs)
        self._items = prompt_set(vocabulary, plan.skip + most)[plan.skip :]
        self._made = made_set(vocabulary, plan.kept_pairs)
        self._stress = stress_set(vocabulary, plan.skip + plan.stress_pairs)[plan.skip :]
        self._classifier = classifier
        self._known_light = light_known
        self.study = Study(folder, spec)

    def _wanted(self) -> list[tuple[Item, tuple[Variant, ...]]]:
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
        return sum(self.study.missing([item], variants) for item, variants in self._wanted())

    def draw(self, workers: int = 1) -> Generator[Done]:
        """Make the missing drawings and yield after each; see `Study.draw_all`."""
        return self.study.draw_all(self._wanted(), workers)

    def report(self) -> Report:
        """Measure every item of which all drawings exist.

        Raises:
            InvalidRequest: there is no such item.
            UnreadableFile: a drawing is damaged.
        """
        plan, sections = self.plan, []
        drawn = {part: self._drawn(part) for part in plan.parts}
        if not any(drawn.values()):
            raise InvalidRequest(
                f"“{self.study.folder}” contains no completely drawn item.", "Run the evaluation without --report."
            )
        rows: table.BySystem = {}
        if drawn.get("table"):
            rows = table.gather(self.study, drawn["table"], self._classifier, light_known=self._known_light)
            self._write_items(drawn["table"], rows)
            sections += table.sections(rows, table.kept_bytes(self.study, drawn.get("background", ())))
        if drawn.get("background"):
            sections.append(
                claims.background_claim(
                    self.study, drawn["background"], self._classifier, light_known=self._known_light
                )
            )
        if drawn.get("blending"):
            sections.append(claims.blending_claim(self.study, drawn["blending"], light_known=self._known_light))
        if drawn.get("masks"):
            stress = tuple(item for item in self._stress if self._has(item, claims.MASK_VARIANTS))
            sections.append(claims.mask_claim(self.study, drawn["masks"], stress))
        if drawn.get("boundary"):
            sections.append(claims.boundary_claim(self.study, drawn["boundary"]))
        if drawn.get("mixtures"):
            sections.append(
                mixtures.mixture_section(self.study, drawn["mixtures"], self._classifier, light_known=self._known_light)
            )
        if drawn.get("moving"):
            casts = [Truth.of(item, known=self._known_light).casts for item in drawn["moving"]]
            sections.append(moving.moving_section(self.study, drawn["moving"], casts))
        if drawn.get("presets"):
            sections.append(presets.presets_section(self.study, drawn["presets"], self._classifier))
        if drawn.get("kept"):
            sections += self._kept(drawn["kept"])
        return Report(
            tuple(sections),
            self._figures(sections, {part: len(items) for part, items in drawn.items()}),
            draw_charts(charts) if (charts := _charts(sections)) else None,
            picture_sheet(self.study, drawn["table"][:_SHEET_ITEMS]) if drawn.get("table") else None,
        )

    def _kept(self, items: Sequence[Item]) -> list[Section]:
        """Both sets of kept layers; writes every picture's metrics and the sheets."""
        made = tuple(item for item in self._made if self._has(item, kept.MADE_VARIANTS))
        sections, lines = [], []
        for group, chosen in ((kept.VOCABULARY, items), (kept.OTHERS, made)):
            found = kept.gather(self.study, group, chosen, light_known=self._known_light)
            sections.append(kept.section(group, found))
            lines += kept.as_lines(group, chosen, found)
        self.study.write("kept.jsonl", ("\n".join(lines) + "\n").encode())
        return sections

    def _drawn(self, part: Part) -> tuple[Item, ...]:
        """The items of a part of which all drawings exist."""
        return tuple(item for item in self._items[: self._count(part)] if self._has(item, VARIANTS[part]))

    def _has(self, item: Item, variants: Sequence[Variant]) -> bool:
        return all(self.study.has(item, variant) for variant in variants)

    def _figures(self, sections: Sequence[Section], pairs: dict[str, int]) -> dict[str, Any]:
        spec = self.study.spec
        seconds = self.study.seconds
        counted = ", ".join(f"{part} {count}" for part, count in pairs.items())
        summary = (
            f"{max(pairs.values())} pairs of an object and a scene, drawn by “{spec.name}” ({spec.title}) in "
            f"{self.study.count} drawings, which took {seconds / 60:.0f} minutes. Pairs per part: {counted}."
        )
        claimed = {section.key: section.as_json() for section in sections if isinstance(section, Claim)}
        tabled = {section.key: section.as_json() for section in sections if not isinstance(section, Claim)}
        return {
            "summary": summary,
            "model": spec.name,
            "steps": spec.defaults.steps,
            "size": spec.native_size,
            "pairs": pairs,
            "drawings": self.study.count,
            "seconds": round(seconds, 1),
            "classifier": self._classifier is not None,
            "table": tabled,
            "claims": claimed,
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
        self.study.write("items.jsonl", ("\n".join(lines) + "\n").encode())


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
