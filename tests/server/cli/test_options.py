"""`layerfusion options`: the method's options, listed without a model."""

import re

import pytest

from commands import run
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.server.cli import options


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_the_artists_options_are_listed_with_the_models_defaults(capsys):
    code, out, err = run(capsys, "options")
    assert (code, err) == (0, "")
    assert "  blend_end=0 to 1  (default: 0.3)\n" in out, "the embedded model's own"
    assert "  prior=per_step|lagged|once  (default: lagged)\n" in out
    assert "  few_steps=true|false  (default: true)\n" in out
    assert "  fast: prior=lagged, " in out
    assert "mask_smoothing" not in out
    assert max(map(len, out.splitlines())) <= 100


def test_all_lists_every_option_with_values_that_set_accepts(capsys):
    _, out, _ = run(capsys, "options", "--all")
    listed = dict(re.findall(r"^  (\w+)=.*\(default: (.*)\)$", out, re.MULTILINE))
    assert listed.keys() == {option.name for option in FusionSettings.options()}
    own = find_model("tiny").defaults.fusion
    assert own.adjusted(None, {name: "" if value == "empty" else value for name, value in listed.items()}) == own


def test_one_option_is_explained_in_full(capsys):
    _, out, _ = run(capsys, "options", "decision_boundary")
    (option,) = (option for option in FusionSettings.options() if option.name == "decision_boundary")
    for text in ("artist", "researcher"):
        assert option.metadata[text] in " ".join(out.split())


def test_an_unknown_option_gets_a_suggestion(capsys):
    code, _, err = run(capsys, "options", "decision_bounary")
    assert (code, "did you mean decision_boundary?" in err) == (2, True)
    assert run(capsys, "options", "--model", "none")[0] == 2


def test_every_kind_of_option_is_written_as_text():
    kinds = {next(iter(option.metadata["limits"])) for option in FusionSettings.options()}
    assert kinds == {"choices", "whole", "number", "flag", "text"}
    words = {options._values(option) for option in FusionSettings.options()}
    assert {"true|false", "0.01 to 1000 or none", "whole number 1 to 8"} <= words
