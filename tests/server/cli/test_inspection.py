"""`layerfusion generate --masks` and `--inspect`: the masks and the records of a job."""

from pathlib import Path

import numpy as np
import pytest

from commands import CUT_OUT, drawing, run
from layerfusion.engine import formats
from layerfusion.engine.errors import UnwritableFile
from layerfusion.engine.formats.images import encode
from layerfusion.server.cli import environment, inspection

pytestmark = pytest.mark.usefixtures("small_model")

FILES = ["masks.npz", "masks.png", "streams.npz", "streams.png", "trust.png"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in environment.ENVIRONMENT:
        monkeypatch.setenv(name, "")  # put back afterwards
    return tmp_path


def test_masks_are_drawn_beside_the_picture(capsys, folder):
    code, out, err = run(capsys, *drawing(), "--masks")
    assert code == 0, err
    assert out.splitlines()[-1] == "a.masks.png"
    assert sorted(path.name for path in folder.iterdir()) == ["a.masks.png", "a.psd"]
    assert len(np.unique(formats.load_image("a.masks.png"))) > 10


def test_a_kept_foreground_has_no_masks(capsys, folder):
    (folder / "mine.png").write_bytes(encode(CUT_OUT))
    code, _, err = run(capsys, *drawing(**{"--keep-foreground": "mine.png"}), "--masks")
    assert code == 2
    assert "--masks" in err


def test_a_folder_of_arrays_and_sheets_is_written(capsys, folder):
    code, out, err = run(capsys, *drawing(**{"--steps": "2", "--inspect": "inside"}))
    assert code == 0, err
    assert out.splitlines()[-5:] == [str(Path("inside", name)) for name in FILES]
    assert sorted(path.name for path in (folder / "inside").iterdir()) == FILES
    with np.load("inside/masks.npz", allow_pickle=False) as masks:
        assert masks["timesteps_1"].shape == (2,)
        assert masks["soft_1"].shape == masks["hard_1"].shape
    for name in ("masks.png", "streams.png", "trust.png"):
        assert len(np.unique(formats.load_image(f"inside/{name}"))) > 10


def test_foregrounds_side_by_side_have_streams_and_no_masks_of_attention(capsys, folder):
    """Their masks are the alpha of their drafts, while those are held: here in both steps."""
    foregrounds = drawing(**{"--steps": "2", "--inspect": "inside"})
    foregrounds.insert(2, "a blue car")
    code, _, err = run(capsys, *foregrounds)
    assert code == 0, err
    written = [name for name in FILES if name.startswith("streams")]
    assert sorted(path.name for path in (folder / "inside").iterdir()) == written
    with np.load("inside/streams.npz", allow_pickle=False) as streams:
        names = ("foreground_1", "foreground_2", "background", "blended")
        assert set(streams) == {
            "timesteps",
            "shown",
            *(f"{kind}_{n}" for n in names for kind in ("estimates", "pictures")),
        }
        assert streams["estimates_blended"].shape[:2] == (2, 4)
        assert streams["pictures_foreground_2"].shape[0] == len(streams["shown"]) == 2


def test_with_kept_foregrounds_only_streams_are_recorded(capsys, folder):
    (folder / "mine.png").write_bytes(encode(CUT_OUT))
    code, _, err = run(capsys, *drawing(**{"--keep-foreground": "mine.png", "--inspect": "inside", "--size": None}))
    assert code == 0
    assert "no masks to show" in err
    assert sorted(path.name for path in (folder / "inside").iterdir()) == ["streams.npz", "streams.png"]


def test_uncoupled_streams_have_no_masks(capsys, folder):
    code, out, err = run(capsys, *drawing(), "--masks", "--set", "blend_start=0")
    assert (code, "masks" in out) == (0, False)
    assert "no masks to show" in err
    assert [path.name for path in folder.iterdir()] == ["a.psd"]


UNWRITABLE = {
    "a file": ("mine", "“mine” is a file"),
    "in a missing folder": ("nowhere/inside", "nowhere"),
    "below a file": ("mine/inside", "cannot be written"),
    "where the layers go": ("a.psd", "“a.psd” is where the layers go"),
}


def test_a_folder_that_cannot_be_written_is_named_before_drawing(subtests, capsys, folder):
    for case, (inspect, named) in UNWRITABLE.items():
        with subtests.test(case):
            (folder / "mine").write_bytes(b"precious")
            code, out, err = run(capsys, *drawing(**{"--inspect": inspect}))
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert named in err
            assert [path.name for path in folder.iterdir()] == ["mine"]


@pytest.mark.parametrize("option", [["--masks"], ["--inspect", "inside"]])
def test_inspection_is_refused_with_a_server(capsys, folder, option):
    code, out, err = run(capsys, *drawing(**{"--server": "local"}), *option)
    assert (code, out) == (2, "")
    assert option[0] in err and "--server" in err
    assert not list(folder.iterdir())


def test_a_full_disk_leaves_no_incomplete_folder(monkeypatch, folder):
    """Writing the last file fails."""
    from layerfusion.engine.inspection.records import MaskRecord, StreamRecord

    picture = np.zeros((4, 4, 4), np.uint8)
    streams = StreamRecord(streams=("background",), timesteps=[999.0], estimates=[np.zeros((1, 4, 2, 2), np.float32)])
    streams.pictures[0] = [picture]
    original = inspection.replacing

    def full(path):
        if path.name == "streams.png":
            raise UnwritableFile(f"“{path}” cannot be written.")
        return original(path)

    monkeypatch.setattr(inspection, "replacing", full)
    with pytest.raises(UnwritableFile):
        inspection.write_folder(folder / "inside", MaskRecord(), streams)
    assert not list(folder.iterdir())
