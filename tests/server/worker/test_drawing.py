"""Drawing jobs one after the other, in any process: the model in memory, and the last message of every job."""

import weakref
import zlib

import numpy as np
import pytest

import scripted
from layerfusion.engine.errors import UnknownModel
from layerfusion.server.protocol.messages import Cancelled, Done, Failed, LayerBegin, Masks, Progress
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.worker.drawing import Drawer
from layerfusion.server.worker.loading import EngineLoader
from samples import submit


@pytest.fixture
def store(tmp_path):
    return LayerStore(tmp_path)


def kinds(messages):
    return [type(message) for message in messages]


def test_a_job_ends_with_done_and_its_layers_are_in_the_store(store):
    messages = list(Drawer(store, scripted.load).draw(submit(blended_prompt="layers=2"), lambda: False))
    layers = [message for message in messages if isinstance(message, LayerBegin)]
    assert len(layers) == 2 and isinstance(messages[-1], Done)
    assert all(len(store.read(layer.sha256)) == layer.bytes for layer in layers)


def test_priors_and_masks_are_recorded_for_those_who_ask(store):
    asked, silent = (
        [message for message in Drawer(store, scripted.load).draw(job, lambda: False) if isinstance(message, Masks)]
        for job in (submit(blended_prompt="maps=2", masks=True), submit(blended_prompt="maps=2"))
    )
    assert silent == []
    assert [(each.time, each.trust, each.width, each.height) for each in asked] == [(1.0, 0.0, 3, 2), (0.9, 0.1, 3, 2)]
    assert zlib.decompress(asked[1].maps) == bytes(10 + number for number in range(4) for _ in range(6))


def test_the_engine_records_the_masks_of_every_step(store):
    job = submit(width=64, height=64, steps=3, masks=True, preset="exact")
    messages = list(Drawer(store, EngineLoader()).draw(job, lambda: False))
    assert isinstance(messages[-1], Done)
    masks = [message for message in messages if isinstance(message, Masks)]
    assert len(masks) >= 2
    assert [each.time for each in masks] == sorted((each.time for each in masks), reverse=True)
    for each in masks:
        maps = np.frombuffer(zlib.decompress(each.maps), np.uint8).reshape(4, each.height, each.width)
        assert len({each.tobytes() for each in maps}) == 4


def test_a_cancelled_job_stops_after_its_step(store):
    answers = iter([False, True])
    messages = Drawer(store, scripted.load).draw(submit(steps=50), lambda: next(answers))
    assert kinds(messages) == [Progress, Progress, Cancelled]


def test_errors_end_the_job_with_their_code_and_bugs_without_details(store, monkeypatch):
    def unknown(model):
        raise UnknownModel(f"There is no model {model}.", "Choose another.")

    def bug(_model):
        raise ZeroDivisionError("a secret")

    (failed,) = Drawer(store, unknown).draw(submit(), lambda: False)
    assert isinstance(failed, Failed)
    assert (failed.code, failed.message) == ("unknown_model", "There is no model tiny.")
    (failed,) = Drawer(store, bug).draw(submit(), lambda: False)
    assert isinstance(failed, Failed)
    assert "ZeroDivisionError" in failed.message and "secret" not in failed.message


def test_the_weights_of_two_models_are_never_in_memory_at_once(store):
    class Weights:
        pass

    loaded = []

    def load(_model):
        assert [weights() for weights in loaded] == [None] * len(loaded)
        weights = Weights()
        loaded.append(weakref.ref(weights))
        return weights

    drawer = Drawer(store, load)
    for model in ("one", "one", "two"):
        drawer._pipeline(model)
    assert len(loaded) == 2
