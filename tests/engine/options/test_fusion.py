from dataclasses import fields
from pathlib import Path

import pytest

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.options.docs_page import page
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.harmony import HarmonySettings
from layerfusion.engine.options.presets import PRESETS
from layerfusion.engine.options.research import ResearchSettings


def test_values_are_checked(subtests):
    for name, value in [
        ("decision_boundary", 0),
        ("foreground_boundary", -1),
        ("prior", "never"),
        ("heads", "max"),
        ("share_strength", 1.1),
        ("share_strength", float("nan")),
        ("smallest_grid", 0),
        ("structure_layers", 9),
        ("amodal", "yes"),
        ("blend_blocks", 5),
        ("mask_smoothing", 1.0),
    ]:
        with subtests.test(name=name, value=value):
            with pytest.raises(InvalidRequest, match=name.replace("_", " ")) as refused:
                FusionSettings.from_values({name: value})
            assert repr(value) in refused.value.message
            assert refused.value.hint


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"blend_start": 0.5, "blend_end": 0.5}, "blend start is 0.5 and the blend end 0.5"),
        ({"guidance_start": 0.2, "guidance_end": 0.6}, "guidance start is 0.2"),
        ({"content_layers": "all", "content_source": "live"}, "content layers is 'all'.*content source 'live'"),
        ({"hard_threshold": 0.3, "hard_mode": "otsu"}, "hard threshold is 0.3.*hard mode 'otsu'"),
        ({"foreground_boundary": 3.0, "foreground_update": "none"}, "foreground boundary is 3.0"),
        ({"mask_smoothing": 0.5, "prior": "once", "content_source": "prior"}, "mask smoothing is 0.5"),
    ],
)
def test_options_that_contradict_each_other_are_refused(values, named):
    with pytest.raises(InvalidRequest, match=named):
        FusionSettings.from_values(values)


def test_changes_are_named_and_checked():
    changed = FusionSettings().changed({"decision_boundary": 3, "prior": "once"})
    assert changed == FusionSettings(decision_boundary=3, prior="once")
    with pytest.raises(InvalidRequest, match="no option 'boundary'") as refused:
        FusionSettings().changed({"boundary": 3})
    assert "decision_boundary" in refused.value.hint


def test_presets_keep_the_models_own_values():
    tuned = FusionSettings.from_values({"decision_boundary": 5, "content_source": "prior", "heads": "map_mean"})
    for name, changes in PRESETS.items():
        preset = tuned.preset(name)
        assert preset == tuned.changed(changes)
        assert (preset.decision_boundary, preset.research.content_source, preset.research.heads) == (
            5,
            "prior",
            "map_mean",
        )
    with pytest.raises(InvalidRequest, match=r"'quick'.*paper, exact, balanced, fast"):
        tuned.preset("quick")


def test_no_preset_couples_longer_than_the_model_does():
    assert FusionSettings(blend_end=0.1).preset("fast").blend_end == 0.4
    assert FusionSettings(blend_end=0.5).preset("fast").blend_end == 0.5


def test_artists_have_sixteen_options_and_programs_have_all_in_one_flat_list():
    names = [option.name for option in FusionSettings.options()]
    research = {option.name for option in fields(ResearchSettings)}
    assert len(names) - len(research) == 16 and len(set(names)) == len(names) == 44
    tuned = FusionSettings(amodal=False, research=ResearchSettings(normalise="never"))
    assert list(tuned.values()) == names
    assert FusionSettings.from_values(tuned.values()) == tuned == FusionSettings().changed(tuned.values())
    assert FusionSettings.from_values({"normalise": "never"}).amodal is FusionSettings().amodal
    with pytest.raises(InvalidRequest, match="research settings are a dict") as refused:
        FusionSettings(research={"normalise": "never"})
    assert "from_values" in refused.value.hint


def test_every_option_is_explained():
    for option in FusionSettings.options():
        assert option.metadata["artist"].endswith(".") and option.metadata["researcher"].endswith(".")


def test_harmony_modes_are_listed_in_the_error():
    with pytest.raises(InvalidRequest, match="clean, exact"):
        HarmonySettings(mode="vivid")


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ({"decision_boundary": "3"}, FusionSettings(decision_boundary=3)),
        ({"foreground_boundary": " 2.5 "}, FusionSettings(foreground_boundary=2.5)),
        ({"foreground_boundary": "none"}, FusionSettings()),
        (
            {"amodal": "False", "structure_layers": "2"},
            FusionSettings.from_values({"amodal": False, "structure_layers": 2}),
        ),
        ({"content_norm": "none"}, FusionSettings.from_values({"content_norm": "none"})),
        ({"blend_blocks": "up_blocks"}, FusionSettings.from_values({"blend_blocks": "up_blocks"})),
    ],
)
def test_options_are_read_from_text(words, settings):
    assert FusionSettings().adjusted(None, words) == settings


def test_settings_written_as_text_are_read_back():
    settings = FusionSettings.from_values(
        {
            "foreground_boundary": 2.5,
            "amodal": False,
            "structure_layers": 2,
            "content_norm": "none",
            "blend_blocks": "up_blocks",
        }
    )
    assert FusionSettings().adjusted(None, settings.words()) == settings
    assert FusionSettings(decision_boundary=3).adjusted(None, FusionSettings().words()) == FusionSettings()


def test_single_options_come_after_the_preset():
    assert FusionSettings().adjusted("exact", {}).prior == "lagged"
    assert FusionSettings().adjusted("exact", {"prior": "once"}).prior == "once"


@pytest.mark.parametrize(
    ("name", "word"),
    [("decision_boundary", "much"), ("amodal", "1"), ("structure_layers", "1.5"), ("prior", "none"), ("d", "5")],
)
def test_invalid_texts_are_named_in_the_error(name, word):
    with pytest.raises(InvalidRequest, match="|".join((name.replace("_", " "), name))) as refused:
        FusionSettings().adjusted(None, {name: word})
    assert name == "d" or word in refused.value.message


def test_the_page_agrees_with_the_options():
    """If it fails: python -m layerfusion.engine.options.docs_page > docs/fusion-settings.md"""
    shipped = Path(__file__).parents[3] / "docs" / "fusion-settings.md"
    assert shipped.read_text(encoding="utf-8") == page()
    for option in FusionSettings.options():
        assert f"#### `{option.name}`" in page()
