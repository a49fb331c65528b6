"""From the files that another program has to a layered picture, with the public commands."""

import json

import numpy as np
import pytest

from commands import run
from layerfusion.engine import formats
from layerfusion.engine.image.layers import Role

pytestmark = pytest.mark.usefixtures("manifests", "sdxl_is_shrunken")


def test_from_another_programs_folder_to_a_layered_picture(capsys, program, shrunken, manifests, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "models", "scan", program)
    assert code == 0
    assert "My Model XL.safetensors" in out
    assert "old.ckpt" in out
    assert "pickle" in out
    assert "transparent decoder" in out
    assert "layerfusion models add my-model-xl" in out

    code, out, err = run(capsys, "models", "scan", program, "--add")
    assert code == 0, err
    assert "missing" not in out
    manifest = manifests / "my-model-xl.json"
    values = json.loads(manifest.read_text())
    # What a shrunken model needs to be told, which a real one is not.
    manifest.write_text(json.dumps(values | {"configs": str(shrunken.configs), "native_size": 64}))

    code, out, err = run(
        capsys,
        *("generate", "a glass bottle", "--background", "a wooden table"),
        *("--size", "64x64", "--steps", "2", "--out", "bottle.psd"),
    )
    assert code == 0, err
    stack = formats.load("bottle.psd")
    assert [layer.role for layer in stack][:2] == [Role.BACKGROUND, Role.FOREGROUND]
    assert len(np.unique(stack.layers[0].pixels)) > 10

    code, out, _ = run(capsys, "models")
    assert code == 0
    assert out.startswith("my-model-xl: my-model-xl\n")
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    assert "model my-model-xl: my-model-xl, ready" in out
