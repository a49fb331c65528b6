"""How other programs read our files: python tests/interchange/matrix.py [--write] [PROGRAM …]

Writes one stack as PSD, OpenRaster and PNG, has every program read it, and prints a table of what they show: largest
and mean difference of their picture from ours, the layers they find, and whether names, blend modes and places arrived.
`--write` puts the section about it into docs/files.md, or only the rows of the programs that are named. It needs Debian
12 with gimp, krita, xvfb, imagemagick, libvips-tools, openimageio-tools and mypaint, Node with ag-psd on NODE_PATH, and
pyora in this Python's environment.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from layerfusion.engine import formats
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role

PAGE = Path(__file__).parents[2] / "docs" / "files.md"
BEGIN, END = "<!-- matrix -->", "<!-- end of matrix -->"
HEADER = (
    "| program | file | largest difference | mean | layers | names | blend modes | places "
    "| compared; what it cannot do |"
)
WIDTH, HEIGHT = 160, 120
OWN, MERGED = "its own composite of the layers", "the merged picture"


@dataclass
class Seen:
    """What a program shows.

    Attributes:
        picture: its composite.
        layers: (name, blend mode in its words, (left, top)) of each layer, in any order; None if it tells none.
        note: what it cannot do.
    """

    picture: Image.Image | None = None
    layers: list[tuple[str, str, tuple[int, int] | None]] | None = None
    note: str = ""


def stack() -> LayeredImage:
    """A gradient, a soft cut-out beside the canvas's corner, a multiplied and an added layer, and a hidden one."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    ground = np.dstack([columns + 40, rows * 2, (rows + columns) % 256, np.full((HEIGHT, WIDTH), 255)]).astype(np.uint8)
    y, x = np.mgrid[:60, :60]
    cut_out = np.full((60, 60, 4), (210, 70, 40, 0), np.uint8)
    cut_out[..., 3] = np.clip(420 - 14 * np.hypot(y - 30, x - 30), 0, 255)
    shadow = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    shadow[60:100, 20:110, :3] = 150 + (rows[60:100, 20:110, None] - 60)
    light = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    light[..., 3] = 255
    light[10:60, 70:140, :3] = (90, 70, 30)
    layers = (
        Layer(name="Background", role=Role.BACKGROUND, pixels=ground),
        Layer(name="林檎 apple", role=Role.FOREGROUND, pixels=cut_out, offset=(35, 40)),
        Layer(name="Shadow", role=Role.SHADOW, pixels=shadow, blend=BlendMode.MULTIPLY),
        Layer(name="Light", role=Role.LIGHT, pixels=light, blend=BlendMode.ADD),
        Layer(name="Blended", role=Role.BLENDED, pixels=ground, visible=False),
    )
    return LayeredImage(name="apple + beach", size=Size(WIDTH, HEIGHT), layers=layers, resolution=(300.0, 300.0))


def call(*command: str, limit: int = 1200, **more: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False, **more)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr[-300:] or done.stdout[-300:]}")
    return done.stdout


def psd_tools(file: Path, out: Path) -> Seen:
    from psd_tools import PSDImage

    document = PSDImage.open(file)
    layers = [
        (layer.name, layer.blend_mode.name.lower(), (layer.left, layer.top))
        for layer in document.descendants()
        if not layer.is_group()
    ]
    return Seen(document.composite(force=True), layers, OWN)


def pillow(file: Path, out: Path) -> Seen:
    with Image.open(file) as image:
        return Seen(image.convert("RGBA"), None, f"{MERGED}; composites no layers" if file.suffix == ".psd" else "")


def ag_psd(file: Path, out: Path) -> Seen:
    script = """
      const {readPsd, initializeCanvas} = require('ag-psd'); const fs = require('fs');
      initializeCanvas(() => null, (w, h) => ({width: w, height: h, data: new Uint8ClampedArray(4 * w * h)}));
      const psd = readPsd(fs.readFileSync(process.argv[1]), {useImageData: true});
      const layers = []; const walk = (n) => (n.children || []).forEach(c => c.children ? walk(c) :
        layers.push([c.name, c.blendMode, [c.left, c.top]])); walk(psd);
      fs.writeFileSync(process.argv[2], Buffer.from(psd.imageData.data));
      console.log(JSON.stringify(layers));"""
    layers = json.loads(call("node", "-e", script, str(file), str(out.with_suffix(".raw"))))
    raw = np.frombuffer(out.with_suffix(".raw").read_bytes(), np.uint8).reshape(HEIGHT, WIDTH, 4)
    return Seen(Image.fromarray(raw), [(n, b, tuple(p)) for n, b, p in layers], f"{MERGED}; composites no layers")


def pyora(file: Path, out: Path) -> Seen:
    from pyora import Project  # pyright: ignore[reportMissingImports]  # only this command needs it

    project = Project.load(str(file))
    layers = [(layer.name, layer.composite_op, tuple(layer.offsets)) for layer in project if layer.type == 0]
    return Seen(project.get_image_data(use_original=False), layers, OWN)


def image_magick(file: Path, out: Path) -> Seen:
    call("convert", f"{file}[0]", f"png32:{out}")
    layers = None
    if file.suffix == ".psd":
        told = call("identify", "-format", r"%s|%l|%[compose]|%X|%Y\n", str(file)).splitlines()[1:]
        layers = [(n, b, (int(x), int(y))) for _, n, b, x, y in (line.split("|") for line in told) if n]
        layers = [entry for entry in layers if not entry[0].startswith("</")]
    note = f"{MERGED}; tells no names in other scripts than Latin, and no mode of hidden layers" if layers else ""
    return Seen(Image.open(out), layers, note)


def libvips(file: Path, out: Path) -> Seen:
    call("vips", "copy", str(file), f"{out}[compression=1]")
    return Seen(Image.open(out), None, f"{MERGED}, which ImageMagick reads for it" if file.suffix == ".psd" else "")


def open_image_io(file: Path, out: Path) -> Seen:
    call("oiiotool", str(file), "--subimage", "0", "-o", str(out))
    layers = None
    if file.suffix == ".psd":
        told = call("oiiotool", "--info", "-v", "-a", str(file))
        names = re.findall(r'oiio:subimagename: "([^"]*)"', told)
        layers = [(name, "", None) for name in names if name and not name.startswith("</") and name != stack().name]
    note = f"{MERGED}; names in Latin letters only, tells neither modes nor places" if layers is not None else ""
    return Seen(Image.open(out), layers, note)


def gimp(file: Path, out: Path) -> Seen:
    scheme = f"""
(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "{file}" "{file}"))))
  (define (tell item)
    (if (= (car (gimp-item-is-group item)) TRUE)
        (for-each tell (vector->list (cadr (gimp-item-get-children item))))
        (let ((at (gimp-drawable-offsets item)))
          (gimp-message (string-append "LAYER|" (car (gimp-item-get-name item)) "|"
            (number->string (car (gimp-layer-get-mode item))) "|"
            (number->string (car at)) "|" (number->string (cadr at)))))))
  (for-each tell (vector->list (cadr (gimp-image-get-layers image))))
  (let ((whole (car (gimp-image-merge-visible-layers image CLIP-TO-IMAGE))))
    (file-png-save RUN-NONINTERACTIVE image whole "{out}" "{out}" 0 9 0 0 0 0 0))
  (gimp-quit 0))"""
    done = subprocess.run(
        ["gimp-console", "-i", "-d", "-f", "--batch-interpreter", "plug-in-script-fu-eval", "-b", scheme],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    told = re.findall(r"LAYER\|(.*)\|(\d+)\|(-?\d+)\|(-?\d+)", done.stdout + done.stderr)
    modes = {
        "28": "normal",
        "0": "normal",
        "30": "multiply",
        "3": "multiply",
        "33": "add",
        "7": "add",
        "39": "linear dodge",
    }
    layers = [(name, modes.get(mode, mode), (int(x), int(y))) for name, mode, x, y in told]
    if not out.exists():
        raise RuntimeError(f"gimp: {(done.stderr or done.stdout)[-300:]}")
    return Seen(Image.open(out), layers, OWN if file.suffix == ".psd" else "")


def krita(file: Path, out: Path) -> Seen:
    home = out.parent / "krita-home"
    home.mkdir(exist_ok=True)
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "LIBGL_ALWAYS_SOFTWARE": "1"}
    for target in (out, out.with_suffix(".ora")):
        export = ["xvfb-run", "-a", "krita", "--export", "--export-filename", str(target), str(file)]
        for tries_left in (2, 1, 0):
            try:
                call(*export, env=environment)
                break
            except RuntimeError:  # the X server may not be ready when Krita starts
                if not tries_left:
                    raise
    with zipfile.ZipFile(out.with_suffix(".ora")) as archive:
        image = ElementTree.fromstring(archive.read("stack.xml"))
    layers = [
        (entry.get("name", ""), entry.get("composite-op", ""), (int(entry.get("x", 0)), int(entry.get("y", 0))))
        for entry in image.iter("layer")
    ]
    return Seen(
        Image.open(out),
        layers,
        "" if file.suffix == ".png" else f"{OWN}; saves layers without their transparent margins",
    )


def mypaint(file: Path, out: Path) -> Seen:
    script = f"""
import sys; sys.path.insert(0, '/usr/lib/mypaint')
import gi; gi.require_version('GdkPixbuf', '2.0'); gi.require_version('Gtk', '3.0')
import json
import lib.eotf
from lib.document import Document
def compatible(eotf, root):  # as the application does: the library by itself always takes 2.2
    lib.eotf.set_eotf(float(eotf or 2.2))
doc = Document(); doc.load({str(file)!r}, compat_handler=compatible)
found = []
for path, layer in doc.layer_stack.walk():
    if hasattr(layer, 'strokes'):
        x, y, w, h = layer.get_bbox()
        found.append([layer.name, str(layer.mode), [x, y]])
doc.layer_stack.background_visible = False
doc.save({str(out.with_suffix(".ora"))!r})
doc.save({str(out)!r}, alpha=True)
print('FOUND' + json.dumps(found))
"""
    told = call("xvfb-run", "-a", "/usr/bin/python3", "-c", script)
    found = json.loads(told.split("FOUND")[1])
    modes = {"0": "svg:src-over", "1": "svg:multiply", "16": "svg:plus"}
    layers = [(name, modes.get(mode, mode), None) for name, mode, _ in found]
    whole = Image.open(out).crop((0, 0, WIDTH, HEIGHT))  # it writes whole tiles
    return Seen(whole, layers, f"{OWN}; tells places in whole tiles only")


@dataclass(frozen=True)
class Program:
    """A program, how to ask it, what it can open, and how to learn its version."""

    name: str
    ask: Callable[[Path, Path], Seen]
    suffixes: tuple[str, ...]
    version: Callable[[], str]

    def version_number(self) -> str:
        found = re.search(r"\d+\.\d+[.\d]*", self.version())
        return "" if found is None else found[0]


def package(name: str) -> Callable[[], str]:
    return lambda: metadata.version(name)


def told(*command: str) -> Callable[[], str]:
    return lambda: call(*command)


PROGRAMS = [
    Program("psd-tools", psd_tools, (".psd",), package("psd-tools")),
    Program("ag-psd", ag_psd, (".psd",), told("node", "-p", "require('ag-psd/package.json').version")),
    Program(
        "Krita", krita, (".psd", ".ora", ".png"), told("dpkg-query", "-f", "${source:Upstream-Version}", "-W", "krita")
    ),
    Program("GIMP", gimp, (".psd", ".png"), told("gimp-console", "--version")),
    Program("ImageMagick", image_magick, (".psd", ".png"), told("convert", "--version")),
    Program("libvips", libvips, (".psd", ".png"), told("vips", "--version")),
    Program("OpenImageIO", open_image_io, (".psd", ".png"), told("oiiotool", "--version")),
    Program("pyora", pyora, (".ora",), package("pyora")),
    Program(
        "MyPaint's library", mypaint, (".ora",), told("dpkg-query", "-f", "${source:Upstream-Version}", "-W", "mypaint")
    ),
    Program("Pillow", pillow, (".psd", ".png"), package("pillow")),
]
MODES = {
    "normal": {"normal", "svg:src-over", "over"},
    "multiply": {"multiply", "svg:multiply"},
    "add": {"add", "linear dodge", "linear_dodge", "lineardodge", "svg:plus", "plus", "krita:linear_dodge"},
}


def row(program: Program, file: Path, folder: Path, ours: LayeredImage) -> str:
    out = folder / f"{re.sub('[^a-z]', '', program.name.lower())}-{file.suffix[1:]}.png"
    head = f"| {program.name} | {file.suffix[1:].upper()} "
    try:
        seen = program.ask(file, out)
    except Exception as error:  # a program that fails gets a row that says so
        print(f"{program.name} {file.suffix}: {error!r}", file=sys.stderr)
        return f"{head}| cannot open it | | | | | | |"
    cells = ["", ""]
    if seen.picture is not None:
        theirs = np.asarray(seen.picture.convert("RGB")).astype(int)
        apart = np.abs(theirs - flatten(ours)[..., :3])
        cells = [str(apart.max()), f"{apart.mean():.2f}"]
    if seen.layers is None or file.suffix == ".png":
        return f"{head}| {' | '.join(cells)} | | | | | {seen.note} |"
    named = {name: (mode, place) for name, mode, place in seen.layers}
    names = sum(layer.name in named for layer in ours)
    modes = sum(named[layer.name][0].lower() in MODES[layer.blend.value] for layer in ours if layer.name in named)
    read = formats.load(file)
    known = [named[layer.name][1] for layer in read if layer.name in named and named[layer.name][1] is not None]
    places = sum(named[layer.name][1] == layer.offset for layer in read if layer.name in named)
    count = len(ours)
    blends = f"{modes} of {count}" if any(mode for _, mode, _ in seen.layers) else "not told"
    where = f"{places} of {count}" if known else "not told"
    cells += [f"{len(seen.layers)} of {count}", f"{names} of {count}", blends, where, seen.note]
    return f"{head}| {' | '.join(cells)} |"


def rows(programs: list[Program]) -> list[str]:
    """The rows of the table for these programs."""
    ours = stack()
    made = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for suffix in (".psd", ".ora", ".png"):
            formats.save(ours, folder / f"ours{suffix}")
        for program in programs:
            for suffix in program.suffixes:
                made.append(row(program, folder / f"ours{suffix}", folder, ours))
                print(made[-1], flush=True, file=sys.stderr)
    return made


def key_of(line: str) -> tuple[str, ...]:
    """Program and file of a row."""
    return tuple(cell.strip() for cell in line.split("|")[1:3])


def section(made: list[str]) -> str:
    """The text between the marks of docs/files.md."""
    versions = [f"{program.name} {program.version_number()}" for program in PROGRAMS]
    words = (
        f"Written by `python tests/interchange/matrix.py --write` on Debian 12 with {', '.join(versions[:-1])} and "
        f"{versions[-1]}. The differences, of 255, are those of the program's picture from ours. GIMP 2.10 of "
        "Debian opens no OpenRaster; Photoshop was not at hand."
    )
    table = "\n".join([HEADER, "|---" * 9 + "|", *made])
    return f"\n\n{textwrap.fill(words, 120)}\n\n{table}\n\n"


if __name__ == "__main__":
    only = [word for word in sys.argv[1:] if word != "--write"]
    made = rows([program for program in PROGRAMS if not only or program.name in only])
    print("\n".join(made))
    if "--write" in sys.argv:
        text = PAGE.read_text(encoding="utf-8")
        start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
        known = {key_of(line): line for line in [*text[start:end].splitlines(), *made] if line.startswith("|")}
        ordered = [(program.name, suffix[1:].upper()) for program in PROGRAMS for suffix in program.suffixes]
        PAGE.write_text(text[:start] + section([known[key] for key in ordered]) + text[end:], encoding="utf-8")
