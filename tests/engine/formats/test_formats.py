"""Properties of `save` and `load` that hold for every format."""

import os
import stat
import sys

import numpy as np
import pytest

from layerfusion.engine import formats
from layerfusion.engine.errors import UnknownFormat, UnreadableFile, UnwritableFile
from layerfusion.engine.formats.images import encode
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role

TARGETS = ["picture.psd", "picture.ora", "picture/", "Picture.PSD", "folder"]


def noise(height, width, seed, alpha=None):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    if alpha is not None:
        pixels[..., 3] = alpha
    return pixels


def make_stack():
    cut_out = noise(40, 60, 2)
    cut_out[::2, ::3, 3] = 0  # colour under alpha 0
    layers = (
        Layer(name="背景", role=Role.BACKGROUND, pixels=noise(48, 64, 1, alpha=255)),
        Layer(name='Äpfel 😀 & "<b>"', role=Role.FOREGROUND, pixels=cut_out, offset=(-9, 5)),
        Layer(name="Second", role=Role.FOREGROUND, pixels=noise(5, 5, 3), offset=(62, 46)),
        Layer(name="影", role=Role.SHADOW, pixels=noise(20, 20, 4), blend=BlendMode.MULTIPLY, opacity=179 / 255),
        Layer(name="Licht", role=Role.LIGHT, pixels=noise(20, 20, 5), offset=(3, -4), blend=BlendMode.ADD),
        Layer(name="Blended", role=Role.BLENDED, pixels=noise(48, 64, 6, alpha=255), visible=False),
    )
    return LayeredImage(name="林檎 & apple", size=Size(64, 48), layers=layers)


def assert_same(first, second):
    assert (second.name, second.size, len(second)) == (first.name, first.size, len(first))
    for one, other in zip(first, second, strict=True):
        for field in ("name", "role", "offset", "blend", "visible"):
            assert getattr(other, field) == getattr(one, field)
        assert other.opacity == pytest.approx(one.opacity, abs=0.5 / 255)
        assert np.array_equal(other.pixels, one.pixels)


@pytest.mark.parametrize("target", TARGETS)
def test_a_saved_stack_is_loaded_unchanged(tmp_path, target):
    stack, path = make_stack(), f"{tmp_path}/{target}"
    formats.save(stack, path)
    assert_same(stack, formats.load(path))
    formats.save(stack, path)  # onto itself
    assert_same(stack, formats.load(path))


@pytest.mark.parametrize("target", TARGETS[:3])
def test_the_same_stack_makes_the_same_bytes(tmp_path, target):
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        formats.save(make_stack(), f"{tmp_path}/{run}/{target}")
    written = [{path.name: path.read_bytes() for path in (tmp_path / run).rglob("*.*")} for run in ("a", "b")]
    assert written[0] == written[1]


@pytest.mark.parametrize("target", TARGETS[:3])
def test_margins_of_a_kept_layer_stay_in_place(tmp_path, target):
    """PSD leaves out margins of zeros; all other bytes of the layer keep their place on the canvas."""
    pixels = np.zeros((48, 64, 4), np.uint8)
    pixels[10:20, 30:35] = noise(10, 5, 7)
    pixels[40, 3] = (9, 8, 7, 0)
    kept = Layer(name="kept", role=Role.FOREGROUND, pixels=pixels)
    empty = Layer(name="empty", role=Role.LIGHT, pixels=np.zeros((4, 4, 4), np.uint8), blend=BlendMode.ADD)
    path = f"{tmp_path}/{target}"
    formats.save(LayeredImage(name="s", size=Size(64, 48), layers=(kept, empty)), path)
    stack = formats.load(path)
    (x, y), read = stack.layers[0].offset, stack.layers[0].pixels
    placed = np.zeros_like(pixels)
    placed[y : y + read.shape[0], x : x + read.shape[1]] = read
    assert np.array_equal(placed, pixels)
    assert not stack.layers[1].pixels.any()


@pytest.mark.parametrize("target", TARGETS[:3])
def test_awkward_names_are_written(tmp_path, target):
    names = ["x" * 255, "😀" * 255, "a\x00b\x1b[31m", "\ud800", "../../etc/passwd", "<!DOCTYPE a>"]
    pixels = np.full((4, 4, 4), 255, np.uint8)
    layers = tuple(Layer(name=name, role=Role.FOREGROUND, pixels=pixels) for name in names)
    path = f"{tmp_path}/{target}"
    formats.save(LayeredImage(name="\x01", size=Size(4, 4), layers=layers), path)
    read = [layer.name for layer in formats.load(path)]
    assert read[0] == names[0]
    assert read[1] == names[1]
    assert read[4:] == names[4:]


def test_unknown_suffixes_are_refused_by_name(subtests):
    for path in ["a.jpg", "a.psb", "a.kra", "dir.d/a.tiff"]:
        with subtests.test(path=path):
            reads = () if path == "a.psb" else (formats.load,)  # Photoshop's large documents are read and not written
            for action in (formats.check_writable, *reads, lambda path: formats.save(make_stack(), path)):
                with pytest.raises(UnknownFormat, match=r"psd or \.ora"):
                    action(path)


@pytest.mark.parametrize("target", TARGETS[:3])
def test_a_missing_folder_is_reported_by_the_check_and_by_saving(tmp_path, target):
    path = f"{tmp_path}/nowhere/{target}"
    for action in (formats.check_writable, lambda path: formats.save(make_stack(), path)):
        with pytest.raises(UnwritableFile, match="nowhere"):
            action(path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", TARGETS[:3])
def test_the_check_leaves_no_file_behind(tmp_path, target):
    formats.check_writable(f"{tmp_path}/{target}")
    assert not list(tmp_path.iterdir())


def test_a_folder_in_place_of_a_file_or_the_reverse_is_refused(tmp_path):
    (tmp_path / "a.psd").mkdir()
    (tmp_path / "plain").write_text("mine")
    for name in ("a.psd", "plain"):
        for action in (formats.check_writable, lambda path: formats.save(make_stack(), path)):
            with pytest.raises(UnwritableFile, match=name):
                action(tmp_path / name)
    assert (tmp_path / "plain").read_text() == "mine"


@pytest.mark.parametrize("target", TARGETS[:3])
def test_a_failed_save_leaves_the_old_file(tmp_path, target, monkeypatch):
    path = f"{tmp_path}/{target}"
    formats.save(make_stack(), path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnwritableFile, match="No space left"):
        formats.save(LayeredImage(name="other", size=Size(64, 48), layers=make_stack().layers[:1]), path)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_files_get_the_permissions_the_user_asked_for(tmp_path):
    previous = os.umask(0o027)
    try:
        formats.save(make_stack(), tmp_path / "a.psd")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "a.psd").stat().st_mode) == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="links need privileges there")
def test_saving_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "a.psd").symlink_to(tmp_path / "real" / "b.psd")
    formats.save(make_stack(), tmp_path / "a.psd")
    assert (tmp_path / "a.psd").is_symlink()
    assert_same(make_stack(), formats.load(tmp_path / "real" / "b.psd"))


@pytest.mark.parametrize("target", TARGETS[:3])
def test_missing_files_are_refused(tmp_path, target):
    with pytest.raises(UnreadableFile, match="picture"):
        formats.load(f"{tmp_path}/{target}")


def test_files_of_another_format_are_refused(subtests, tmp_path):
    for target in TARGETS[:2]:
        for content in [b"", b"8BPS", b"PK\3\4", b"\x89PNG\r\n\x1a\n" * 99, bytes(range(256)) * 16]:
            with subtests.test(target, content=content[:8]):
                (tmp_path / target).write_bytes(content)
                with pytest.raises(UnreadableFile, match="damaged"):
                    formats.load(tmp_path / target)


@pytest.mark.parametrize("target", TARGETS[:2])
def test_truncated_documents_are_refused_or_read_completely(tmp_path, target):
    """There is neither a crash nor a stack that silently differs from the saved one."""
    path = tmp_path / target
    formats.save(make_stack(), path)
    whole, expected = path.read_bytes(), flatten(make_stack())
    for length in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:length])
        try:
            stack = formats.load(path)
        except UnreadableFile:
            continue
        assert np.array_equal(flatten(stack), expected)


@pytest.mark.parametrize("target", TARGETS[:2])
def test_flipped_bytes_raise_only_named_errors(tmp_path, target):
    path = tmp_path / target
    formats.save(make_stack(), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(whole)
        for position in rng.integers(0, min(len(whole), 4000), 4):
            broken[position] = rng.integers(0, 256)
        path.write_bytes(broken)
        try:
            formats.load(path)
        except UnreadableFile as error:
            assert target in str(error)  # noqa: PT017


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
@pytest.mark.timeout(10)
def test_reading_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.psd")
    with pytest.raises(UnreadableFile, match="not a file"):
        formats.load(tmp_path / "a.psd")


def test_a_layer_is_named_behind_its_file(subtests, tmp_path):
    stack = make_stack()
    for file in ("a.psd", "a.ora", "folder"):
        formats.save(stack, tmp_path / file)
    for index, layer in enumerate(stack):
        for file in ("a.psd", "a.ora", "folder"):
            with subtests.test(file=file, layer=layer.name):
                found = formats.load_layer(f"{tmp_path}/{file}#{layer.name}")
                assert found.canvas == stack.size
                assert found.layer.offset == formats.load(tmp_path / file).layers[index].offset
                assert found.layer.blend is layer.blend
    pixels = np.full((3, 4, 4), 255, np.uint8)
    (tmp_path / "b#1.png").write_bytes(encode(pixels))
    found = formats.load_layer(tmp_path / "b#1.png")
    assert (found.layer.name, found.canvas) == ("b#1", None)
    for reference, words in [("a.psd", r"6 layers\. Name one"), ("a.psd#Nobody", "no single layer “Nobody”")]:
        with pytest.raises(UnreadableFile, match=words):
            formats.load_layer(tmp_path / reference)
