"""The embedded model, loaded once: engine tests run on real weights."""

import pytest

from layerfusion.engine import pipeline as job
from layerfusion.engine.diffusion.previews import is_due
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.models.runtime.loading import ModelBundle, load_model
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import Generated, GenerationRequest


@pytest.fixture(scope="session")
def bundle() -> ModelBundle:
    return load_model(find_model("tiny"))


@pytest.fixture(scope="session")
def pipeline() -> LayerFusionPipeline:
    return LayerFusionPipeline(find_model("tiny"))


@pytest.fixture(autouse=True, scope="module")
def without_previews():
    """Previews change no layer and cost as much as all the rest: only tests that look at them have them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "is_due", lambda *_: False)
        yield


@pytest.fixture
def with_previews():
    """For a test that looks at previews, or at what happens while one is drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "is_due", is_due)
        yield


@pytest.fixture(scope="session")
def request_for():
    """Make a request of few steps; keywords replace its values."""

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
