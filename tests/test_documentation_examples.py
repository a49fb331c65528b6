"""The examples of the documentation, as a reader would run them, on the embedded model."""

import doctest
import json
from dataclasses import replace
from pathlib import Path

import pytest

from layerfusion import LayerStack
from layerfusion.engine import api
from layerfusion.engine.models.catalog.pretrained import find_pretrained
from layerfusion.engine.models.catalog.registry import find_model

ROOT = Path(__file__).parents[1]


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """The embedded model at half its size and in two steps, in an empty folder."""
    tiny = find_model("tiny")
    quick = replace(tiny, native_size=64, defaults=replace(tiny.defaults, steps=2))
    monkeypatch.setattr(api, "find_pretrained", lambda model: quick if model == "tiny" else find_pretrained(model))
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore::layerfusion.NoticeWarning")
@pytest.mark.usefixtures("quick")
def test_the_api_page_is_true():
    failed, tried = doctest.testfile(
        str(ROOT / "docs" / "api.md"), module_relative=False, optionflags=doctest.ELLIPSIS, encoding="utf-8"
    )
    assert (failed, tried >= 25) == (0, True)


@pytest.mark.filterwarnings("ignore::layerfusion.NoticeWarning")
@pytest.mark.usefixtures("quick")
def test_the_notebook_runs_from_top_to_bottom_and_is_kept_without_results():
    cells = json.loads((ROOT / "examples" / "layers.ipynb").read_text("utf-8"))["cells"]
    names = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            exec(cell["source"].replace("(384, 384)", "(64, 64)").replace("by=(72, 18)", "by=(12, 3)"), names)
    assert isinstance(names["robot"], LayerStack)
    assert names["previews"]
    assert Path("apple.psd").is_file()
