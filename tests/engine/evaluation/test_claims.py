"""The claims, tested on constructed drawings for which the correct verdict is known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from layerfusion.engine.evaluation import claims, mixtures, systems
from layerfusion.engine.evaluation.items import prompt_set
from layerfusion.engine.evaluation.measures import pasted
from layerfusion.engine.evaluation.metrics import residue_metrics, tint_between
from layerfusion.engine.evaluation.study import Study, write_drawing
from layerfusion.engine.evaluation.systems import Drawing, Maps
from layerfusion.engine.models.catalog.registry import find_model

SIDE = 64
SPEC = find_model("tiny")
ITEMS = prompt_set(SPEC.vocabulary, 6)


def ground(seed: int, contrast: int = 8) -> np.ndarray:
    picture = np.full((SIDE, SIDE, 4), 255, np.uint8)
    picture[..., :3] = 130 + np.random.default_rng(seed).integers(-contrast, contrast + 1, (SIDE, SIDE, 1))
    return picture


def figure(colour=(200, 60, 40), alpha=255) -> np.ndarray:
    picture = np.zeros((SIDE, SIDE, 4), np.uint8)
    picture[20:50, 20:45] = (*colour, alpha)
    return picture


def drawing(number: int, colour=(200, 60, 40), *, alpha=255, spilt=0, maps=None) -> Drawing:
    """An object over a backdrop; `spilt` is added everywhere in Blended."""
    background, foreground = ground(number), figure(colour, alpha)
    blended = pasted(background, foreground)
    blended[..., :3] += np.uint8(spilt)
    return Drawing(foreground, background, blended, maps)


def maps_of(soft: np.ndarray) -> Maps:
    steps = np.stack([soft] * 3).astype(np.float32)
    return Maps(np.array([1.0, 0.8, 0.4], np.float32), steps, steps, steps, steps, np.ones(3, np.float32))


def study_of(folder, drawn) -> Study:
    """A study whose drawings are those of `drawn`: (item, variant, drawing)."""
    (folder / "drawings").mkdir()
    lines = []
    for item, variant, one in drawn:
        digest = write_drawing(folder / "drawings" / f"{item.name}-{variant.name}.png", one)
        lines.append(json.dumps({"item": item.name, "variant": variant.name, "seconds": 1.0, "sha256": digest}))
    (folder / "drawings.jsonl").write_text("\n".join(lines))
    return Study(folder, SPEC)


def row(claim, beginning):
    return next(row for row in claim.rows if row.measure.startswith(beginning))


# ---- (a)


def tinted(colour, tint, amount):
    """A colour under the fraction `amount` of a tint, given as ln per channel."""
    return tuple(np.rint(np.asarray(colour) * np.exp(amount * tint)).astype(int).tolist())


def background_study(folder, scene: float, seed: float, frozen_shift: int = 0) -> Study:
    """A study whose foregrounds take these fractions of the two scenes' tint difference."""
    drawn = []
    for number, item in enumerate(ITEMS):
        tint = tint_between(item, known=True)
        tint = np.zeros(3) if tint is None else tint
        colours = {
            systems.APART: COLOUR,
            systems.APART_OTHER_SCENE: tinted(COLOUR, tint, scene + 0.01 * number * (scene > 0)),
            systems.APART_OTHER_SEED: tinted(COLOUR, tint, seed * (-1) ** number),
            systems.FROZEN: COLOUR,
            systems.FROZEN_OTHER_SCENE: (*COLOUR[:2], COLOUR[2] + frozen_shift),
        }
        drawn += [(item, variant, drawing(number, colour)) for variant, colour in colours.items()]
    return study_of(folder, drawn)


def background_claim(study, classifier=None, light_known=True):
    return claims.background_claim(study, ITEMS, classifier, light_known=light_known)


COLOUR = (100, 60, 40)


class Classifier:
    """A classifier that always returns the first item's object and scene."""

    def name_objects(self, pictures):
        return [ITEMS[0].thing] * len(pictures)

    def name_scenes(self, pictures):
        return [ITEMS[0].scene] * len(pictures)


def test_an_object_that_follows_the_scenes_light_and_not_the_seed_confirms_claim_a(tmp_path):
    claim = background_claim(background_study(tmp_path, 0.5, 0.02))
    assert "**Confirmed on this model**, as far as measured (without a classifier)" in claim.result
    gain = row(claim, "fraction of the tint difference").figures
    assert gain["another scene"].value == pytest.approx(0.525, abs=0.05)
    assert abs(gain["another seed"].value) < 0.05
    assert row(claim, "cosine").figures["another scene"].value > 0.95
    assert row(claim, "soft IoU of the alphas").figures["another scene"].value == 1


def test_a_shift_away_from_the_scenes_light_is_not_confirmed(tmp_path):
    """It is as large as one that confirms the claim, but does not point to the light."""
    claim = background_claim(background_study(tmp_path, -0.5, 0.02))
    failed = "cosine with the tint difference; component: another scene minus another seed."
    assert f"**Not confirmed on this model**: {failed}" in claim.result
    assert row(claim, "size").figures["another scene"].value > 0.05


def test_an_object_that_follows_neither_is_not_confirmed(tmp_path):
    claim = background_claim(background_study(tmp_path, 0.0, 0.0))
    assert "**Not confirmed on this model**" in claim.result
    assert row(claim, "fraction").figures["another scene"].value == 0


def test_without_the_datas_light_the_shift_has_a_size_and_no_direction(tmp_path):
    claim = background_claim(background_study(tmp_path, 0.5, 0.02), light_known=False)
    assert "the light of this model's training data is not known" in claim.result
    assert not row(claim, "cosine").figures["another scene"].known
    assert row(claim, "size").figures["another scene"].value > 0.05


def test_one_byte_of_a_frozen_foreground_is_a_failure(tmp_path):
    claim = background_claim(background_study(tmp_path, 0.5, 0.02, frozen_shift=1))
    assert row(claim, "`foreground_update` “none”").holds is False


def test_an_object_with_another_class_is_not_confirmed(tmp_path):
    claim = background_claim(background_study(tmp_path, 0.5, 0.02), Classifier())
    assert row(claim, "object named correctly").figures["another scene"].value == pytest.approx(1 / 6)
    assert "object named correctly" in claim.result


# ---- (b)


def test_pasted_layers_have_no_difference_and_blended_ones_do(tmp_path):
    drawn = [
        (item, variant, drawing(number, spilt=20 if variant is systems.LAYERFUSION else 0))
        for number, item in enumerate(ITEMS)
        for variant in (systems.PASTED, systems.LAYERFUSION)
    ]
    claim = claims.blending_claim(study_of(tmp_path, drawn), ITEMS, light_known=False)
    gaps = row(claim, "mean difference from the composited layers").figures
    assert gaps["alpha blending"].value == 0
    assert gaps["generative blending"].value == pytest.approx(20 / 255)
    assert "as far as measured (the light of this model's training data is not known)" in claim.result


# ---- (c)


TRUE_MASK = np.zeros((16, 16))
TRUE_MASK[5:12, 5:11] = 1
LEAKY_MASK = TRUE_MASK.copy()
LEAKY_MASK[5:9] = 0
LEAKY_MASK[0:3, 0:8] = 1
FLAT_MASK = np.full((16, 16), 0.5)


def mask_study(folder, kinds) -> Study:
    """A study with masks; `kinds` maps a variant to its soft mask and to its spill."""
    drawn = [
        (item, variant, drawing(number, spilt=spilt, maps=maps_of(soft)))
        for number, item in enumerate(ITEMS)
        for variant, (soft, spilt) in kinds.items()
    ]
    return study_of(folder, drawn)


def test_a_product_that_leaks_less_than_either_factor_confirms_claim_c(tmp_path):
    kinds = {
        systems.LAYERFUSION: (TRUE_MASK, 0),
        systems.STRUCTURE: (LEAKY_MASK, 30),
        systems.CONTENT: (FLAT_MASK, 15),
    }
    claim = claims.mask_claim(mask_study(tmp_path, kinds), ITEMS, ())
    assert "**Confirmed on this model**." in claim.result
    spills = row(claim, "spill beside").figures
    assert [spills[name].value for name in ("structure", "content", "product")] == pytest.approx(
        [30 / 255, 15 / 255, 0]
    )


def test_a_product_that_leaks_more_is_not_confirmed(tmp_path):
    kinds = {
        systems.LAYERFUSION: (LEAKY_MASK, 30),
        systems.STRUCTURE: (TRUE_MASK, 0),
        systems.CONTENT: (FLAT_MASK, 15),
    }
    claim = claims.mask_claim(mask_study(tmp_path, kinds), ITEMS, ITEMS[:3])
    assert "**Not confirmed on this model**" in claim.result
    assert row(claim, "mask: leak at matched coverage, textured backdrops").figures["structure"].value == 0


# ---- (d)


def boundary_drawings(falling: bool):
    for number, item in enumerate(ITEMS):
        for place, variant in enumerate(systems.SWEEP):
            strength = len(systems.SWEEP) - place if falling else place + 1
            # the crisper the alpha, the larger the part of it that is solid; the masks spread likewise
            mask = np.full((16, 16), strength / 10)
            mask[5:12, 5:11] = 1
            one = drawing(number, spilt=4 * strength, maps=maps_of(mask))
            veiled = one.foreground.copy()
            veiled[20 : 20 + 4 * strength, 20:45, 3] = 200
            yield item, variant, replace(one, foreground=veiled)


def test_a_boundary_that_stops_leaks_and_sharpens_the_alpha_confirms_claim_d(tmp_path):
    claim = claims.boundary_claim(study_of(tmp_path, boundary_drawings(falling=True)), ITEMS)
    assert row(claim, "rank correlation of d with the hard mask").figures["d = 50"].value == pytest.approx(-1)
    assert row(claim, "rank correlation of d with spill").figures["d = 50"].value == pytest.approx(-1)
    assert row(claim, "rank correlation of d with alpha precision").figures["d = 50"].value == pytest.approx(1)
    assert "**Confirmed on this model**." in claim.result


def test_a_boundary_that_does_the_opposite_is_not_confirmed(tmp_path):
    claim = claims.boundary_claim(study_of(tmp_path, boundary_drawings(falling=False)), ITEMS)
    assert "**Not confirmed on this model**: rank correlation of d with the hard mask outside; " in claim.result
    assert "rank correlation of d with spill; rank correlation of d with alpha precision." in claim.result


# ---- Fig. 2c


def test_every_reading_of_the_mixture_is_measured_in_both_scenes(tmp_path):
    """The reading whose foreground takes most of the tint difference has the largest fraction."""
    drawn = []
    for number, item in enumerate(ITEMS):
        tint = tint_between(item, known=True)
        tint = np.zeros(3) if tint is None else tint
        drawn.append((item, systems.PASTED, drawing(number, COLOUR)))
        for amount, (own, other) in zip((0.0, 0.2, 0.4, 0.6), systems.MIXTURES.values(), strict=True):
            drawn.append((item, own, drawing(number, COLOUR, maps=maps_of(TRUE_MASK))))
            drawn.append((item, other, drawing(number, tinted(COLOUR, tint, amount))))
    section = mixtures.mixture_section(study_of(tmp_path, drawn), ITEMS, None, light_known=True)
    gains = row(section, "(a) fraction of the tint difference").figures
    assert list(gains) == ["m a_F, c of F", "m a_F, c of X", "m a_X, c of F", "m a_X, c of X"]
    assert [figure.value for figure in gains.values()] == pytest.approx([0, 0.2, 0.4, 0.6], abs=0.04)
    assert all(figure.value == 1 for figure in row(section, "(a) soft IoU").figures.values())
    assert not any(figure.known for figure in row(section, "(a) object named").figures.values())


# ---- residue


def test_residue_is_measured_against_chance():
    objects = [figure() for _ in range(12)]
    for number, one in enumerate(objects):
        one[20:50, 20:45, :3] = np.random.default_rng(100 + number).integers(0, 255, (30, 25, 1))
    clear = [ground(number, 60) for number in range(12)]
    haunted = [
        np.dstack([(0.6 * back[..., :3] + 0.4 * pasted(back, front)[..., :3]).astype(np.uint8), back[..., 3]])
        for front, back in zip(objects, clear, strict=True)
    ]
    _, none = residue_metrics(list(zip(objects, clear, strict=True)))
    _, ghosts = residue_metrics(list(zip(objects, haunted, strict=True)))
    assert none.low < 0.2
    assert abs(none.value) < 0.8
    assert ghosts.low > 2
