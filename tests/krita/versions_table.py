"""What ran in a version of Krita: python tests/krita/versions_table.py REPORT RESULTS

REPORT is the report.json of a session with all scenarios, and RESULTS what pytest wrote with --junit-xml. They become a
row of the table in docs/krita.md; the rows of other versions stay.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

PAGE = Path(__file__).parents[2] / "docs" / "krita.md"
BEGIN, END = "<!-- versions -->", "<!-- end of versions -->"
HEADER = (
    "| Krita | Qt | Python | scenarios | tests | insertion 768x512 | insertion 4000x3000 | export 768x512 "
    "| export 4000x3000 | masked layer kept | put back |"
)


def row(report: dict[str, Any], results: ElementTree.Element) -> str:
    """The row of one session. Raises ValueError if it was one of named scenarios only."""
    if not report["all"]:
        raise ValueError("not all scenarios ran; unset LAYERFUSION_KRITA_SCENARIOS")
    ended = [report[name] for name in report["names"] if name in report]
    fine = [facts for facts in ended if "error" not in facts and not facts["script errors"]]
    total, skipped, failed, broken = (
        sum(int(suite.get(what, 0)) for suite in results.iter("testsuite"))
        for what in ("tests", "skipped", "failures", "errors")
    )
    cells = [
        report["krita"].split()[0],
        report["qt"],
        report["python"],
        f"{len(fine)} of {len(report['names'])}",
        f"{total - skipped - failed - broken} of {total - skipped}",
        *_stalls(report),
    ]
    return f"| {' | '.join(cells)} |"


def _stalls(report: dict[str, Any]) -> list[str]:
    """The longest steps of insertion and export, and of a layer with a mask that is kept and put back."""
    sizes = report.get("go_on_while_layers_come_and_go", {})
    masked = report.get("keep_a_large_layer_with_a_mask", {})
    steps = [sizes.get(size, {}).get(what) for what in ("insertion", "export") for size in ("768x512", "4000x3000")]
    steps += [masked.get(what) for what in ("keeping", "putting back")]
    return ["?" if each is None else f"{each['longest']} ms" for each in steps]


def with_row(page: str, new: str) -> str:
    """The page with this row instead of that of the same version, in the order of the versions."""
    start, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    old = [line for line in page[start:end].splitlines() if re.match(r"\| \d", line)]
    known = {line.split()[1]: line for line in [*old, new]}
    ordered = sorted(known, key=lambda version: [int(part) for part in re.findall(r"\d+", version)])
    table = [HEADER, "|" + "---|" * (HEADER.count("|") - 1), *(known[version] for version in ordered)]
    return page[:start] + "\n\n" + "\n".join(table) + "\n\n" + page[end:]


if __name__ == "__main__":
    new = row(json.loads(Path(sys.argv[1]).read_text("utf-8")), ElementTree.parse(sys.argv[2]).getroot())
    PAGE.write_text(with_row(PAGE.read_text("utf-8"), new), encoding="utf-8")
    print(HEADER, new, sep="\n")
