"""For commands that draw: what they read, write and say does not depend on how well it is drawn."""

from dataclasses import replace

import pytest

from layerfusion.engine.models.catalog import registry
from layerfusion.server.cli import generate


@pytest.fixture(scope="session")
def weights():
    """The embedded model in memory, read once for all commands."""
    from layerfusion.engine.models.runtime.loading import load_model

    return load_model(registry.find_model("tiny"))


@pytest.fixture
def small_model(monkeypatch, weights):
    """`generate` draws with the embedded model at half its size. Another model is read by the command itself."""
    from layerfusion.engine import pipeline

    def find_model(name):
        spec = registry.find_model(name)
        return replace(spec, native_size=64) if spec.name == "tiny" else spec

    def load_model(spec, **options):
        return replace(weights, spec=spec) if spec.name == "tiny" else real(spec, **options)

    real = pipeline.load_model
    monkeypatch.setattr(generate, "find_model", find_model)
    monkeypatch.setattr(pipeline, "load_model", load_model)
