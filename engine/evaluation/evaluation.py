"""An evaluation from beginning to end: which drawings it needs, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from PIL import Image

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.evaluation import claims, moving, presets, table
from layerfusion.engine.evaluation.charts import Chart, draw_charts
from layerfusion.engine.evaluation.contact_sheets import picture_sheet
from layerfusion.engine.evaluation.items import Item, prompt_set, stress_set
from layerfusion.engine.evaluation.metrics import Classifier, Truth
from layerfusion.engine.evaluation.rows import Claim, Section
from layerfusion.engine.evaluation.statistics import estimate
from layerfusion.engine.evaluation.study import Done, Study
from layerfusion.engine.evaluation.systems import Variant
from layerfusion.engine.models.catalog.spec import ModelSpec

Part = Literal["table", "background", "blending", "masks", "boundary", "moving", "presets"]
PARTS: tuple[Part, ...] = get_args(Part)
MAX_PAIRS = 10_000

VARIANTS: dict[Part, tuple[Variant, ...]] = {
    "table": table.VARIANTS,
    "background": claims.BACKGROUND_VARIANTS,
    "blending": claims.BLENDING_VARIANTS,
    "masks": claims.MASK_VARIANTS,
    "boundary": claims.BOUNDARY_VARIANTS,
    "moving": moving.VARIANTS,
    "presets": presets.VARIANTS,
}
"""What must be drawn of every item of a part."""

_PICTURES = 8
"""Items on the picture sheet."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is drawn.

    Attributes:
        parts: the table, the four claims of Fig. 5, the moved object of Fig. 1 and the presets, or some of them.
        pairs: items of the table, and of claim (b), which needs no more drawings.
        claim_pairs: items of claims (a), (c) and (d), of the moved object and of the presets, the first of the table's.
        stress_pairs: items before textured backdrops, for claim (c).

    Raises:
        InvalidRequest: an unknown part, none, or a number outside 1 to 10000.
    """

    parts: tuple[Part, ...] = PARTS
    pairs: int = 120
    claim_pairs: int = 40
    stress_pairs: int = 24

    def __post_init__(self) -> None:
        unknown = set(self.parts) - set(PARTS)
        if unknown or not self.parts:
            named = ", ".join(sorted(unknown)) or "nothing"
            raise InvalidRequest(f"The parts are {named}.", f"Choose among: {', '.join(PARTS)}.")
        for name in ("pairs", "claim_pairs", "stress_pairs"):
            if not 1 <= getattr(self, name) <= MAX_PAIRS:
                words = name.replace("_", " ")
                raise InvalidRequest(f"{getattr(self, name)} {words}.", f"Choose 1 to {MAX_PAIRS}.")


def quick(spec: ModelSpec) -> ModelSpec:
    """The same model at half its size and three steps: goes the whole road in seconds, and its figures mean nothing."""
    return replace(spec, native_size=spec.native_size // 2, defaults=replace(spec.defaults, steps=3))


@dataclass(frozen=True)
class Report:
    """What an evaluation found.

    Attributes:
        sections: the table's parts, then the claims.
        figures: everything, as plain values for JSON.
        charts, pictures: RGB; None where the plan draws nothing for them.
    """

    sections: tuple[Section, ...]
    figures: dict[str, Any]
    charts: Image.Image | None
    pictures: Image.Image | None

    def as_markdown(self) -> str:
        """The summary, every table and every verdict."""
        return "\n".join([str(self.figures["summary"]), "", *(section.as_markdown() for section in self.sections)])


class Evaluation:
    """Draw and measure.

    Args:
        folder: of the study; drawings that are there already are not made again.
        spec: which model.
        plan: how much.
        vocabulary: the words the items are made of; the model's own, or the embedded model's for one that knows the
            world.
        classifier: names what pictures show; without one those rows say "not measured".
        known_light: whether the model was trained on the data whose light is known; tone and shadow need it.

    Raises:
        InvalidRequest: the folder holds another model's drawings, or the vocabulary is none.
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
        known_light: bool,
    ) -> None:
        self.plan = plan
        self._items = prompt_set(vocabulary, max(plan.pairs, plan.claim_pairs))
        self._stress = stress_set(vocabulary, plan.stress_pairs)
        self._classifier = classifier
        self._known_light = known_light
        self.study = Study(folder, spec)

    def _wanted(self) -> list[tuple[Item, tuple[Variant, ...]]]:
        """Every item with the ways it is drawn, those of many ways first."""
        found = [
            (item, unique([way for part in self.plan.parts if place < self._count(part) for way in VARIANTS[part]]))
            for place, item in enumerate(self._items)
        ]
        if "masks" in self.plan.parts:
            found += [(item, claims.MASK_VARIANTS) for item in self._stress]
        return [(item, ways) for item, ways in found if ways]

    def _count(self, part: Part) -> int:
        """Items of a part."""
        return self.plan.pairs if part in ("table", "blending") else self.plan.claim_pairs

    def missing(self) -> int:
        """Drawings still to be made."""
        return sum(self.study.missing([item], ways) for item, ways in self._wanted())

    def draw(self, workers: int = 1) -> Generator[Done]:
        """Make the missing drawings, yielding after each; see `Study.draw_all`."""
        return self.study.draw_all(self._wanted(), workers)

    def report(self) -> Report:
        """Measure every item that is completely drawn.

        Raises:
            InvalidRequest: no item is.
            UnreadableFile: a drawing is damaged.
        """
        plan, sections = self.plan, []
        drawn = {part: self._drawn(part) for part in plan.parts}
        if not any(drawn.values()):
            raise InvalidRequest(
                f"Nothing is drawn completely yet in “{self.study.folder}”.", "Let the evaluation draw first."
            )
        kept = drawn.get("background", ())
        rows: table.BySystem = {}
        if drawn.get("table"):
            rows = table.gather(self.study, drawn["table"], self._classifier, known_light=self._known_light)
            self._write_items(drawn["table"], rows)
            sections += table.sections(rows, table.kept_bytes(self.study, kept))
        if drawn.get("background"):
            sections.append(claims.background_claim(self.study, kept, self._classifier))
        if drawn.get("blending"):
            sections.append(claims.blending_claim(self.study, drawn["blending"], known_light=self._known_light))
        if drawn.get("masks"):
            stress = tuple(item for item in self._stress if self._has(item, claims.MASK_VARIANTS))
            sections.append(claims.mask_claim(self.study, drawn["masks"], stress))
        if drawn.get("boundary"):
            sections.append(claims.boundary_claim(self.study, drawn["boundary"]))
        if drawn.get("moving"):
            casts = [Truth.of(item, known=self._known_light).casts for item in drawn["moving"]]
            sections.append(moving.moving_section(self.study, drawn["moving"], casts))
        if drawn.get("presets"):
            sections.append(presets.presets_section(self.study, drawn["presets"], self._classifier))
        return Report(
            tuple(sections),
            self._figures(sections, {part: len(items) for part, items in drawn.items()}),
            draw_charts(charts) if (charts := _charts(sections)) else None,
            picture_sheet(self.study, drawn["table"][:_PICTURES]) if drawn.get("table") else None,
        )

    def _drawn(self, part: Part) -> tuple[Item, ...]:
        """The items of a part of which every drawing is there."""
        return tuple(item for item in self._items[: self._count(part)] if self._has(item, VARIANTS[part]))

    def _has(self, item: Item, variants: Sequence[Variant]) -> bool:
        return all(self.study.has(item, variant) for variant in variants)

    def _figures(self, sections: Sequence[Section], pairs: dict[str, int]) -> dict[str, Any]:
        spec = self.study.spec
        seconds = self.study.seconds
        counted = ", ".join(f"{part} {count}" for part, count in pairs.items())
        summary = (
            f"{max(pairs.values())} pairs of an object and a scene, drawn by “{spec.name}” ({spec.title}) in "
            f"{self.study.count} drawings, {seconds / 60:.0f} minutes of drawing. Pairs a part: {counted}."
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
        """Every item's facts, one line an item and system."""
        lines = [
            json.dumps(
                {"item": item.name, "system": system, "object": item.object, "scene": item.scene, **plain(facts)}
            )
            for system, column in rows.items()
            for item, facts in zip(items, column, strict=True)
        ]
        self.study.write("items.jsonl", ("\n".join(lines) + "\n").encode())


def plain(facts: dict[str, float]) -> dict[str, float | None]:
    """For JSON, which has no NaN."""
    return {name: float(f"{value:.6g}") if value == value else None for name, value in facts.items()}


def unique(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """Each once, those others start from first."""
    found = {variant.name: variant for variant in variants}

    def depth(variant: Variant) -> int:
        return 1 + depth(found[variant.after]) if variant.after in found else int(bool(variant.after))

    return tuple(sorted(found.values(), key=depth))


def _charts(sections: Sequence[Section]) -> list[Chart]:
    """The figures one wants to see: tone and shadow by system, and a panel a claim."""
    wanted = (
        ("consistency", "part of the way from floor to ceiling", "Layer consistency\nfloor 0, ceiling 1", 0.6),
        ("residue", "object residue in the background, SD of chance", "Object residue in the background\nSD", 0.2),
        ("tone", "gain: how much of the tint is there", "Tone: how much of the data's tint", 1.0),
        ("shadow", "gain: how much of the data's shadow is there", "Shadow: how much of the data's", 1.0),
        ("masks", "spill over presence", "(c) Spill over presence\nby what the mask is made of", None),
    )
    found = []
    for key, measure, title, asked in wanted:
        for section in sections:
            row = next((row for row in section.rows if section.key == key and row.measure == measure), None)
            if row is not None and any(figure.known for figure in row.figures.values()):
                labels = [label for label in section.columns if label in row.figures]
                found.append(Chart(title, labels, {"": [row.figures[label] for label in labels]}, asked))
    for section in sections:
        if section.key == "background":
            pair = [row for row in section.rows if row.measure.startswith("colour shift")]
            labels = ("another prompt", "another seed")
            found.append(Chart("(a) Colour shift inside the object", labels, {"": [row.figures[""] for row in pair]}))
        if section.key == "boundary":
            lines = {row.measure.split(" ")[0]: row for row in section.rows[:4]}
            nothing = estimate([])
            series = {name: [row.figures.get(d, nothing) for d in section.columns] for name, row in lines.items()}
            found.append(Chart("(d) The decision boundary", section.columns, series))
    return found
