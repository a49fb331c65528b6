"""The command line's grammar: help for a newcomer, suggestions for what is mistyped, numbers refused at once."""

import re
import shlex
import subprocess
import sys

import pytest

from commands import run
from layerfusion.server.cli.parser import COMMANDS, build_parser

GENERATE = 'generate "a red apple" --background "a beach"'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_bare_command_shows_help(capsys):
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    assert "layerfusion generate" in out
    for command, what in COMMANDS.items():
        assert re.search(rf"^    {command}\s+{re.escape(what[:30])}", out, re.MULTILINE)


LISTING = """
import contextlib, io, sys
before = set(sys.modules)
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    with contextlib.suppress(SystemExit):
        from layerfusion.server.cli.main import main
        main(sys.argv[1:])
print(*sorted(name for name in set(sys.modules) - before if name.partition(".")[0] not in sys.stdlib_module_names))
"""


def test_help_imports_no_command_and_no_other_package():
    ours = "layerfusion layerfusion.server layerfusion.server.cli layerfusion.server.cli.console"
    ours += " layerfusion.server.cli.main layerfusion.server.cli.parser layerfusion.engine layerfusion.engine.errors"
    for words in (["--help"], ["--version"], ["generat"]):
        command = [sys.executable, "-c", LISTING, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert set(done.stdout.split()) <= set(ours.split()), words


SUGGESTIONS = {
    "a mistyped command": ("genrate", "There is no command “genrate”; did you mean generate?"),
    "the beginning of a command": ("gen", "did you mean generate?"),
    "help as a command": ("help", "See: layerfusion --help"),
    "a prompt as a command": ('"a red apple"', 'layerfusion generate "a red apple" --background'),
    "a mistyped action": ("plugin instal", "did you mean install?"),
    "a mistyped option": (f"{GENERATE} --sede 3 --out a.psd", "There is no option --sede; did you mean --seed?"),
    "a mistyped option that is required": ("generate x --backgroud y --out a.psd", "did you mean --background?"),
    "an option with a value": (f"{GENERATE} --step=3 --out a.psd", "There is no option --step; did you mean --steps?"),
    "an underscore": (f"{GENERATE} --keep_foreground a.png --out a.psd", "did you mean --keep-foreground?"),
    "one letter": (f"{GENERATE} -o a.psd", "There is no option -o; did you mean --out?"),
    "an option nobody knows": (f"{GENERATE} --xyzzy --out a.psd", "There is no option --xyzzy. See: layerfusion gen"),
    "an option of the server": ("serve --prot 80", "did you mean --port?"),
    "a mistyped choice": (f"{GENERATE} --preset blanced --out a.psd", "did you mean balanced?"),
    "a mistyped sampler": (f"{GENERATE} --sampler eluer --out a.psd", "Euler a, Heun, DPM++ 2M"),
    "an unquoted foreground": (
        'generate a red apple --background "a beach" --out a.psd',
        '3 foregrounds, and “a” is one of them. Put the prompt in quotes: "a red apple"',
    ),
    "many words": (
        'generate seven very small green apples lying there --background "a beach" --out a.psd',
        'Put the prompt in quotes: "seven very small green apples lying there"',
    ),
    "an unquoted background": (
        'generate "a red apple" --background a beach at sunset --out a.psd',
        'put a prompt of several words in quotes: --background "a beach at sunset"',
    ),
    "nothing unquoted": (
        "generate a red apple --background a beach --out a.psd",
        'put a prompt of several words in quotes: --background "a beach"',
    ),
}


def test_mistyped_options_get_a_suggestion(subtests, capsys, folder):
    for case, (line, words) in SUGGESTIONS.items():
        with subtests.test(case):
            code, out, err = run(capsys, *shlex.split(line))
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert words in err
            assert not list(folder.iterdir())


def test_prompts_without_quotes_are_accepted_if_they_may_be_foregrounds():
    arguments = build_parser().parse_args(["generate", "dog", "cat", "--background", "a park", "--out", "a.psd"])
    assert arguments.foregrounds == ["dog", "cat"]


WHOLE = ("--steps", "--seed", "--variants", "--layer-seed 1=")
NUMBERS = {
    "generate": (*WHOLE, "--guidance", "--harmonise", "--refine", "--relight 1="),
    "evaluate": ("--pairs", "--claim-pairs", "--stress-pairs", "--kept-pairs", "--skip", "--workers"),
    "benchmark": ("--steps", "--foregrounds"),
    "serve": ("--port", "--keep-days", "--keep-gigabytes"),
    "jobs list": ("--newest",),
    "jobs prune": ("--days", "--gigabytes"),
    "train vae": ("--minutes", "--pairs"),
    "models add mine a.safetensors": ("--steps",),
}
MAY_BE_ZERO = {"--skip", "--seed", "--layer-seed 1=", "--refine", "--harmonise", "--relight 1=", "--port"}
MAY_BE_ZERO |= {"--keep-days", "--keep-gigabytes", "--days", "--gigabytes"}


def test_every_number_outside_its_range_is_refused_by_the_parser(subtests, capsys, folder):
    for command, options in NUMBERS.items():
        words = [*shlex.split(command)]
        if command == "generate":
            words += ["a", "--background", "b", "--out", "a.psd"]
        for option in options:
            bad = ["-1", "many", "nan", "inf", "1e999", "9" * 30, "9" * 5000, ""]
            for value in bad if option in MAY_BE_ZERO else [*bad, "0"]:
                with subtests.test(f"{command} {option} {value[:9]}"):
                    name, _, prefix = option.partition(" ")
                    code, out, err = run(capsys, *words, f"{name}={prefix}{value}")
                    assert (code, out, err.count("\n")) == (2, "", 1)
                    assert f"{name}: " in err
    assert not list(folder.iterdir())


def test_every_help_fits_eighty_columns_and_explains_each_option(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    parsers = [build_parser()]
    while parsers:
        parser = parsers.pop()
        text = parser.format_help()
        lines = [line for line in text.splitlines() if not line.startswith("  layerfusion ")]  # to be copied whole
        assert max(map(len, lines)) <= 80, parser.prog
        for action in parser._actions:
            assert action.help or action.choices, f"{parser.prog} {action.dest}"
            parsers += action.choices.values() if isinstance(action.choices, dict) else []
