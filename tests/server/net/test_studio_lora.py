"""A style's LoRA in the studio, with the embedded model and a real LoRA: it acts, and the picture's record says so."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import chromium
from layerfusion.engine.models import tiny
from layerfusion.server.protocol import location
from running import Running
from studio_page import canvas, fill, generate, one, spoken, text_of, until

pytestmark = [chromium.NEEDED, pytest.mark.timeout(600)]  # a worker that imports torch and reads the model

ADAPTER = "few_steps_lora.safetensors"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server with the engine, whose folder of LoRAs has one: the embedded model's own adapter under another name."""
    loras = tmp_path / "models" / "loras"
    loras.mkdir(parents=True)
    shutil.copy(Path(tiny.__path__[0]) / "weights" / ADAPTER, loras / "ink.safetensors")
    monkeypatch.setenv("LAYERFUSION_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    with Running(tmp_path / "jobs", None) as running:
        yield running


def record(server):
    """What the newest picture was drawn with."""
    with server.client() as client:
        (job,) = client.jobs(newest=1)
    (done,) = (event for event in server.app._database.events(job.job) if event.type == "done")
    return json.loads(done.record)["picture"]


def make_style(driver, name, loras):
    one(driver, "#style-new").click()
    fill(driver, "style-name", name)
    fill(driver, "style-loras", loras)
    one(driver, "#style-form [type='submit']").click()
    until(lambda: driver.execute_script("return document.getElementById('style').value") == name)


def draw(driver, seed):
    generate(driver, "a red apple", "a beach", side=128, seed=seed)
    spoken(driver, "finished")
    return canvas(driver).astype(int)


def test_a_lora_of_a_style_acts_and_is_recorded_and_a_missing_one_is_said(driver, server):
    plain = draw(driver, "7")
    assert "ink" not in json.dumps(record(server))
    make_style(driver, "Ink", "ink: 0.8")
    assert "Uses ink." in text_of(driver, "#style-hint")
    styled = draw(driver, "7")
    assert "<lora:ink:0.8>" in record(server)["blended_prompt"]
    assert text_of(driver, "#problems") == ""
    assert np.abs(styled - plain).mean() > 3
    make_style(driver, "Lost", "nowhere: 1")
    lost = draw(driver, "7")
    until(lambda: "nowhere" in text_of(driver, "#notes"))
    assert np.array_equal(lost, plain)
    assert "ink" not in json.dumps(record(server))
