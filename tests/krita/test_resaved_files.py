"""Our documents opened and saved by a real Krita: no layer is lost, and the picture stays."""

import signal
import subprocess

import numpy as np
import pytest

from layerfusion.engine import formats
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role

pytestmark = [pytest.mark.krita, pytest.mark.timeout(3000)]

WIDTH, HEIGHT = 96, 64


def opaque(*colour):
    pixels = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    pixels[..., :3] = np.linspace(0, 40, WIDTH)[None, :, None].astype(np.uint8) + np.array(colour, np.uint8)
    return pixels


def cut_out():
    rows, columns = np.mgrid[:40, :40]
    pixels = np.full((40, 40, 4), (200, 60, 30, 0), np.uint8)
    pixels[..., 3] = np.clip(300 - 15 * np.hypot(rows - 20, columns - 20), 0, 255)
    return pixels


def stack(*roles):
    shade = opaque(255, 255, 255)
    shade[..., :3] = 255
    shade[30:50, 20:70, :3] = 140
    light = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    light[..., 3] = 255
    light[5:25, 40:80, :3] = (60, 50, 10)
    layers = (
        Layer(name="Background", role=Role.BACKGROUND, pixels=opaque(20, 90, 160)),
        Layer(name="Foreground", role=Role.FOREGROUND, pixels=cut_out(), offset=(25, 12)),
        Layer(name="Shadow", role=Role.SHADOW, pixels=shade, blend=BlendMode.MULTIPLY),
        Layer(name="Light", role=Role.LIGHT, pixels=light, blend=BlendMode.ADD),
        Layer(name="Blended", role=Role.BLENDED, pixels=opaque(90, 90, 90), visible=False),
    )
    chosen = tuple(layer for layer in layers if layer.role.value in roles)
    return LayeredImage(name="a pot + a wall", size=Size(WIDTH, HEIGHT), layers=chosen, resolution=(300.0, 300.0))


@pytest.fixture(scope="module")
def resave(tmp_path_factory):
    """Has Krita open a file and save it under another name."""
    home = tmp_path_factory.mktemp("home")
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LIBGL_ALWAYS_SOFTWARE": "1"}

    def run(source, target):
        command = ["xvfb-run", "-a", "krita", "--export", "--export-filename", str(target), str(source)]
        for _ in range(3):  # Krita 5.1.5 aborts at its start now and then
            ended = subprocess.run(command, env=environment, check=False, timeout=900, capture_output=True)
            if ended.returncode not in (134, -signal.SIGABRT):
                break
        assert ended.returncode == 0, ended.stderr.decode(errors="replace")
        return formats.load(target)

    return run


def facts(layer):
    return layer.name, layer.role, layer.blend, layer.visible


@pytest.mark.parametrize(("first", "second"), [("psd", "psd"), ("psd", "ora"), ("ora", "ora")])
def test_krita_keeps_all_layers_of_our_documents(resave, subtests, tmp_path, first, second):
    everything = ("background", "foreground", "shadow", "light", "blended")
    for roles in (everything, everything[:4], ("background",)):
        with subtests.test(roles=roles):
            ours = stack(*roles)
            formats.save(ours, tmp_path / f"ours.{first}")
            theirs = resave(tmp_path / f"ours.{first}", tmp_path / f"theirs.{second}")
            facts = [
                [(layer.name, layer.role, layer.blend, layer.visible) for layer in each] for each in (ours, theirs)
            ]
            assert facts[0] == facts[1]
            assert np.abs(flatten(ours).astype(int) - flatten(theirs)).max() <= 1
            assert theirs.resolution == (300, 300)
            if len(roles) == len(everything):
                assert theirs.name == ours.name
