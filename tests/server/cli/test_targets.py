"""Where pictures are written: existing files are replaced only with the option, and several pictures get numbers."""

import argparse
import itertools
from pathlib import Path

import numpy as np
import pytest

from commands import drawing, run
from layerfusion.engine import formats
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.stack import LayerStack
from layerfusion.krita_plugin import package
from layerfusion.server.cli.console import UsageError
from layerfusion.server.cli.targets import generate_targets


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(**changes):
    usual = {"out": "apple.psd", "variants": None, "overwrite": False, "masks": False, "inspect": None}
    return argparse.Namespace(**usual | changes)


def outs(**changes):
    return [target.out for target in generate_targets(asked(**changes))]


def test_several_pictures_get_numbers_that_are_not_taken(folder):
    assert outs() == ["apple.psd"]
    assert outs(variants=1) == ["apple-1.psd"]
    for name in ("apple-2.psd", "apple-x.psd", "apple-10.ora", "apple.psd"):
        (folder / name).touch()
    assert outs(variants=2) == ["apple-3.psd", "apple-4.psd"]
    assert outs(variants=2, overwrite=True) == ["apple-1.psd", "apple-2.psd"]
    (folder / "robot-7").mkdir()
    assert outs(out="robot/", variants=2) == ["robot-8/", "robot-9/"]
    assert outs(out="robot", variants=1) == ["robot-8"]


def test_masks_and_inspection_folders_are_named_after_their_picture():
    (first, second) = generate_targets(asked(variants=2, masks=True, inspect="inside"))
    assert (first.sheet, first.inside) == (Path("apple-1.masks.png"), Path("inside-1"))
    assert (second.sheet, second.inside) == (Path("apple-2.masks.png"), Path("inside-2"))
    (alone,) = generate_targets(asked(out="apple/", masks=True))
    assert alone.sheet == Path("apple/masks.png")


@pytest.mark.parametrize("out", ["./", "../", "/"])
def test_a_name_that_takes_no_number_is_refused(out):
    with pytest.raises(UsageError, match="--variants"):
        generate_targets(asked(out=out, variants=2))


def stack():
    layer = Layer(name="b", role=Role.BACKGROUND, pixels=np.full((4, 4, 4), 255, np.uint8))
    return LayerStack(name="s", size=Size(4, 4), layers=(layer,))


def test_existing_files_are_refused_before_drawing_and_replaced_only_with_the_option(subtests, capsys, folder):
    formats.save(stack(), "in.ora")
    formats.save(stack(), "ours/")
    files = {"a.psd": b"precious", "a.masks.png": b"mine", "inside/trust.png": b"mine too"}
    (folder / "inside").mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    refused = {
        "generate": (drawing(), "a.psd"),
        "generate into a folder of ours": (drawing(**{"--out": "ours/"}), str(Path("ours", "stack.json"))),
        "masks": ([*drawing(**{"--out": "a.ora"}), "--masks"], "a.masks.png"),
        "inspect": (drawing(**{"--out": "b.ora", "--inspect": "inside"}), str(Path("inside", "trust.png"))),
        "export": (["export", "in.ora", "a.psd"], "a.psd"),
        "export into a folder of ours": (["export", "in.ora", "ours/"], str(Path("ours", "stack.json"))),
        "jobs export": (["jobs", "export", "0000", "a.psd", "--folder", "nowhere"], "a.psd"),
    }
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for case, (arguments, named) in refused.items():
        with subtests.test(case):
            code, out, err = run(capsys, *arguments)
            assert (code, out) == (2, "")
            assert f"“{named}” is there already. Choose another name, or replace it with --overwrite." in err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    for target in ("a.psd", "ours/"):
        assert run(capsys, "export", "in.ora", target, "--overwrite")[0] == 0
        assert formats.load(target).size == Size(4, 4)


def test_another_plugin_zip_is_not_replaced_without_the_option(capsys, monkeypatch, folder):
    versions = itertools.cycle([{"layerfusion/a.py": b"1"}, {"layerfusion/a.py": b"2"}])
    monkeypatch.setattr(package, "assemble", lambda: next(versions))
    assert run(capsys, "plugin", "build")[0] == 0
    (zipped,) = folder.iterdir()
    before = zipped.read_bytes()
    code, _, err = run(capsys, "plugin", "build")
    assert (code, zipped.read_bytes()) == (2, before)
    assert "is there already" in err
    assert run(capsys, "plugin", "build")[0] == 0, "the same bytes once more replace nothing"
    assert run(capsys, "plugin", "build", "--overwrite")[0] == 0
    assert zipped.read_bytes() != before
