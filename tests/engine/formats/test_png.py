import json

import numpy as np
import pytest

from layerfusion.engine import formats
from layerfusion.engine.errors import UnreadableFile, UnwritableFile
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, LayeredImage, Role

PIXELS = np.arange(4 * 5 * 4, dtype=np.uint8).reshape(4, 5, 4)


def make_stack(count=2):
    layers = tuple(Layer(name=f"層 {n}", role=Role.FOREGROUND, pixels=PIXELS, offset=(n, -n)) for n in range(count))
    return LayeredImage(name="s", size=Size(5, 4), layers=layers)


@pytest.fixture
def folder(tmp_path):
    formats.save(make_stack(), tmp_path / "out")
    return tmp_path / "out"


def change(folder, **values):
    manifest = json.loads((folder / "stack.json").read_text())
    manifest["layers"][0].update(values)
    (folder / "stack.json").write_text(json.dumps(manifest))


def test_the_folder_has_one_plain_png_per_layer_and_a_manifest(folder):
    names = ["01-foreground.png", "02-foreground.png", "stack.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert np.array_equal(formats.load_image(folder / "02-foreground.png"), PIXELS)


def test_other_files_in_the_folder_are_kept(tmp_path, folder):
    (folder / "notes.txt").write_text("mine")
    formats.save(make_stack(1), folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "02-foreground.png").exists()
    assert len(formats.load(folder)) == 1


@pytest.mark.parametrize("name", ["01-foreground.png", "stack.json", "07-shadow.png"])
def test_files_with_our_names_but_without_a_manifest_are_not_overwritten(tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    for action in (formats.check_writable, lambda path: formats.save(make_stack(), path)):
        with pytest.raises(UnwritableFile, match=name):
            action(f"{tmp_path}/")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"mine")]


def test_files_outside_the_folder_are_not_opened(subtests, folder):
    for name in ["../secret.png", "/etc/passwd", "a/b.png", "..\\secret.png", "C:secret.png", "", 5]:
        with subtests.test(name=name):
            formats.save(make_stack(), folder.parent / "secret.psd")
            (folder.parent / "secret.png").write_bytes((folder / "01-foreground.png").read_bytes())
            change(folder, file=name)
            with pytest.raises(UnreadableFile):
                formats.load(folder)


def test_invalid_manifests_are_refused(subtests, folder):
    good = (folder / "stack.json").read_bytes()
    for values in [
        {"role": "moon"},
        {"blend": "screen"},
        {"opacity": 2},
        {"offset": [1]},
        {"offset": [0.5, 0]},
        {"offset": [10**9, 0]},
        {"name": ""},
        {"name": 5},
        {"file": "03-foreground.png"},
    ]:
        with subtests.test(values=values):
            (folder / "stack.json").write_bytes(good)
            change(folder, **values)
            with pytest.raises(UnreadableFile):
                formats.load(folder)


def test_other_json_is_refused(subtests, folder):
    for text in ["", "[]", "{}", "null", "[" * 100_000, '{"format": "other", "version": 1}', " " * 2**21]:
        with subtests.test(text=text):
            (folder / "stack.json").write_text(text)
            with pytest.raises(UnreadableFile, match=r"stack\.json"):
                formats.load(folder)


def test_a_truncated_layer_is_named(folder):
    path = folder / "02-foreground.png"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UnreadableFile, match="02-foreground"):
        formats.load(folder)


def test_a_folder_without_manifest_is_named(tmp_path):
    with pytest.raises(UnreadableFile, match=r"stack\.json"):
        formats.load(f"{tmp_path}/")
