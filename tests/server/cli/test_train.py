"""`layerfusion train`: what it refuses, before anything is trained or written."""

import json

import pytest

from layerfusion.server.cli import environment
from layerfusion.server.cli.main import main

REFUSED = {
    "no time": (["vae", "--minutes", "0"], "no number above 0, up to 100000"),
    "no rate": (["vae", "--rate", "0"], "no number above 0, up to 10"),
    "a wild rate": (["vae", "--rate", "11"], "up to 10"),
    "unknown stage": (["vea"], "no stage “vea”. Stages are: dataset, vae, thin"),
    "no sprites": (["dataset"], "--sprites FOLDER"),
}
BROKEN = {
    "no edition": (["vae", "--from", "none.json"], "none.json cannot be read"),
    "an edition without a size": (["vae", "--from", "edition.json"], "native_size"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every command runs in a folder with a broken edition."""
    monkeypatch.chdir(tmp_path)
    for name in environment.ENVIRONMENT:
        monkeypatch.setenv(name, "")  # put back afterwards
    (tmp_path / "edition.json").write_text(json.dumps({"base": "tiny"}), encoding="utf-8")
    return tmp_path


def test_wrong_options_are_one_line_and_leave_nothing(subtests, capsys, folder):
    for case, (arguments, named) in (REFUSED | BROKEN).items():
        with subtests.test(case):
            code = main(["train", *arguments])
            out, err = capsys.readouterr()
            assert (code, out) == (1 if case in BROKEN else 2, "")
            assert named in err.splitlines()[-1] and err.startswith("layerfusion: ")
            assert [path.name for path in folder.iterdir()] == ["edition.json"]
