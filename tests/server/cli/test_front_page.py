"""README's recipes run as they stand in an empty folder, and every command line that the pages show can be parsed."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from layerfusion.engine import formats
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog import registry
from layerfusion.server.cli import generate
from layerfusion.server.cli.main import main
from layerfusion.server.cli.parser import build_parser

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted((ROOT / "docs").glob("*.md"))
COMMAND = re.compile(r"(?:\.venv/bin/|\.venv\\Scripts\\)?layerfusion (.+?)(?= && |; |$)")


def command_lines(page):
    """The arguments after `layerfusion` on every line of the page's code blocks."""
    text = page.read_text("utf-8").replace("\\\n", "")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"^ {4}(?=\S)(.*)$", text, re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    starting = re.compile(r"(\.venv|python3? -m venv|py -m venv|layerfusion )")
    return [found for line in lines if starting.match(line) for found in COMMAND.findall(line)]


def test_every_command_line_in_the_pages_can_be_parsed(subtests):
    assert len(command_lines(ROOT / "README.md")) > 10
    for page in PAGES:
        for line in command_lines(page):
            with subtests.test(f"{page.name}: {line}"):
                assert build_parser().parse_args(shlex.split(line, comments=True)).run


@pytest.fixture
def few_steps(monkeypatch, small_model):
    """Draw two steps on a small canvas, because only the files that the recipes read and write are tested."""

    def find_model(name):
        spec = registry.find_model(name)
        return replace(spec, native_size=64, defaults=replace(spec.defaults, steps=2))

    monkeypatch.setattr(generate, "find_model", find_model)
    monkeypatch.setattr(generate, "DEFAULT_SIZE", Size(128, 128))


def test_the_recipes_run_in_an_empty_folder(tmp_path, monkeypatch, capsys, few_steps):
    recipes = (ROOT / "README.md").read_text("utf-8").partition("## Recipes")[2].partition("\n## ")[0]
    page = tmp_path / "recipes.md"
    page.write_text(recipes, "utf-8")
    lines = [line for line in command_lines(page) if line.startswith(("generate", "export"))]
    assert len(lines) == 6
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for line in lines:
        assert main(shlex.split(line)) == 0, f"{line}: {capsys.readouterr().err}"
    written = {path.name for path in Path().iterdir()}
    pictures = {f"apple-{number}.psd" for number in (1, 2, 3, 4)} | {"apple", "winter.psd", "moved.psd", "robot.psd"}
    assert written == pictures | {"robot.masks.png", "robot"}
    for name in pictures | {"robot"}:
        assert len(formats.load(name)) == 5
