"""Files, scaled layers and arranged exports over the protocol, and attacks on them."""

import contextlib
import io
import time
import zipfile
from dataclasses import replace

import numpy as np
import psd_tools
import pytest
from PIL import Image
from psd_tools import PSDImage
from psd_tools.constants import BlendMode as PSDBlend

import scripted
from bare import WIRE, greeted
from editing import Editor
from layerfusion.engine import formats
from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role
from layerfusion.engine.image.record import LayerRecord, PictureRecord
from layerfusion.engine.image.resampling import resize
from layerfusion.server.client.client import new_job
from layerfusion.server.config import layers as layers_folder
from layerfusion.server.protocol import location
from layerfusion.server.protocol.frames import Chunk
from layerfusion.server.protocol.messages import (
    Export,
    FetchFailed,
    FileBegin,
    FileEnd,
    FileRead,
    LayerFailed,
    Placed,
    ReadFailed,
    ReadFile,
    Upload,
)
from layerfusion.server.worker.import_process import decode
from running import SECONDS, Running
from samples import submit

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(0, 256, (20, 24, 4), np.uint8)
OPAQUE = np.dstack([PIXELS[..., :3], np.full((20, 24), 255, np.uint8)])


@pytest.fixture(scope="module")
def client(server):
    with server.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def editor(client):
    return Editor(client)


def stack():
    record = LayerRecord(prompt="a red apple", seed=3)
    layers = (
        Layer(name="Background", role=Role.BACKGROUND, pixels=OPAQUE, record=LayerRecord(prompt="a beach")),
        Layer(name="Held 林", role=Role.FOREGROUND, pixels=PIXELS, offset=(3, -2), opacity=0.6, record=record),
        Layer(name="Shadow", role=Role.SHADOW, pixels=PIXELS, blend=BlendMode.MULTIPLY, visible=False),
    )
    return LayeredImage(
        name="apple", size=Size(24, 20), layers=layers, record=PictureRecord(tool="L", model="tiny", seed=1)
    )


def png(pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("ending", ["psd", "ora"])
def test_a_layered_file_comes_with_all_that_it_says(editor, tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    formats.save(stack(), path)
    read = editor.read(path.read_bytes(), f"apple.{ending}")
    assert isinstance(read, FileRead)
    assert (read.width, read.height, read.title) == (24, 20, "apple")
    found = [(each.name, each.role, each.blend, each.visible, each.prompt) for each in read.layers]
    assert found == [
        ("Background", "background", "normal", True, "a beach"),
        ("Held 林", "foreground", "normal", True, "a red apple"),
        ("Shadow", "shadow", "multiply", False, ""),
    ]
    held = read.layers[1]
    assert (held.x, held.y, held.opacity) == (3, -2, pytest.approx(0.6, abs=1 / 255))
    assert np.array_equal(editor.pixels(held.layer, held.width, held.height), PIXELS)
    assert '"model": "tiny"' in read.record


def test_flat_pictures_come_as_one_foreground_whatever_their_name_says(editor, subtests):
    jpeg = io.BytesIO()
    Image.fromarray(OPAQUE[..., :3]).save(jpeg, "JPEG", quality=95)
    expected = np.asarray(Image.open(jpeg).convert("RGBA"))
    for data, name, pixels in [(png(PIXELS), "bird.psd", PIXELS), (jpeg.getvalue(), "bird", expected)]:
        with subtests.test(name=name):
            read = editor.read(data, name)
            (layer,) = read.layers
            assert (layer.name, layer.role, read.title, read.record) == ("bird", "foreground", "bird", "")
            assert np.array_equal(editor.pixels(layer.layer, layer.width, layer.height), pixels)


def foreign_psd():
    document = PSDImage.new("RGB", (24, 20))
    document.create_pixel_layer_from_array(OPAQUE, name="Ground")
    document.create_pixel_layer_from_array(PIXELS, name="Glow", blend_mode=PSDBlend.SCREEN)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def frames():
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9)).save(buffer, "PNG", save_all=True, append_images=[Image.new("RGB", (9, 9), "red")])
    return buffer.getvalue()


def test_what_cannot_be_shown_is_refused_in_words_and_without_a_path(subtests, tmp_path):
    cases = [
        (foreign_psd(), "art.psd", "“art.psd”: “Glow”"),
        (frames(), "walk.png", "“walk.png” is animated."),
        (png(PIXELS)[:-200], "half.png", "“half.png” is not a"),
        (b"8BPS" + bytes(40), "half.psd", "“half.psd”"),
        (b"PK\3\4" + bytes(40), "half.ora", "“half.ora”"),
        (b"<svg onload=alert(1)>", "x.svg", "“x.svg” is not a"),
        (b"x", "../../etc/passwd", "“../../etc/passwd” is not a"),
        (png(np.zeros((1, 9000, 4), np.uint8)), "long.png", "“long.png” is 9000x1 px."),
    ]
    for data, name, words in cases:
        with subtests.test(name=name):
            path = tmp_path / "9f"
            path.write_bytes(data)
            with pytest.raises(UnreadableFile) as refused:
                decode(path, name)
            assert words in refused.value.message
            assert refused.value.hint
            assert str(tmp_path) not in str(refused.value)


def test_a_refusal_reaches_the_client_and_leaves_no_file(editor, server):
    answer = editor.read(foreign_psd(), "art.psd")
    assert isinstance(answer, ReadFailed)
    assert answer.code == "unreadable_file"
    assert answer.message.startswith("“art.psd”: “Glow”")
    assert not list((layers_folder(server.config.folder) / "drafts").iterdir())


def test_a_file_that_was_not_uploaded_is_not_read(client, editor, subtests):
    for name in ["passwd", "../server.json"]:
        with subtests.test(name=name):
            client._send(ReadFile(file="0" * 64, name=name))
            assert editor.answer(ReadFailed).code == "unknown_layer"
    for method in (lambda: editor.scale("0" * 64, (1, 1), (2, 2)), lambda: editor.pixels("0" * 64, 1, 1)):
        assert method().code == "unknown_layer"


def test_a_layer_is_scaled_as_the_engine_does(client, editor):
    layer = client.upload(PIXELS[..., [2, 1, 0, 3]].tobytes())
    scaled = editor.scale(layer, (24, 20), (37, 11))
    assert (scaled.layer, scaled.to_width, scaled.to_height) == (layer, 37, 11)
    assert np.array_equal(editor.pixels(scaled.scaled, 37, 11), resize(PIXELS, Size(37, 11)))
    assert editor.scale(layer, (24, 20), (37, 11)).scaled == scaled.scaled


def test_a_layer_is_not_scaled_beyond_the_limits(client, editor, subtests):
    layer = client.upload(PIXELS[..., [2, 1, 0, 3]].tobytes())
    for size, to, code in [((24, 20), (65535, 65535), "too_large"), ((20, 20), (9, 9), "invalid_layer")]:
        with subtests.test(code=code):
            answer = editor.scale(layer, size, to)
            assert isinstance(answer, LayerFailed)
            assert answer.code == code


def exported(client, job, form, layers=()):
    """The bytes of a file of a job with other layers, or why there is none."""
    client._send(Export(job=job, format=form, layers=layers))
    editor, data = Editor(client), b""
    begin = editor.answer(FileBegin, FetchFailed)
    if isinstance(begin, FetchFailed):
        return begin
    while not isinstance(item := editor.answer(FileEnd), FileEnd):
        data += item.data
    return data


def placed_from(begin, **changes):
    names = ("width", "height", "x", "y", "name", "role", "blend", "opacity", "visible")
    return Placed(**{**{name: getattr(begin, name) for name in names}, "layer": begin.sha256, **changes})


def test_a_file_has_the_layers_as_they_were_arranged(client, editor, tmp_path):
    job = submit(job=new_job(), width=64, height=64, blended_prompt="modes layers=4 side=64 record", seed=9)
    client.submit(job)
    begins = [event.begin for event in client.events(job.job) if hasattr(event, "begin")]
    small = editor.scale(begins[1].sha256, (64, 64), (30, 20)).scaled
    arranged = (
        placed_from(begins[0], name="Ground"),
        placed_from(begins[2], opacity=0.4),
        placed_from(begins[1], layer=small, width=30, height=20, x=11, y=-5, name="Smaller", opacity=1.0),
        placed_from(begins[3], visible=False),
    )
    pixels = scripted.in_modes(9, 1, 64).pixels
    expected = LayeredImage(
        name="expected",
        size=(64, 64),
        layers=(
            scripted.in_modes(9, 0, 64),
            replace(scripted.in_modes(9, 2, 64), opacity=0.4),
            Layer(name="s", role=Role.FOREGROUND, pixels=resize(pixels, Size(30, 20)), offset=(11, -5)),
        ),
    )
    for ending in ("psd", "ora"):
        (tmp_path / f"a.{ending}").write_bytes(exported(client, job.job, ending, arranged))
        read = formats.load(tmp_path / f"a.{ending}")
        assert [layer.name for layer in read] == ["Ground", "Layer 2", "Smaller", "Layer 3"]
        assert [layer.visible for layer in read] == [True, True, True, False]
        assert read.layers[2].offset[0] >= 11
        assert np.array_equal(flatten(read), flatten(expected))
        assert (read.layers[0].record.source, read.layers[2].record.source) == ("generated", "kept")
        assert read.record.model == "tiny"
    theirs = {layer.name: layer for layer in psd_tools.PSDImage.open(tmp_path / "a.psd").descendants()}
    assert theirs["Layer 2"].opacity == round(0.4 * 255)
    merged = np.asarray(Image.open(io.BytesIO(exported(client, job.job, "png", arranged))).convert("RGBA"))
    assert np.array_equal(merged, flatten(expected))
    with zipfile.ZipFile(io.BytesIO(exported(client, job.job, "zip", arranged))) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "folder")
    assert np.array_equal(flatten(formats.load(tmp_path / "folder")), flatten(expected))


def test_a_file_with_layers_that_are_not_there_is_refused(client, subtests):
    job = submit(job=new_job())
    client.submit(job)
    begin, *_ = [event.begin for event in client.events(job.job) if hasattr(event, "begin")]
    for changes, code in [({"layer": "0" * 64}, "unknown_layer"), ({"width": 9}, "invalid_layer")]:
        with subtests.test(code=code):
            answer = exported(client, job.job, "psd", (placed_from(begin, **changes),))
            assert isinstance(answer, FetchFailed)
            assert answer.code == code


def test_limits_of_files(tmp_path, monkeypatch):
    """A small file may hold large layers: these count like uploads."""
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    flat = png(np.full((100, 100, 4), 7, np.uint8))
    config = {"file_bytes": 5000, "layer_bytes": 30_000, "upload_bytes": 50_000, "upload_seconds": 0}
    with Running(tmp_path / "jobs", scripted.load, **config) as server, server.client() as client:
        assert client.welcome.limits.file_bytes == 5000
        editor = Editor(client)
        refused = editor.upload(bytes(5001))
        assert (refused.code, "file" in refused.message) == ("too_large", True)
        assert isinstance(editor.read(flat, "a.png"), FileRead)
        answer = editor.read(png(np.full((100, 100, 4), 8, np.uint8)), "b.png")
        assert answer.code == "quota_exceeded"
        store = server.app._store
        client.close()
        server._loop.call_soon_threadsafe(server.app._keeper.wake)
        deadline = time.monotonic() + SECONDS
        while list(store.files()):  # of neither the files nor their layers anything is left
            assert time.monotonic() < deadline
            time.sleep(0.05)
            server._loop.call_soon_threadsafe(server.app._keeper.wake)
        assert not list((store.folder / "drafts").iterdir())


def test_a_client_that_leaves_ends_the_reading(server):
    reading = server.app._jobs.reading
    server._loop.call_soon_threadsafe(lambda: server._loop.create_task(reading.acquire()))
    try:
        with server.client() as client:
            digest = Editor(client).upload(png(PIXELS))
            for _ in range(6):
                client._send(ReadFile(file=digest, name="a.png"))
            assert [Editor(client).answer(ReadFailed).code for _ in range(2)] == ["queue_full"] * 2
    finally:
        server._loop.call_soon_threadsafe(reading.release)
    assert server.still_serves()
    deadline = time.monotonic() + SECONDS
    while reading.locked():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_upload_of_a_file_is_checked_like_that_of_a_layer(server):
    with greeted(server) as raw:
        raw.send(WIRE.encode(Upload(transfer=0, layer="0" * 64, bytes=4, file=True)))
        raw.recv(SECONDS)
        raw.send(WIRE.encode(Chunk(0, 0, b"1234")))
        assert WIRE.decode(raw.recv(SECONDS)).code == "bad_transfer"
    with contextlib.suppress(FileNotFoundError):
        assert not list((layers_folder(server.config.folder) / "drafts").iterdir())
