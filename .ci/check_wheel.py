"""Fails unless a wheel holds what it must and nothing else: python .ci/check_wheel.py WHEEL

Everything is one import name, `layerfusion`: each tracked file of the three source folders that belongs to a package,
and what the models, the wire's page and the plugin are made of. A build folder left behind would show as a module that
git does not know.
"""

import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"engine": "layerfusion/engine", "server": "layerfusion/server", "krita_plugin": "layerfusion/krita_plugin"}
DATA = {
    "layerfusion/py.typed",
    "layerfusion/engine/models/tiny/model.json",
    "layerfusion/engine/models/tiny/weights/unet/diffusion_pytorch_model.safetensors",
    "layerfusion/engine/models/tiny/weights/vae/diffusion_pytorch_model.safetensors",
    "layerfusion/engine/models/tiny/weights/text_encoder/model.safetensors",
    "layerfusion/engine/models/tiny/weights/text_encoder_2/model.safetensors",
    "layerfusion/engine/models/tiny/weights/foreground_deltas.safetensors",
    "layerfusion/engine/models/tiny/weights/few_steps_lora.safetensors",
    "layerfusion/engine/models/tiny/weights/transparent_vae.safetensors",
    "layerfusion/engine/models/sdxl/merges.txt.gz",
    "layerfusion/engine/models/sdxl/model.json",
    "layerfusion/engine/models/sdxl/shapes.json",
    "layerfusion/engine/models/sdxl/configs/unet/config.json",
    "layerfusion/server/net/pages/page.html",
    "layerfusion/server/net/pages/page.js",
    "layerfusion/server/net/pages/page.css",
    "layerfusion/server/net/studio/site/icon.svg",
    "layerfusion/server/net/studio/site/licences.txt",
    "layerfusion/server/net/studio/site/studio.css",
    "layerfusion/server/net/studio/site/studio.html",
    "layerfusion/server/net/studio/site/studio.js",
    "layerfusion/server/protocol/PROTOCOL.md",
    "layerfusion/krita_plugin/layerfusion.desktop",
    "layerfusion/krita_plugin/layerfusion.action",
    "layerfusion/krita_plugin/layerfusion/manual.html",
    *(f"layerfusion/krita_plugin/layerfusion/manual.{language}.html" for language in ("de", "ja", "zh_CN")),
    *(f"layerfusion/krita_plugin/layerfusion/translations/{language}.json" for language in ("de", "ja", "zh_CN")),
}


def tracked() -> set[str]:
    """The wheel's names of all files that git knows and the package could carry."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = set()
    for line in listing.splitlines():
        top, _, rest = line.partition("/")
        if rest and top in (*FOLDERS, "layerfusion"):
            names.add(f"{FOLDERS.get(top, top)}/{rest}")
    return names


def faults(names: set[str]) -> list[str]:
    """What is wrong with a wheel of these names, in words."""
    known = tracked()
    modules = {name for name in known if name.endswith(".py")}
    tops = {PurePosixPath(name).parts[0] for name in names}
    outside = sorted(top for top in tops if top != "layerfusion" and not top.endswith(".dist-info"))
    packed = {name for name in names if name.startswith("layerfusion/")}
    return [
        f"{what}: {', '.join(found)}"
        for what, found in (
            ("besides layerfusion/ it holds", outside),
            ("it lacks", sorted((modules | DATA) - packed)),
            ("it holds what git does not know", sorted(packed - known)),
        )
        if found
    ]


def main() -> int:
    wheel = sys.argv[1]
    found = faults(set(zipfile.ZipFile(wheel).namelist()))
    print("\n".join(found) or f"{Path(wheel).name}: complete, and nothing else in it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
