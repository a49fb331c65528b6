"""The alpha of what one can see through, measured on several pictures of each name."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from layerfusion.engine.evaluation import see_through
from layerfusion.engine.evaluation.see_through import SEEDS, see_through_items, seen_through, translucency_figures
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.training.data import translucent
from layerfusion.engine.training.data.vocabulary import SECOND, TRANSLUCENT, is_held_out


def true_alpha(name, scale=0.6):
    """Its own alpha, smaller and somewhere in the picture, as a faultless model would draw it."""
    picture = translucent.draw(name).getchannel("A")
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BOX)
    canvas = Image.new("L", (256, 256))
    canvas.paste(small, (40, 60))
    return np.asarray(canvas) / 255


def test_every_translucent_name_is_drawn_four_times_with_other_seeds(monkeypatch):
    monkeypatch.setattr(see_through, "scene_caption", lambda rng, kind: kind)
    items = see_through_items(SECOND, 700)
    assert {item.name for item in items} == set(TRANSLUCENT)
    assert len(items) == SEEDS * len(TRANSLUCENT) >= 20
    assert len({(item.name, item.seed) for item in items}) == len(items)
    for item in items:
        held_out = {kind for kind in SECOND.kinds if is_held_out(item.name, kind)}
        assert item.scene in (held_out or SECOND.kinds)


def test_names_that_an_edition_does_not_know_are_not_drawn():
    known = {name: thing for name, thing in SECOND.things.items() if name != "smoke"}
    names = {item.name for item in see_through_items(dataclasses.replace(SECOND, things=known), 0)}
    assert names == set(TRANSLUCENT) - {"smoke"}


def test_true_alpha_is_known_from_a_solid_silhouette():
    names = [name for name in TRANSLUCENT for _ in range(2)]
    true = translucency_figures(names, [true_alpha(name) for name in names])
    assert true["translucent_pictures"] == len(names)
    assert true["translucent_correlation"] > 0.95 and true["translucent_mean_error"] < 0.02
    flat = translucency_figures(names, [(true_alpha(name) > 0.05) * 0.9 for name in names])
    assert flat["translucent_correlation"] < 0.2 and flat["translucent_mean_error"] > 0.2


def test_the_interval_is_that_of_the_pictures():
    """Half of them good and half of them without anything: the interval lies about the middle, names stand alone."""
    names = ["smoke"] * 4 + ["soap bubble"] * 4
    found = translucency_figures(names, [true_alpha("smoke")] * 4 + [np.zeros((256, 256))] * 4)
    assert found["translucent_correlation_smoke"] > 0.9
    assert found["translucent_correlation_soap_bubble"] == 0
    assert found["translucent_correlation"] == pytest.approx(found["translucent_correlation_smoke"] / 2)
    low, high = found["translucent_correlation_low"], found["translucent_correlation_high"]
    assert 0.05 < low < found["translucent_correlation"] < high < 0.9


def test_an_alpha_that_is_the_same_everywhere_shows_nothing():
    found = translucency_figures(["smoke"], [np.full((256, 256), 0.5)])
    assert found["translucent_correlation"] == 0 and np.isfinite(found["translucent_mean_error"])


def test_what_the_model_draws_is_measured(monkeypatch):
    monkeypatch.setattr(see_through, "SEEDS", 1)
    monkeypatch.setattr(see_through, "TRANSLUCENT", ("smoke",))
    found = seen_through(find_model("tiny"), SECOND, 5000, "fast")
    assert found["translucent_pictures"] == 1
    assert found["translucent_correlation"] == found["translucent_correlation_smoke"] > 0.3
