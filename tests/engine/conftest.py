"""The embedded model, loaded once: engine tests run on real weights."""

import pytest

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


@pytest.fixture
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
