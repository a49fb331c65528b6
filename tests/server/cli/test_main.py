import io
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from commands import CUT_OUT, drawing, run
from layerfusion.engine import formats
from layerfusion.engine.formats.images import encode
from layerfusion.engine.image.geometry import Box, Size
from layerfusion.engine.image.layers import BlendMode, Layer, Role
from layerfusion.engine.models.catalog import registry
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.models.catalog.vocabulary import unknown_words
from layerfusion.engine.sources import Generated, Kept, Relit
from layerfusion.engine.stack import LayerStack
from layerfusion.krita_plugin import package
from layerfusion.server.cli import generate, sources
from layerfusion.server.cli.console import say
from layerfusion.server.cli.main import main


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


BAD = {
    "unknown command": (["paint"], "paint"),
    "no foreground": (["generate", "--background", "b", "--out", "a.psd"], "FG"),
    "no background": (drawing(**{"--background": None}), "--background"),
    "no output": (drawing(**{"--out": None}), "--out"),
    "abbreviated option": (["generate", "a", "--back", "b", "--out", "a.psd"], "--background"),
    "empty prompt": (["generate", "", "--background", "b", "--out", "a.psd"], "empty"),
    "blank background": (drawing(**{"--background": "  "}), "empty"),
    "very long prompt": (drawing(**{"--background": "x" * 100_000}), "100000 characters"),
    "very long negative prompt": (drawing(**{"--negative": "x" * 100_000}), "100000 characters"),
    "seven foregrounds": (["generate", *"abcdefg", "--background", "b", "--out", "a.psd"], "7 foregrounds"),
    "size 0": (drawing(**{"--size": "0x0"}), "0"),
    "size below": (drawing(**{"--size": "63x512"}), "63"),
    "size above": (drawing(**{"--size": "512x5000"}), "5000"),
    "size too long": (drawing(**{"--size": "4096x64"}), "4096x64"),
    "size negative": ([*drawing(**{"--size": None}), "--size=-5x64"], "-5x64"),
    "size in words": (drawing(**{"--size": "large"}), "large"),
    "one side": (drawing(**{"--size": "512"}), "512"),
    "huge number": (drawing(**{"--size": "9" * 5000 + "x64"}), "size"),
    "seed in words": (drawing(**{"--seed": "lucky"}), "lucky"),
    "negative seed": (drawing(**{"--seed": "-1"}), "-1"),
    "huge seed": (drawing(**{"--seed": str(2**53)}), str(2**53)),
    "no steps": (drawing(**{"--steps": "0"}), "0"),
    "guidance in words": (drawing(**{"--guidance": "strong"}), "strong"),
    "guidance not a number": (drawing(**{"--guidance": "nan"}), "nan"),
    "unknown harmony": (drawing(**{"--harmony": "vivid"}), "vivid"),
    "unknown model": (drawing(**{"--model": "nope"}), "nope"),
    "unknown suffix": (drawing(**{"--out": "a.jpg"}), ".jpg"),
    "missing folder": (drawing(**{"--out": "nowhere/a.psd"}), "nowhere"),
    "missing picture": (drawing(**{"--keep-foreground": "none.png"}), "none.png"),
    "a foreground that is not there": ([*drawing(), "--keep", "3=none.png"], "3"),
    "a file for no foreground": ([*drawing(), "--keep", "none.png"], "none.png"),
    "a place for nothing kept": ([*drawing(), "--at", "1=5,5"], "--keep 1=FILE.png"),
    "a strength for nothing kept": ([*drawing(), "--relight", "bg=0.5"], "--keep bg=FILE.png"),
    "a box in words": ([*drawing(), "--box", "1=left"], "left"),
    "a box outside": ([*drawing(), "--box", "1=500,0,64x64"], "500,0,64x64"),
    "a box for the background": ([*drawing(), "--box", "bg=0,0,64x64"], "background"),
    "two boxes for one": ([*drawing(), "--box", "1=0,0,64x64", "--box", "1=9,9,64x64"], "--box is given twice for 1"),
    "two seeds for one": ([*drawing(), "--layer-seed", "1=4", "--layer-seed", "1=5"], "--layer-seed is given twice"),
    "a seed for no foreground": ([*drawing(), "--layer-seed", "2=5"], "--layer-seed names foreground 2; there are 1"),
    "a layer's seed in words": ([*drawing(), "--layer-seed", "1=lucky"], "--layer-seed"),
    "harmonise what is drawn": ([*drawing(), "--harmonise", "0.5"], "0.5"),
    "unknown preset": ([*drawing(), "--preset", "quick"], "quick"),
    "unknown switch": ([*drawing(), "--set", "d=5"], "there is no option “d”"),
    "a switch without a value": ([*drawing(), "--set", "prior"], "prior"),
    "a switch in a position it has not": ([*drawing(), "--set", "prior=never"], "never"),
    "missing source": (["export", "none.psd", "b.ora"], "none.psd"),
    "unknown source": (["export", "a.xcf", "b.ora"], "a.xcf"),
    "unknown target": (["export", "a.psd", "b.gif"], "b.gif"),
    "port out of range": (["serve", "--port", "70000"], "70000"),
    "port in words": (["serve", "--port", "http"], "http"),
    "no plugin action": (["plugin"], "install|remove|build"),
}


def test_wrong_input_is_one_line_that_names_it(subtests, capsys, folder):
    for case, (arguments, named) in BAD.items():
        with subtests.test(case):
            code, out, err = run(capsys, *arguments)
            assert code == 2
            assert out == ""
            assert err.count("\n") == 1
            assert err.startswith("layerfusion: ")
            assert named in err
            assert not re.search(r"--[\w-]*_", err), "an option's name as it is typed, not as the code spells it"
            assert "usage" not in err
            assert len(err) < 600
            assert not list(folder.iterdir())


KEPT = {
    "truncated": (encode(CUT_OUT)[:-40], "damaged"),
    "empty": (b"", "damaged"),
    "no picture": (b"hello", "damaged"),
    "transparent": (encode(np.zeros_like(CUT_OUT)), "transparent all over"),
    "opaque": (encode(np.full_like(CUT_OUT, 255)), "hides the whole background"),
}


def test_an_unusable_kept_foreground_is_named_in_the_error(subtests, capsys, folder):
    for case, (content, named) in KEPT.items():
        with subtests.test(case):
            (folder / "mine.png").write_bytes(content)
            code, out, err = run(capsys, *drawing(**{"--keep-foreground": "mine.png"}))
            assert (code, out) == (2, "")
            assert named in err
            assert "mine.png" in err
            assert [path.name for path in folder.iterdir()] == ["mine.png"]


def request_of(monkeypatch, *arguments):
    """The request that a command line makes, without drawing it."""
    asked = []
    monkeypatch.setattr(generate, "find_model", lambda name: asked.append(name) or sys.exit())
    made = []
    original = generate.to_request
    monkeypatch.setattr(generate, "to_request", lambda *given: made.append(original(*given)) or made[0])
    with pytest.raises(SystemExit):
        main(arguments)
    assert asked == [made[0].model]
    return made[0]


def asked_for(monkeypatch, *arguments):
    """The request that a command line makes, with its preset and switches applied."""
    made = []
    monkeypatch.setattr(
        generate, "run", lambda values: made.append(generate.to_request(values, sources.layer_sources(values), 0))
    )
    assert main(arguments) == 0
    return made[0]


def test_layers_are_kept_relit_placed_and_seeded_by_their_numbers(monkeypatch, folder):
    for name in ("dog.png", "beach.png", "car.png"):
        (folder / name).write_bytes(encode(CUT_OUT))
    request = asked_for(
        monkeypatch,
        *("generate", "a dog", "an apple", "a car", "--background", "a beach", "--size", "200x160", "--out", "a.ora"),
        *("--keep", "1=dog.png", "--at", "1=-5,7", "--keep", "bg=beach.png", "--relight", "bg=0.25"),
        *("--box", "2=10,20,64x32", "--layer-seed", "2=9", "--keep", "3=car.png", "--box", "3=100,40,64x64"),
        *("--preset", "exact", "--set", "decision_boundary=3"),
    )
    dog, apple, car = request.foregrounds
    assert isinstance(dog, Kept) and isinstance(car, Kept)
    assert (dog.layer.name, dog.layer.offset) == ("dog", (-5, 7))
    np.testing.assert_array_equal(dog.layer.pixels, CUT_OUT)
    assert apple == Generated(prompt="an apple", seed=9, box=Box(10, 20, 64, 32))
    assert car.layer.offset[1] + car.layer.size.height == 104
    assert max(car.layer.size.width, car.layer.size.height) == 64
    assert isinstance(request.background, Relit)
    assert (request.background.strength, request.background.layer.role) == (0.25, Role.BACKGROUND)
    assert request.fusion == find_model("tiny").defaults.fusion.preset("exact").changed({"decision_boundary": 3})


def test_every_option_reaches_the_request(monkeypatch):
    request = request_of(
        monkeypatch,
        *("generate", "an apple", "a pear", "--background", "a table", "--blended", "fruit", "--negative", "text"),
        *("--seed", "5", "--steps", "7", "--guidance", "2.5", "--size", "300x200", "--harmony", "exact"),
        *("--out", "a.ora"),
    )
    assert [source.prompt for source in request.foregrounds] == ["an apple", "a pear"]
    assert {source.negative_prompt for source in (*request.foregrounds, request.background)} == {"text"}
    assert (request.background.prompt, request.blended_prompt) == ("a table", "fruit")
    assert (request.seed, request.steps, request.guidance_scale) == (5, 7, 2.5)
    assert (request.size, request.harmony.mode) == (Size(300, 200), "exact")


def test_without_options_the_models_defaults_apply(monkeypatch):
    request = request_of(monkeypatch, "generate", "an apple", "--background", "a table", "--out", "a.psd")
    assert (request.size, request.model) == (Size(512, 512), "tiny")
    assert 0 <= request.seed < 2**32
    assert (request.steps, request.guidance_scale, request.blended_prompt) == (None, None, None)


def test_a_kept_foreground_lies_at_its_own_size_in_the_middle(subtests, monkeypatch, folder):
    for size, canvas, offset in [
        (None, Size(90, 70), (0, 0)),
        ("128x64", Size(128, 64), (19, -3)),
        ("64x64", Size(64, 64), (-13, -3)),
    ]:
        with subtests.test(size=size, canvas=canvas, offset=offset):
            (folder / "my apple.png").write_bytes(encode(CUT_OUT))
            with monkeypatch.context() as patch:
                request = request_of(patch, *drawing(**{"--keep-foreground": "my apple.png", "--size": size}))
            (kept,) = request.foregrounds
            assert request.size == canvas
            assert (kept.prompt, kept.layer.name, kept.layer.offset) == ("a red apple", "my apple", offset)
            assert np.array_equal(kept.layer.pixels, CUT_OUT)


def test_without_a_size_the_canvas_holds_all_that_is_kept_where_it_is_placed(subtests, monkeypatch, folder):
    (folder / "dog.png").write_bytes(encode(CUT_OUT))
    narrow = np.full((200, 30, 4), 255, np.uint8)
    narrow[:50, :] = 0
    (folder / "pole.png").write_bytes(encode(narrow))
    (folder / "wall.png").write_bytes(encode(np.full((80, 100, 4), 255, np.uint8)))
    for said, canvas in [
        (("--keep", "1=dog.png", "--at", "1=200,50"), Size(290, 120)),
        (("--keep", "1=dog.png", "--keep", "2=pole.png"), Size(90, 200)),
        (("--keep", "2=pole.png"), Size(64, 200)),
        (("--keep", "1=dog.png", "--box", "2=100,100,80x120"), Size(180, 220)),
        (("--keep", "1=dog.png", "--at", "1=50,40", "--keep", "bg=wall.png"), Size(100, 80)),
        (("--keep", "1=dog.png", "--box", "1=0,0,64x64"), Size(512, 512)),
    ]:
        with subtests.test(said=said):
            request = asked_for(
                monkeypatch, "generate", "a dog", "a pole", "--background", "a wall", *said, "--out", "a.ora"
            )
            assert request.size == canvas


def test_a_cut_out_without_a_place_is_named_where_it_is_put(capsys, folder):
    (folder / "dog.png").write_bytes(encode(CUT_OUT))
    keep = {"--keep": "1=dog.png", "--steps": "1", "--out": "a.ora"}
    _, _, err = run(capsys, *drawing(**{**keep, "--size": "128x96"}))
    assert "“dog” is 90x70 px and the canvas 128x96 px: it lies in the middle, at 19,13. --at 1=X,Y places it." in err
    for placed in ({"--size": "90x70"}, {"--size": "128x96", "--at": "1=3,4"}, {"--size": None}):
        _, _, err = run(capsys, *drawing(**{**keep, **placed}), "--overwrite")
        assert "in the middle" not in err


def save_stack(path):
    layers = (
        Layer(name="背景", role=Role.BACKGROUND, pixels=np.full((70, 90, 4), 255, np.uint8)),
        Layer(name="evil\x1b[2J", role=Role.FOREGROUND, pixels=CUT_OUT, offset=(4, -2)),
        Layer(name="Shadow", role=Role.SHADOW, pixels=CUT_OUT, blend=BlendMode.MULTIPLY, visible=False),
    )
    formats.save(LayerStack(name="s", size=Size(90, 70), layers=layers), path)


def test_export_converts_and_lists_what_it_wrote(capsys, folder):
    save_stack(folder / "a")
    assert run(capsys, "export", "a", "b.ora")[0] == 0
    code, out, err = run(capsys, "export", "b.ora", "c.psd")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["Shadow", "90x70", "multiply,", "hidden"]
    assert lines[1].endswith("90x70 at 4,-2  normal")
    assert lines[2].split() == ["背景", "90x70", "normal"]
    assert lines[3].startswith("c.psd  90x70 px, 3 layers, ")
    assert "\x1b" not in out
    assert [layer.role for layer in formats.load("c.psd")] == [Role.BACKGROUND, Role.FOREGROUND, Role.SHADOW]


def test_an_export_to_an_unwritable_path_reads_nothing(capsys, folder):
    save_stack(folder / "a.ora")
    code, _, err = run(capsys, "export", "a.ora", "nowhere/b.psd")
    assert code == 2
    assert "nowhere" in err


def test_models_lists_the_embedded_model_and_a_command(capsys):
    code, out, _ = run(capsys, "models")
    assert code == 0
    assert out.startswith("tiny: embedded demo model")
    assert "layerfusion generate" in out


def test_doctor_lists_torch_and_the_models(capsys):
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    assert "torch 2" in out
    assert "model tiny" in out


@pytest.mark.parametrize("command", ["models", "doctor"])
def test_a_broken_installation_is_reported_as_such(capsys, monkeypatch, folder, command):
    (folder / "model.json").write_text("{")
    monkeypatch.setattr(registry, "EMBEDDED", folder / "model.json")
    code, _, err = run(capsys, command)
    assert code == 1
    assert "model.json" in err


def test_the_plugin_is_built_at_the_given_path(capsys, folder):
    code, out, _ = run(capsys, "plugin", "build", "--out", "made")
    assert code == 0
    (path,) = (folder / "made").iterdir()
    assert path.suffix == ".zip"
    assert str(path.name) in out
    (folder / "file").write_text("")
    code, _, err = run(capsys, "plugin", "build", "--out", "file")
    assert code == 2
    assert "file" in err


def test_the_plugin_is_put_into_krita_and_taken_out_again(capsys, monkeypatch, folder):
    krita = package.KritaFolders(folder / "resources", folder / "kritarc")
    monkeypatch.setattr(package, "krita_folders", lambda: krita)
    monkeypatch.setattr(package, "krita_is_open", lambda: False)
    assert run(capsys, "plugin", "install")[0] == 0
    code, out, err = run(capsys, "plugin", "remove")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"removed {krita.resources / 'pykrita' / 'layerfusion'}"
    assert [path.name for path in folder.rglob("*layerfusion*")] == []


def test_ctrl_c_is_one_line(capsys, monkeypatch, folder):
    def interrupted(_path):
        raise KeyboardInterrupt

    monkeypatch.setattr(formats, "load", interrupted)
    code, out, err = run(capsys, "export", "a.psd", "b.psd")
    assert (code, out, err) == (130, "", "layerfusion: Stopped.\n")
    assert not list(folder.iterdir())


@pytest.mark.parametrize("name", ["console", "parser"])
def test_ctrl_c_while_the_commands_are_imported_is_one_line(capsys, monkeypatch, name):
    class Interrupted:
        def find_spec(self, module, *_):
            if module == f"layerfusion.server.cli.{name}":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, f"layerfusion.server.cli.{name}")
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    assert run(capsys, "doctor") == (130, "", "layerfusion: Stopped.\n")


def test_the_command_imports_almost_nothing_before_it_handles_ctrl_c():
    """Before `main` begins, Ctrl-C still gives a traceback, so as little as possible is imported until then."""
    listing = "import sys, layerfusion.server.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True, timeout=60)
    ours = {name for name in done.stdout.split() if name.startswith("layerfusion")}
    assert ours <= {"layerfusion", *(f"layerfusion.{name}" for name in ("server", "server.cli", "server.cli.main"))}
    assert not set(done.stdout.split()) & {"argparse", "numpy", "torch", "websockets"}


def test_control_characters_never_reach_the_terminal():
    stream = io.StringIO()
    say("a\x1b[31mb\x9b\r\n\tc 林檎", stream)
    assert stream.getvalue() == "a\ufffd[31mb\ufffd\ufffd\ufffd\ufffdc 林檎\n"


def test_a_terminal_that_cannot_show_a_name_shows_question_marks(folder):
    save_stack(folder / "a.ora")
    done = subprocess.run(
        [sys.executable, "-m", "layerfusion.server", "export", "a.ora", "b.psd"],
        capture_output=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"??" in done.stdout


def test_the_examples_in_the_help_use_words_the_embedded_model_knows(capsys):
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  layerfusion generate")]
    assert len(lines) == 3
    spec = registry.find_model("tiny")
    for line in lines:
        _command, _generate, foreground, _option, background, _out, _file = shlex.split(line)
        assert unknown_words(spec.vocabulary, f"{foreground} {background}") == []


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["generate", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for option in ("--background", "--blended", "--negative", "--seed", "--steps", "--guidance", "--size"):
        assert option in text
    for option in ("--keep-foreground", "--harmony", "--model", "--masks", "--inspect", "--out"):
        assert option in text
