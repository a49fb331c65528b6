"""`layerfusion evaluate`: what it refuses, before anything is drawn or written."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops
from safetensors.torch import save_file

from layerfusion.engine.evaluation.evaluation import PARTS, Report
from layerfusion.engine.evaluation.presets import trade_offs
from layerfusion.engine.evaluation.results import read_results
from layerfusion.engine.evaluation.trade_off import draw_trade_offs
from layerfusion.server.cli import environment
from layerfusion.server.cli.evaluate import BEGIN, END
from layerfusion.server.cli.main import main

OPTIONS = {
    "unknown part": (["--parts", "table,poetry"], "poetry. Choose among: table, background"),
    "no part": (["--parts", " , "], "No part is given. Choose among: table"),
    "no pairs": (["--pairs", "0"], "--pairs: “0” is no whole number from 1 to 10000"),
    "negative pairs": (["--pairs", "-3"], "--pairs: “-3” is no"),
    "too many pairs": (["--stress-pairs", "10001"], "--stress-pairs: “10001” is no"),
    "no claim pairs": (["--claim-pairs", "0"], "--claim-pairs: “0” is no"),
    "pairs in words": (["--pairs", "many"], "many"),
    "no workers": (["--workers", "0"], "--workers: “0” is no whole number from 1 to"),
    "more workers than cores": (["--workers", str((os.cpu_count() or 1) + 1)], f"from 1 to {os.cpu_count() or 1}."),
    "pairs to skip": (["--skip", "-1"], "--skip: “-1” is no whole number from 0 to 10000"),
    "unknown option": (["--set", "soft_mood=otsu"], "there is no option “soft_mood”"),
    "wrong value of an option": (["--set", "soft_mode=square"], "soft mode"),
    "unknown model": (["--model", "nope"], "nope"),
    "missing classifier": (["--classifier", "none.safetensors"], "none.safetensors” is not a file. Give the weights"),
    "a folder as classifier": (["--classifier", "."], "“.” is not a file"),
    "missing page": (["--write-table", "none.md"], "none.md"),
    "page in a missing folder": (["--write-table", "nowhere/page.md"], "nowhere"),
    "report and redraw": (["--report", "--redraw"], "--report draws nothing, and --redraw draws again. Give one"),
    "a page of skipped pairs": (["--skip", "9", "--write-table", "none.md"], "A page has the figures of the first"),
    "a page of other options": (["--set", "soft_mode=scaled", "--write-table", "x.md"], "Leave out --write-table, or"),
    "no kept pairs": (["--kept-pairs", "0"], "--kept-pairs: “0” is no whole number from 1 to 10000"),
    "nothing drawn": (["--report"], "“evaluation” contains no completely drawn item"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in environment.ENVIRONMENT:
        monkeypatch.setenv(name, "")  # put back afterwards
    return tmp_path


def refused(capsys, *arguments):
    """The line with which `layerfusion evaluate` refuses its arguments."""
    code = main(["evaluate", *arguments])
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("layerfusion: ")
    return err


def test_wrong_options_are_one_line_and_leave_nothing(subtests, capsys, folder):
    for case, (arguments, named) in OPTIONS.items():
        with subtests.test(case):
            assert named in refused(capsys, *arguments)
            assert not list(folder.iterdir())


def shapes_of_another_vocabulary(file):
    from layerfusion.engine.training.classifier import ClassifierNetwork

    weights = {name: torch.zeros_like(value) for name, value in ClassifierNetwork().state_dict().items()}
    save_file(weights | {"objects.1.bias": torch.zeros(3)}, file)


RECOGNISERS = {
    "no safetensors": lambda file: file.write_bytes(b"hello" * 9),
    "empty": lambda file: file.touch(),
    "other weights": lambda file: save_file({"a": torch.zeros(2)}, file),
    "another vocabulary": shapes_of_another_vocabulary,
}


def test_an_unknown_classifier_is_named_with_the_known_ones(subtests, capsys, folder):
    for case, make in RECOGNISERS.items():
        with subtests.test(case):
            make(folder / "mine.safetensors")
            error = refused(capsys, "--classifier", "mine.safetensors")
            assert "“mine.safetensors” is not a classifier" in error
            assert "layerfusion train classifier" in error
            assert [path.name for path in folder.iterdir()] == ["mine.safetensors"]


def test_a_classifier_of_every_edition_is_read(tmp_path):
    from layerfusion.engine.training.classifier import ClassifierNetwork, load_classifier
    from layerfusion.engine.training.data.vocabulary import VOCABULARIES

    for known in VOCABULARIES.values():
        save_file(ClassifierNetwork(known).state_dict(), tmp_path / "weights.safetensors")
        assert load_classifier(tmp_path / "weights.safetensors").object_names == known.names(held_out=True)


@pytest.mark.parametrize(("out", "named"), [("mine", "“mine” is a file"), ("mine/new", "cannot be written")])
def test_a_file_where_the_folder_should_be_is_named_before_drawing(capsys, folder, out, named):
    (folder / "mine").write_bytes(b"precious")
    assert named in refused(capsys, "--out", out, "--quick")
    assert (folder / "mine").read_bytes() == b"precious"


FOLDERS = {
    "another model": ("study.json", json.dumps({"model": "mine", "digest": "0"}), "drawings of “mine”, not of “tiny”"),
    "other weights": ("study.json", json.dumps({"model": "tiny", "digest": "0"}), "another model, not of “tiny” with"),
    "a damaged owner": ("study.json", "[1, 2", "another model"),
    "a list that is no text": ("drawings.jsonl", "\udcff", "drawings.jsonl” is not a list of drawings"),
}


@pytest.mark.parametrize(("name", "content", "named"), FOLDERS.values(), ids=FOLDERS.keys())
def test_a_folder_of_other_drawings_is_not_changed(capsys, folder, name, content, named):
    (folder / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    before = (folder / name).read_bytes()
    assert named in refused(capsys, "--out", ".", "--quick")
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_bytes() == before


PAGES = sorted((Path(__file__).parents[3] / "docs").glob("*-figures.json"))


@pytest.mark.parametrize("results", PAGES, ids=lambda path: path.stem)
def test_a_page_and_its_chart_are_what_the_command_writes(results):
    """Of the results in the file beside the page, in the command's own words."""
    page = results.with_name(results.name.replace("-figures.json", ".md"))
    figures = json.loads(results.read_text(encoding="utf-8"))
    sections = [section for part in read_results(results, PARTS).values() for section in part.sections]
    shown = page.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    text = Report(tuple(sections), figures, {}, {}).as_markdown()
    assert shown.startswith(f"\n\n{text}")
    for section in sections:
        if section.key == "presets":
            with Image.open(page.with_name(f"{page.stem}-losses.png")) as drawn:
                wanted = draw_trade_offs(trade_offs(section))
                assert drawn.size == wanted.size
                difference = np.asarray(ImageChops.difference(drawn.convert("RGB"), wanted))
                assert (difference.max(axis=-1) > 40).mean() < 0.01  # versions of Pillow differ in their letters
