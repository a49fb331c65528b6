"""`layerfusion evaluate`: draw a fixed set of pairs and say in numbers what LayerFusion does."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from layerfusion.engine.errors import InvalidRequest, UnreadableFile
from layerfusion.engine.formats.files import check_writable, reading, replacing
from layerfusion.engine.models.catalog.manifest import read_manifest
from layerfusion.engine.models.catalog.registry import EMBEDDED, find_model
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.server.cli.console import say
from layerfusion.server.cli.environment import prepare_libraries
from layerfusion.server.cli.sources import read_switch
from layerfusion.server.cli.values import whole

if TYPE_CHECKING:
    from layerfusion.engine.evaluation.evaluation import Evaluation, Report
    from layerfusion.engine.evaluation.metrics import Classifier

BEGIN = "<!-- figures: written by `layerfusion evaluate --write-table`, not by hand -->"
END = "<!-- end of figures -->"
_SHOWN = {
    "charts": "The charts",
    "losses": "Cost against loss",
    "pictures": "The pictures",
    "kept": "What is kept",
}
"""What stands below the tables of a page: name of the picture -> its title."""

_SAY_EVERY = 10
MAX_PAIRS = 10_000
"""As `engine.evaluation.evaluation.Plan` has it, which is not imported here."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `evaluate`."""
    parser.description = (
        "Draw a fixed set of object and scene pairs with LayerFusion, its options and three baselines, "
        "and measure consistency, residue, tone, shadow, masks and what happens to kept layers, with 95 % intervals. "
        "Goes on where it was stopped, and keeps earlier results of parts that are not named. "
        "120 pairs with all parts are about 2,000 drawings: some 20 minutes on one idle processor core."
    )
    parser.set_defaults(run=run)
    cores = os.cpu_count() or 1
    add = parser.add_argument
    add("--out", metavar="DIR", default="evaluation", help="where drawings and results go (default: evaluation)")
    add("--model", metavar="NAME", default="tiny", help="see `layerfusion models` (default: tiny)")
    pairs = whole(1, MAX_PAIRS)
    add("--pairs", metavar="N", type=pairs, default=120, help="pairs of the table (default: 120)")
    add(
        "--claim-pairs",
        metavar="N",
        type=pairs,
        default=40,
        help="of them, for claims (a), (c), (d), mixtures, moving and presets (default: 40)",
    )
    add("--stress-pairs", metavar="N", type=pairs, default=24, help="before textured backdrops (default: 24)")
    add("--kept-pairs", metavar="N", type=pairs, default=24, help="kept objects, of each of two sets (default: 24)")
    add(
        "--parts",
        metavar="P,P",
        help="some of table, background, blending, masks, boundary, mixtures, moving, presets, kept (default: all)",
    )
    add(
        "--skip",
        metavar="N",
        type=whole(0, MAX_PAIRS),
        default=0,
        help="leave out the first pairs of the list, to tune options on others than those of the table (default: 0)",
    )
    add(
        "--set",
        dest="switches",
        metavar="NAME=VALUE",
        type=read_switch,
        action="append",
        default=[],
        help="one option of the method that replaces the model's own; needs its own --out; may be repeated",
    )
    add("--classifier", metavar="FILE", help="weights of the training's classifier; without it nothing is named")
    add(
        "--workers",
        metavar="N",
        type=whole(1, cores),
        default=1,
        help=f"processes that draw, 1 to {cores} (default: 1)",
    )
    add("--redraw", action="store_true", help="first delete the drawings of these parts: the program has changed")
    add("--report", action="store_true", help="draw nothing; measure what is drawn already")
    add("--quick", action="store_true", help="two small pairs in three steps, to see that it runs; no figures")
    add("--write-table", metavar="FILE.md", help="also put the figures into this page, between its two marks")


def run(arguments: argparse.Namespace) -> None:
    """Draw what is missing, measure, and write `results.json`, `results.md` and the pictures into the folder.

    Raises:
        InvalidRequest: numbers out of range, options that exclude each other, another model's folder, or nothing to
            report.
        FileError: the folder or the page cannot be written, the page has no place for the table, no classifier there.
    """
    if arguments.report and arguments.redraw:
        raise InvalidRequest("--report draws nothing, and --redraw draws again.", "Give one of them.")
    page = None if arguments.write_table is None else Path(arguments.write_table)
    if page is not None:
        if arguments.skip or arguments.switches:
            message = "A page has the figures of the first pairs, with the model's own options."
            raise InvalidRequest(message, "Leave out --write-table, or --skip and --set.")
        check_writable(page)
        split_page(page)
    spec = find_model(arguments.model)
    prepare_libraries()
    evaluation = _evaluation(arguments, spec)
    if not arguments.report:
        if arguments.redraw:
            evaluation.forget()
        _draw(evaluation, arguments.workers)
    report = evaluation.report()
    _write(evaluation, report)
    say(str(report.figures["summary"]))
    for section in report.sections:
        for row in section.rows:
            if row.bar:
                say(f"  {row.verdict.strip('*'):<12}  {section.title}: {row.measure} ({row.bar})")
    if page is not None:
        _write_page(page, report)
        say(str(page))
    say(str(evaluation.study.folder / evaluation.plan.file("results.md")))


def _evaluation(arguments: argparse.Namespace, spec: ModelSpec) -> Evaluation:
    from layerfusion.engine.evaluation.evaluation import PARTS, Evaluation, Plan, quick
    from layerfusion.engine.profiling.cost_model import count_on_sdxl

    named = None if arguments.parts is None else [part.strip() for part in arguments.parts.split(",")]
    parts = PARTS if named is None else tuple(part for part in named if part)
    fusion = spec.defaults.fusion.adjusted(None, dict(arguments.switches))
    spec = replace(spec, defaults=replace(spec.defaults, fusion=fusion))
    plan = Plan(
        parts=parts,  # type: ignore[arg-type] - the plan itself refuses unknown ones
        pairs=2 if arguments.quick else arguments.pairs,
        claim_pairs=2 if arguments.quick else arguments.claim_pairs,
        stress_pairs=1 if arguments.quick else arguments.stress_pairs,
        kept_pairs=1 if arguments.quick else arguments.kept_pairs,
        skip=arguments.skip,
    )
    return Evaluation(
        Path(arguments.out),
        quick(spec) if arguments.quick else spec,
        plan,
        spec.vocabulary or read_manifest(EMBEDDED).vocabulary,
        None if arguments.classifier is None else _classifier(Path(arguments.classifier)),
        count_on_sdxl,
        light_known=spec.demo,
    )


def _classifier(file: Path) -> Classifier:
    """The classifier that the training leaves.

    Raises:
        UnreadableFile: the file is not there, or holds something else.
    """
    remedy = "Give the weights that `layerfusion train classifier` left."
    if not file.is_file():
        raise UnreadableFile(f"“{file}” is not a file.", remedy)
    from layerfusion.engine.training.classifier import load_classifier

    try:
        with reading(file, "classifier of this version"):
            return load_classifier(file)
    except UnreadableFile as error:
        raise UnreadableFile(error.message, remedy) from error


def _draw(evaluation: Evaluation, workers: int) -> None:
    seconds: list[float] = []
    with closing(evaluation.draw(workers)) as drawn:
        missing, there = evaluation.missing(), evaluation.study.count
        if missing:
            say(f"{missing} drawings to make, {there} are there. Stop and go on as you like.", sys.stderr)
        for done in drawn:
            seconds.append(done.seconds)
            if len(seconds) % _SAY_EVERY == 0:
                minutes = done.left * sum(seconds) / len(seconds) / workers / 60
                say(f"{done.item} {done.variant}: {done.left} left, about {minutes:.0f} minutes", sys.stderr)


def _write(evaluation: Evaluation, report: Report) -> None:
    study = evaluation.study
    study.write(evaluation.plan.file("results.json"), json.dumps(report.figures, indent=1).encode())
    study.write(evaluation.plan.file("results.md"), report.as_markdown().encode())
    for name, picture in {**report.pictures, **report.sheets}.items():
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        study.write(evaluation.plan.file(f"{name}.png"), buffer.getvalue())


def split_page(page: Path) -> tuple[str, str]:
    """What stands before and after the figures, both lines that mark them included.

    Raises:
        UnreadableFile: the page is not there, or has no place for them.
    """
    if not page.is_file():
        raise UnreadableFile(f"“{page}” is not a file.", f"Make it, with the lines {BEGIN} and {END} in it.")
    with reading(page, "text"):
        text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UnreadableFile(f"“{page}” has no place for the figures.", f"Put the lines {BEGIN} and {END} into it.")
    return before + begin, end + after


def _write_page(page: Path, report: Report) -> None:
    """Put the figures into a page, and beside it its pictures and, as JSON, the results that it shows.

    Pictures of parts that were not measured now stay.
    """
    before, after = split_page(page)
    parts = [report.as_markdown()]
    for kind, title in _SHOWN.items():
        drawn = kind in ("charts", "losses")
        beside = page.with_name(f"{page.stem}-{kind}.{'png' if drawn else 'jpg'}")
        if kind in report.pictures:
            buffer = io.BytesIO()
            report.pictures[kind].save(buffer, "PNG" if drawn else "JPEG", quality=90, optimize=True)
            with replacing(beside) as file:
                file.write(buffer.getvalue())
        if beside.exists():
            parts.append(f"![{title}]({beside.name})\n")
    with replacing(page.with_name(f"{page.stem}-figures.json")) as file:
        file.write(json.dumps(report.figures, indent=1).encode())
    with replacing(page) as file:
        file.write(f"{before}\n\n{chr(10).join(parts)}\n{after}".encode())
