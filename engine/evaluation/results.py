"""The results of an evaluation by part. A run that measures some parts keeps what earlier runs found for the others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.evaluation.rows import Section
from layerfusion.engine.formats.files import reading

PartName = TypeVar("PartName", bound=str)


@dataclass(frozen=True)
class PartResult:
    """What was found for one part.

    Attributes:
        pairs: number of items that were measured.
        sections: its tables.
    """

    pairs: int
    sections: tuple[Section, ...]

    def as_json(self) -> dict[str, Any]:
        return {"pairs": self.pairs, "sections": [section.as_json() for section in self.sections]}

    @staticmethod
    def of_json(value: dict[str, Any]) -> PartResult:
        """The inverse of `as_json`. Raises KeyError or TypeError if it is none."""
        return PartResult(int(value["pairs"]), tuple(Section.of_json(section) for section in value["sections"]))


def read_results(path: Path, parts: Sequence[str]) -> dict[str, PartResult]:
    """Read what earlier runs wrote; nothing if there is no file.

    Args:
        path: the file `results.json`.
        parts: the names of all parts.

    Raises:
        UnreadableFile: the file cannot be read, or holds something else.
    """
    if not path.exists():
        return {}
    try:
        with reading(path, "list of results"):
            found = json.loads(path.read_text(encoding="utf-8"))["parts"]
            return {part: PartResult.of_json(found[part]) for part in parts if part in found}
    except UnreadableFile as error:
        raise UnreadableFile(error.message, "Move it away; the next run measures its own parts only.") from error


def merged(
    earlier: Mapping[str, PartResult], later: Mapping[PartName, PartResult], parts: Sequence[PartName]
) -> dict[PartName, PartResult]:
    """The later results, and the earlier ones of all other parts, in the order of `parts`.

    The later ones get the digits that a file keeps, so that a figure is shown alike in this run and in later ones.
    """
    found = {**earlier, **{part: PartResult.of_json(result.as_json()) for part, result in later.items()}}
    return {part: found[part] for part in parts if part in found}
