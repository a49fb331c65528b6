"""Clients that do not use this package: the one in `examples/`, which is written from PROTOCOL.md alone."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np

from layerfusion.engine import formats
from serving import SECONDS

EXAMPLE = Path(__file__).parents[2] / "examples" / "client.py"


def test_the_example_imports_only_websockets_msgpack_and_the_standard_library():
    tree = ast.parse(EXAMPLE.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    foreign = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert foreign == {"websockets", "msgpack"}


def run(server, out, *prompts):
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *prompts, str(out)],
        capture_output=True,
        text=True,
        env=server.environment,
        timeout=SECONDS,
    )


def test_the_example_draws_a_picture(server, tmp_path):
    out = tmp_path / "apple.png"
    ended = run(server, out, "a red apple", "a beach at sunset")
    assert ended.returncode == 0, ended.stderr
    assert "Background: 512x512, normal" in ended.stdout
    pixels = formats.load_image(out)
    assert pixels.shape == (512, 512, 4)
    assert (pixels[..., 3] == 255).all()
    red, _, blue = (pixels[128:384, 128:384, channel].astype(int) for channel in range(3))
    assert np.percentile(red - blue, 90) > 60, "an apple is red, and its channels are not exchanged"


def test_the_example_prints_the_reason_of_a_refusal(server, tmp_path):
    out = tmp_path / "none.png"
    ended = run(server, out, "x" * 5000, "a beach at sunset")
    assert ended.returncode == 1
    assert "5000 characters" in ended.stderr
    assert not out.exists()
