"""The embedded model, loaded once: engine tests run on real weights."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from layerfusion.engine import pipeline as job
from layerfusion.engine.diffusion.previews import is_due
from layerfusion.engine.events import Event, Finished
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.inspection.recorder import Recorder
from layerfusion.engine.inspection.records import MaskRecord
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.models.runtime.loading import ModelBundle, load_model
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import Generated, GenerationRequest
from layerfusion.engine.stack import LayerStack


def pytest_runtest_setup() -> None:
    """Random inputs of a test are the same, whichever tests were run before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def bundle() -> ModelBundle:
    return load_model(find_model("tiny"))


@pytest.fixture(scope="session")
def pipeline() -> LayerFusionPipeline:
    return LayerFusionPipeline(find_model("tiny"))


@pytest.fixture(scope="session")
def small(bundle) -> ModelBundle:
    """The same weights, drawing at 64 px in half the time: for tests that do not depend on the picture's quality."""
    return replace(bundle, spec=replace(bundle.spec, native_size=64))


@pytest.fixture(scope="session")
def small_pipeline(small) -> LayerFusionPipeline:
    return LayerFusionPipeline(small.spec, bundle=small)


@pytest.fixture(autouse=True, scope="module")
def without_previews():
    """Turn previews off. They change no layer and double a job's cost, so only tests of them make them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "is_due", lambda *_: False)
        yield


@pytest.fixture
def with_previews():
    """Turn previews on, for a test of previews or of what happens between them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "is_due", is_due)
        yield


@pytest.fixture(scope="session")
def request_for():
    """A function that makes a request with few steps; its keywords replace values of the request."""

    def make(**changes) -> GenerationRequest:
        values = {
            "size": Size(128, 128),
            "background": Generated(prompt="a beach at sunset"),
            "foregrounds": (Generated(prompt="a red apple"),),
            "steps": 6,
            "seed": 3,
        }
        return GenerationRequest(**{**values, **changes})

    return make


@pytest.fixture(scope="session")
def small_request(request_for):
    """The same for `small_pipeline`."""
    return partial(request_for, size=Size(64, 64))


@pytest.fixture(scope="session")
def watched_job(pipeline, request_for) -> tuple[list[Event], MaskRecord]:
    """The events and masks of one job at the model's own size and steps, with previews."""
    record = MaskRecord()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "is_due", is_due)
        return list(pipeline.generate(request_for(steps=None), Recorder(record))), record


@pytest.fixture(scope="session")
def apple_on_beach(watched_job) -> LayerStack:
    """The stack of `watched_job`."""
    finished = watched_job[0][-1]
    assert isinstance(finished, Finished)
    return finished.stack
