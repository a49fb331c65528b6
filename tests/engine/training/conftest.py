"""A library of simple sprites in the layout of the real packages, so that no download is needed."""

import json

import pytest
from PIL import Image, ImageDraw

from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.models.runtime.loading import ModelBundle, load_model
from layerfusion.engine.training.data.sprites import NAMES, PICTURES, SpriteLibrary
from layerfusion.engine.training.data.vocabulary import VOCABULARIES


@pytest.fixture(scope="session")
def bundle() -> ModelBundle:
    """A model of the training's own: a model that has drawn has its few-step adapter in its weights."""
    return load_model(find_model("tiny"))


@pytest.fixture(scope="session")
def sprites_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sprites")
    assets = folder / PICTURES / "package" / "assets"
    names = folder / NAMES / "package" / "en"
    assets.mkdir(parents=True)
    names.mkdir(parents=True)
    entries = []
    for index, label in enumerate(
        sorted({thing.label for known in VOCABULARIES.values() for thing in known.things.values() if thing.label})
    ):
        code = f"{0x1F300 + index:X}"
        entries.append({"label": label, "hexcode": code})
        picture = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
        box = (8, 10 + index % 20, 56, 58)
        ImageDraw.Draw(picture).ellipse(box, fill=(220, 30 + index % 40, 40, 255))
        picture.save(assets / f"{code.lower()}.webp", lossless=True)
    (names / "data.json").write_text(json.dumps(entries), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def sprites(sprites_folder):
    return SpriteLibrary(sprites_folder)
