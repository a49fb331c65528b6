"""`layerfusion harmonise` and `layerfusion again`, with the embedded model."""

from dataclasses import replace

import numpy as np
import pytest

from layerfusion.engine import formats
from layerfusion.engine.image.layers import Role
from layerfusion.server.cli.main import main


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with a picture in every format."""
    folder = tmp_path_factory.mktemp("drawn")
    line = ["generate", "a red apple", "--background", "a beach", "--size", "128x96", "--seed", "3", "--steps", "2"]
    assert main([*line, "--out", str(folder / "a.psd"), "--quiet"]) == 0
    for name in ("a.ora", "a.png"):
        assert main(["export", str(folder / "a.psd"), str(folder / name)]) == 0
    return folder


def visible(layer):
    """The layer's pixels without colour under alpha 0, and its place."""
    return np.where(layer.pixels[..., 3:] > 0, layer.pixels, 0), layer.offset


@pytest.mark.parametrize("name", ["a.ora", "a.png"])
def test_again_draws_the_same_picture(drawn, tmp_path, name, capsys):
    assert main(["again", str(drawn / name), "--out", str(tmp_path / "b.psd")]) == 0
    first, second = formats.load(drawn / "a.psd"), formats.load(tmp_path / "b.psd")
    assert len(first) == len(second) == 5
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert (one.name, one.offset, one.record) == (other.name, other.offset, other.record)
    assert "seed 3" in capsys.readouterr().out


def test_harmonise_in_one_command(drawn, capsys):
    stack = formats.load(drawn / "a.psd")
    foreground = stack.by_role(Role.FOREGROUND)[0]
    moved = replace(foreground, offset=(foreground.offset[0] + 9, foreground.offset[1] - 4))
    layers = tuple(moved if layer is foreground else layer for layer in stack)
    formats.save(replace(stack, layers=layers), drawn / "moved.ora")
    assert main(["harmonise", str(drawn / "moved.ora"), "--quiet", "--no-prompts"]) == 0
    assert "moved-harmonised.ora" in capsys.readouterr().out
    result = formats.load(drawn / "moved-harmonised.ora")
    assert [layer.role for layer in result] == list(Role)
    for index, layer in ((0, stack.layers[0]), (1, moved)):
        assert np.array_equal(result.layers[index].pixels, layer.pixels)
        assert result.layers[index].offset == layer.offset
    assert [layer.record.source for layer in result] == ["kept", "kept", "derived", "derived", "generated"]
    assert result.record is not None
    assert result.record.seed is None
    assert b"apple" not in (drawn / "moved-harmonised.ora").read_bytes()


def test_nothing_is_replaced(drawn, capsys):
    before = (drawn / "a.psd").read_bytes()
    for command in ("again", "harmonise"):
        assert main([command, str(drawn / "a.psd"), "--out", str(drawn / "a.psd")]) == 2
        assert "is there already" in capsys.readouterr().err
        assert main([command, str(drawn / "a.psd"), "--out", ""]) == 2
        assert "name of the file is empty" in capsys.readouterr().err
    assert (drawn / "a.psd").read_bytes() == before


def test_a_folder_gets_layers_of_the_canvas_unless_it_is_told_not_to(drawn, tmp_path):
    stack = formats.load(drawn / "a.psd")
    moved = tuple(replace(layer, offset=(layer.offset[0] + 5, layer.offset[1])) for layer in stack)
    formats.save(replace(stack, layers=moved), tmp_path / "moved.psd")
    for options, whole in [([], True), (["--no-full-canvas"], False)]:
        out = tmp_path / f"out{whole}"
        assert main(["export", str(tmp_path / "moved.psd"), f"{out}/", *options]) == 0
        read = formats.load(f"{out}/")
        assert all(layer.size == stack.size for layer in read) == whole
        assert [layer.offset for layer in read] == [(0, 0) if whole else layer.offset for layer in moved]


def test_a_setting_leaves_prompts_out(drawn, tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERFUSION_NO_PROMPTS", "1")
    for options, held in [([], False), (["--prompts"], True)]:
        out = tmp_path / f"{held}.psd"
        assert main(["export", str(drawn / "a.psd"), str(out), *options]) == 0
        assert (b"apple" in out.read_bytes()) == held
        assert b"trainedAlgorithmicMedia" in out.read_bytes()


def test_a_picture_of_other_programs_says_nothing_to_go_by(tmp_path, capsys):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    assert main(["again", str(tmp_path / "a.png")]) == 2
    assert "does not record how its picture was drawn" in capsys.readouterr().err
