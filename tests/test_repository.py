"""What the checkout promises to those who read it and work on it: links lead somewhere, lists are complete."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("engine", "server", "krita_plugin")
PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *(
            page
            for folder in (*SOURCES, "docs", "findings")
            for page in (ROOT / folder).rglob("*.md")
            if "node_modules" not in page.parts
        ),
    }
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```|^(?: {4}|\t).*?$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The names a page's headings are linked by."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(page):
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_every_page_of_the_docs_is_reached_from_the_front_page_or_from_contributing():
    entrances = "".join((ROOT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    assert not [page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in entrances]


def test_every_folder_with_modules_is_a_listed_package():
    listed = set(PYPROJECT["tool"]["setuptools"]["packages"])
    folders = {file.parent for source in SOURCES for file in (ROOT / source).rglob("__init__.py")}
    found = {".".join(("layerfusion", *folder.relative_to(ROOT).parts)) for folder in folders}
    assert listed == found | {"layerfusion"}


def test_the_lock_holds_exact_public_versions_and_nothing_else():
    lines = (ROOT / "requirements-dev.lock").read_text("utf-8").splitlines()
    held = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in held)
    tools = [
        each for each in PYPROJECT["project"]["optional-dependencies"]["dev"] if not each.startswith("layerfusion")
    ]
    for tool in tools:
        name, version = re.fullmatch(r"([\w-]+)(?:\[\w+\])?==([\d.]+)", tool).groups()
        assert f"{name.lower()}=={version}" in held
