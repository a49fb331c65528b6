"""A whole second edition in miniature: from its configuration to a model that the product loads and draws with."""

import json
from collections import Counter
from functools import cache

import pytest
import torch
from safetensors.torch import load_file

from layerfusion.engine.events import Finished
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.manifest import read_manifest
from layerfusion.engine.models.catalog.registry import EMBEDDED
from layerfusion.engine.models.runtime.loading import load_model
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated
from layerfusion.engine.training import deltas, distill, drawn_again, sharpening, transparency, unet, wordpieces
from layerfusion.engine.training.data import dataset
from layerfusion.engine.training.distill import FEW_STEPS
from layerfusion.engine.training.run import TrainingRun
from layerfusion.engine.training.stages import STAGES

KNOWN = json.loads((EMBEDDED.parent / "weights" / "unet" / "config.json").read_text(encoding="utf-8"))
WIDTHS = [KNOWN["block_out_channels"][0], *KNOWN["block_out_channels"]]

SIDE = 16 * 2 ** (len(WIDTHS) - 2)


@pytest.fixture
def edition(tmp_path):
    folder = tmp_path / "edition"
    for part, config in {
        "vae": {"block_out_channels": [8, 8, 32, 96]},
        "unet": {"block_out_channels": WIDTHS, "sample_size": SIDE // 8},
    }.items():
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps(config), encoding="utf-8")
    values = {"base": "tiny", "native_size": SIDE, "vocabulary": "second", "vae": "vae", "unet": "unet"}
    (folder / "edition.json").write_text(json.dumps(values), encoding="utf-8")
    return folder / "edition.json"


@pytest.fixture
def training(tmp_path, edition, sprites_folder, monkeypatch):
    """With a few small pictures of each set, a step or two a stage, and sheets of one prompt a row.

    The word pieces, which every stage makes anew and finds the same, are found once.
    """
    joined = wordpieces._merges
    found = cache(lambda words, room: joined(Counter(dict(words)), room))
    monkeypatch.setattr(wordpieces, "_merges", lambda words, room: found(tuple(words.items()), room))
    for stage in (unet, transparency, deltas, distill):
        monkeypatch.setattr(stage, "BATCH", 8)
    monkeypatch.setattr(drawn_again, "MANY", 4)
    monkeypatch.setattr(sharpening, "POOL_STEP", 1)
    for stage in (unet, distill):
        monkeypatch.setattr(stage, "SHEET", (("a dog",), ("a beach at sunset",)))
    monkeypatch.setattr(deltas, "_SHEET", ("a dog",))
    monkeypatch.setattr(deltas, "_SHEET_TRANSLUCENT", ("smoke",))
    made = TrainingRun(tmp_path / "training", edition)
    for seed, plan in enumerate(("train", "small", "nameless", "wide", "tall", "held_out")):
        where = made.folder / "data" / plan
        where.mkdir(parents=True)
        dataset._lay_out(where, 24, SIDE, dataset.FORMS.get(plan, (1, 1)))
        dataset._draw_shard(dataset._Job(where, sprites_folder, seed, 0, 24, plan, SIDE, "second"))
    return made


def test_every_stage_follows_the_one_before(tmp_path, training):
    for stage in STAGES[STAGES.index("vae") : STAGES.index("checkpoint")]:
        training.run(stage, minutes=0.001, rate=0.1)
    training.run("checkpoint")
    elsewhere = TrainingRun(tmp_path / "elsewhere", training.folder / "checkpoint" / "edition.json")
    ours, theirs = training.bundle(), elsewhere.bundle()
    for part in ("vae", "unet"):
        for name, value in getattr(ours, part).state_dict().items():
            torch.testing.assert_close(getattr(theirs, part).state_dict()[name], value.half().float(), rtol=0, atol=0)
    assert theirs.vae.config["scaling_factor"] == ours.vae.config["scaling_factor"]
    assert theirs.tokenizers[0].get_vocab() == ours.tokenizers[0].get_vocab()

    size = training.export_to(tmp_path / "export")
    assert size < 30_000_000
    elsewhere.export_to(tmp_path / "again")
    for part in ("foreground_deltas.safetensors", "transparent_vae.safetensors", FEW_STEPS):
        one, other = (load_file(tmp_path / folder / "weights" / part) for folder in ("export", "again"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)

    card = tmp_path / "export" / "model.json"
    spec = read_manifest(card)
    assert (spec.native_size, spec.stride) == (SIDE, SIDE)
    assert spec.few_step_adapter is not None and spec.few_step_adapter.steps == distill.STEPS
    assert "a giraffe" in spec.vocabulary["objects"]
    bundle = load_model(spec)
    assert list(bundle.unet.config["block_out_channels"]) == WIDTHS
    assert list(bundle.vae.config["block_out_channels"]) == [8, 8, 32, 96]
    request = GenerationRequest(
        size=Size(2 * SIDE, SIDE),
        foregrounds=(Generated(prompt="a red apple"),),
        background=Generated(prompt="a beach at sunset"),
        steps=2,
        model=spec.name,
    )
    *_, last = LayerFusionPipeline(spec).generate(request)
    assert isinstance(last, Finished)
    assert last.stack.layers[0].pixels.shape == (SIDE, 2 * SIDE, 4)
    assert json.loads(EMBEDDED.read_text(encoding="utf-8"))["native_size"] != SIDE
