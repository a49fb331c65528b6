"""The training data: captions, scenes, sprites, translucent objects, and composites."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.training import latents
from layerfusion.engine.training.data import arbitrary, dataset, translucent
from layerfusion.engine.training.data.scenes import draw_scene
from layerfusion.engine.training.data.sprites import SpriteLibrary
from layerfusion.engine.training.data.triplets import TINTED, make_triplet
from layerfusion.engine.training.data.vocabulary import (
    FIRST,
    INDOOR,
    NAMELESS,
    OUTDOOR,
    SECOND,
    TIMES,
    TRANSLUCENT,
    is_held_out,
    names,
    thing_of,
    with_article,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_vocabulary_has_the_documented_size():
    assert len(names(held_out=False)) >= 64
    assert len(FIRST.kinds) >= 12
    for known in (FIRST, SECOND):
        assert len(set(known.backgrounds)) == len(known.backgrounds)
        assert set(known.kinds) <= {*OUTDOOR, *INDOOR}
    assert set(TRANSLUCENT) <= set(names(held_out=False))


def test_the_second_vocabulary_is_larger_and_told_apart_at_a_glance():
    assert len(SECOND.names(held_out=True)) >= 120
    assert len(SECOND.backgrounds) >= 100
    assert set(names(held_out=True)) <= set(SECOND.names(held_out=True))
    assert set(FIRST.backgrounds) <= set(SECOND.backgrounds)
    assert (thing_of("dog")[1].label, thing_of("dog", SECOND.things)[1].label) == ("dog", "dog face")
    labels = [thing.label for thing in SECOND.things.values() if thing.label]
    assert len(set(labels)) == len(labels)
    plan = dataset._plan(rng(), SECOND)
    assert "giraffe" in {next(plan)[0] for _ in range(400)}


def test_every_name_is_found_by_its_object():
    for name in names(held_out=True):
        noun, _thing, hue = thing_of(name)
        assert name == f"{hue} {noun}".strip()


def test_one_pair_in_ten_is_held_out_and_no_object_or_scene_loses_more_than_half():
    held = np.asarray([[is_held_out(name, kind) for kind in FIRST.kinds] for name in names(held_out=True)])
    assert 0.07 < held.mean() < 0.13
    assert held.mean(axis=0).max() < 0.5
    assert held.mean(axis=1).max() <= 0.5


@pytest.mark.parametrize(("name", "said"), [("owl", "an owl"), ("dog", "a dog"), ("grapes", "grapes")])
def test_articles(name, said):
    assert with_article(name) == said


def test_scenes_are_textured_and_the_same_for_the_same_seed(subtests):
    for kind in SECOND.kinds:
        with subtests.test(kind=kind):
            time = "sunny" if kind in OUTDOOR else ""
            one, again, other = (draw_scene(rng(seed), kind, time) for seed in (4, 4, 5))
            np.testing.assert_array_equal(one.pixels, again.pixels)
            assert np.abs(one.pixels - other.pixels).mean() > 1
            assert one.caption in SECOND.backgrounds
            assert np.isfinite(one.pixels).all()
            steps = np.abs(np.diff(one.pixels.astype(np.float64), axis=1)).mean()
            assert steps > (0.1 if kind == "studio" else 0.3), "smooth pictures flatter every measure"


def test_night_is_darker_than_day_and_tints_what_stands_in_it(subtests):
    for kind in OUTDOOR:
        with subtests.test(kind=kind):
            day, night = (draw_scene(rng(1), kind, time) for time in ("sunny", "night"))
            assert night.pixels.mean() < 0.8 * day.pixels.mean()
            assert sum(night.light.tint) < sum(day.light.tint)


def test_translucent_objects_are_translucent(subtests):
    for name in TRANSLUCENT:
        with subtests.test(name=name):
            picture = translucent.draw(name)
            alpha = np.asarray(picture.getchannel("A"), np.float64) / 255
            height, width = alpha.shape
            inside = alpha[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3]
            assert 0.05 < inside.mean() < 0.9
            assert picture.getbbox() == (0, 0, *picture.size)


def test_glass_has_a_rim_denser_than_its_inside(subtests):
    for name in ("glass of water", "green bottle", "blue bottle"):
        with subtests.test(name=name):
            alpha = np.asarray(translucent.draw(name).getchannel("A"), np.float64)[..., :] / 255
            rows = alpha[alpha.shape[0] // 2 : alpha.shape[0] * 3 // 4]
            first = (rows > 0.3).argmax(axis=1)
            rim = np.mean([row[x : x + 5].max() for row, x in zip(rows, first, strict=True)])
            middle = rows[:, rows.shape[1] * 2 // 5 : rows.shape[1] * 3 // 5]
            assert rim > middle.mean() + 0.25
            assert np.abs(np.diff(middle, axis=1)).max() < 0.1  # smooth inside


def test_a_tinted_foreground_is_the_object_as_the_composite_shows_it(sprites):
    plain = make_triplet(rng(3), sprites, "dog", kind="beach", time="sunset")
    one = make_triplet(rng(3), sprites, "dog", kind="beach", time="sunset", tinted=True)
    solid = one.foreground[..., 3] == 255
    assert np.array_equal(plain.composite, one.composite)
    assert np.abs(one.foreground[solid][:, :3].astype(int) - one.composite[solid]).mean() < 1.5
    assert np.abs(plain.foreground[solid][:, :3].astype(int) - one.composite[solid]).mean() > 5
    assert one.tint == (1, 1, 1)


def test_a_missing_package_is_named_with_what_to_do(tmp_path):
    with pytest.raises(InvalidRequest, match=r"fluent-emoji-3d.*npm pack"):
        SpriteLibrary(tmp_path)


def test_recolouring_turns_the_paint(subtests, sprites):
    for hue, degrees in [("red", 352), ("blue", 215), ("green", 130), ("yellow", 48)]:
        with subtests.test(hue=hue, degrees=degrees):
            pixels = np.asarray(sprites.get(f"{hue} car")).astype(np.float64)
            red, green, blue = pixels[pixels[..., 3] > 250][:, :3].mean(axis=0) / 255
            found = colorsys.rgb_to_hsv(red, green, blue)[0] * 360
            assert abs((found - degrees + 180) % 360 - 180) < 15


def test_a_composite_is_the_scene_in_shadow_under_the_object_in_the_scenes_light(sprites):
    one = make_triplet(rng(3), sprites, "dog", kind="beach", time="sunset")
    alpha = one.foreground[..., 3:] / 255.0
    shade = 1 - one.light.strength * one.shadow[..., None] / 255.0
    expected = one.background * shade * (1 - alpha) + one.foreground[..., :3] * np.asarray(one.tint) * alpha
    assert np.abs(expected - one.composite).mean() < 3
    assert one.captions[:2] == ("a dog", "a beach at sunset")
    assert one.captions[2] in ("a dog on a beach at sunset",)
    assert one.tint == pytest.approx([1 - TINTED + TINTED * channel for channel in one.light.tint])
    assert one.shadow.max() > 100


def test_floating_objects_cast_no_shadow(sprites):
    assert make_triplet(rng(3), sprites, "red balloon", kind="beach", time="sunny").shadow.max() == 0


def test_two_objects_are_one_foreground(sprites):
    one = make_triplet(rng(3), sprites, "dog", kind="room", others=("owl",))
    assert one.captions[0] == "an owl and a dog"
    left, right = one.foreground[:, :64, 3], one.foreground[:, 64:, 3]
    assert left.max() == right.max() == 255


def test_small_objects_are_small_and_stand_anywhere(sprites):
    middles = []
    for seed in range(12):
        rows, columns = np.nonzero(make_triplet(rng(seed), sprites, "dog", small=True).foreground[..., 3] > 127)
        assert 0.2 * 128 < max(np.ptp(rows), np.ptp(columns)) < 0.54 * 128
        middles.append((columns.min() + columns.max()) / 2)
    assert np.ptp(middles) > 0.35 * 128


def test_studio_backgrounds_differ_from_the_padding_grey(sprites):
    for seed in range(8):
        corner = make_triplet(rng(seed), sprites, "dog").studio[:6, :6].reshape(-1, 3).astype(np.float64).mean(axis=0)
        assert np.abs(corner - 127.5).max() > 30


@pytest.mark.parametrize("native", [128, 256])
def test_a_data_set_is_drawn_in_shards_and_resumes_where_it_stopped(tmp_path, sprites_folder, native):
    where = tmp_path / "set"
    where.mkdir()
    dataset._lay_out(where, 8, native, (1, 1))
    jobs = [dataset._Job(where, sprites_folder, 1, shard, 4, "train", native, "first") for shard in range(2)]
    dataset._draw_shard(jobs[0])
    part = dataset.load(where)
    assert part.composite.shape == (4, native, native, 3), "what is not drawn yet is not shown"
    before = part.composite.copy()
    dataset._lay_out(where, 8, native, (1, 1))
    dataset._draw_shard(jobs[1])
    whole = dataset.load(where)
    assert len(whole) == len(whole.facts) == 8
    np.testing.assert_array_equal(whole.composite[:4], before)
    dataset._draw_shard(jobs[1])
    np.testing.assert_array_equal(dataset.load(where).foreground, whole.foreground)
    with pytest.raises(InvalidRequest, match="another folder"):
        dataset._lay_out(where, 8, 64, (1, 1))


def test_several_things_stand_side_by_side_in_different_sizes(sprites):
    one = make_triplet(rng(2), sprites, "dog", kind="room", others=("owl", "fox", "cat"), native=256)
    assert one.captions[0] == "a cat, a fox, an owl and a dog"
    across = one.foreground[..., 3].max(axis=0) > 127
    edges = np.flatnonzero(np.diff(np.concatenate([[0], across.astype(int), [0]])))
    widths = edges[1::2] - edges[::2]
    assert len(widths) == 4 and widths.max() > 1.3 * widths.min()


@pytest.mark.parametrize("form", [(2, 1), (1, 2)])
def test_a_wide_picture_shows_more_of_its_scene_and_one_object(sprites, form):
    columns, rows = form
    one = make_triplet(rng(4), sprites, "dog", kind="beach", time="sunset", native=128, form=form)
    assert one.composite.shape == one.background.shape == one.studio.shape == (128 * rows, 128 * columns, 3)
    assert one.shadow.shape == one.foreground.shape[:2] == (128 * rows, 128 * columns)
    seen = one.foreground[..., 3] > 127
    edges = np.diff(np.concatenate([[0], seen.max(axis=0 if columns > 1 else 1).astype(int), [0]]))
    assert (edges == 1).sum() == 1 and 45 < np.flatnonzero(edges == -1)[0] - np.flatnonzero(edges == 1)[0] < 100
    square = make_triplet(rng(4), sprites, "dog", kind="beach", time="sunset", native=128)
    assert square.captions == one.captions


@pytest.mark.parametrize("size", [(512, 256), (256, 512)])
def test_scenes_of_every_kind_can_be_wide_and_tall(size, subtests):
    width, height = size
    for kind in SECOND.kinds:
        with subtests.test(kind=kind):
            scene = draw_scene(rng(7), kind, "cloudy" if kind in OUTDOOR else "", width=width, height=height)
            assert scene.pixels.shape == (height, width, 3)
            halves = scene.pixels[:, : width // 2], scene.pixels[:, width // 2 :]
            assert all(half.std() > 3 for half in halves)
            assert np.abs(halves[0] - halves[1]).mean() > 1, "no half is the other, repeated"


def test_a_wide_sky_has_one_sun(subtests):
    for seed in range(6):
        with subtests.test(seed=seed):
            scene = draw_scene(rng(seed), "desert", "sunny", width=512, height=256).pixels[:70]
            disc = np.abs(scene - (255, 246, 184)).max(axis=-1) < 6
            columns = np.flatnonzero(disc.sum(axis=0) > 3)
            assert len(columns) and columns[-1] - columns[0] < 40


def test_pictures_are_as_large_as_asked_and_the_same_picture(sprites):
    small, large = (make_triplet(rng(3), sprites, "dog", kind="beach", time="sunset", native=n) for n in (128, 256))
    assert large.composite.shape == (256, 256, 3) and large.foreground.shape == (256, 256, 4)
    reduced = np.asarray(Image.fromarray(large.composite).resize((128, 128), Image.Resampling.LANCZOS))
    assert np.abs(reduced.astype(int) - small.composite).max() <= 1


def test_nameless_things_are_solids_drawings_and_glass_of_any_colour():
    drawn = [np.asarray(arbitrary.draw(rng(seed))).astype(np.float64) for seed in range(40)]
    again = np.asarray(arbitrary.draw(rng(7)))
    np.testing.assert_array_equal(again, drawn[7])
    inside = [np.median(one[..., 3][one[..., 3] > 20]) for one in drawn]
    assert 2 <= sum(value < 240 for value in inside) <= 20, "some can be seen through"
    assert max(inside) == 255
    assert all(max(one.shape[:2]) >= arbitrary.SIDE // 4 for one in drawn)
    colours = np.stack([one[one[..., 3] > 20][:, :3].mean(axis=0) for one in drawn])
    assert colours.std(axis=0).min() > 25


@pytest.mark.parametrize("name", NAMELESS)
def test_captions_say_nothing_about_nameless_things(sprites, name):
    one = make_triplet(rng(1), sprites, name, kind="beach", time="sunny")
    assert one.captions[2] == f"{with_article(name)} on {one.captions[1]}"
    other = make_triplet(rng(2), sprites, name, kind="beach", time="sunny")
    assert np.abs(one.foreground.astype(int) - other.foreground).mean() > 1
    assert one.shadow.max() > 100


def test_shade_is_the_shadow_on_what_can_be_seen_of_the_ground(sprites):
    one = make_triplet(rng(3), sprites, "dog", kind="beach", time="sunset")
    fields = {field: getattr(one, field)[None] for field in dataset.FIELDS}
    shade = latents._shade(dataset.Examples(**fields, facts=[{}]), np.array([0]), 8)[0].float().numpy()
    alpha, shadow = one.foreground[..., 3] / 255.0, one.shadow / 255.0
    assert shade.shape == (16, 16)
    assert shade.mean() == pytest.approx((shadow * (1 - alpha)).mean(), abs=1e-3)
    inside = alpha.reshape(16, 8, 16, 8).min(axis=(1, 3)) == 1
    assert inside.any() and shade[inside].max() == 0 and shade.max() > 0.1


def test_latents_of_an_earlier_version_are_refused(tmp_path):
    file = tmp_path / "latents.safetensors"
    save_file({"composite": torch.zeros(1, 4, 2, 2)}, str(file), metadata={"captions": "{}"})
    with pytest.raises(InvalidRequest, match="earlier version"):
        latents.load_latents(file)


@pytest.mark.parametrize("plan_of", [dataset._plan, dataset._small_plan, dataset._nameless_plan])
def test_training_never_shows_what_is_held_out(plan_of):
    plan, shown = plan_of(rng()), []
    for _ in range(300):
        name, rest = next(plan)
        shown += [name, *rest.get("others", ())]
    assert set(shown) <= {*names(held_out=False), *NAMELESS}
    assert not {"green car", "purple balloon", "yellow backpack"} & set(shown)


def test_groups_and_pairs_come_now_and_then():
    plan = dataset._plan(rng())
    sizes = [1 + len(next(plan)[1]["others"]) for _ in range(2000)]
    assert 0.08 < np.mean([size == 2 for size in sizes]) < 0.2
    assert 0.08 < np.mean([size > 2 for size in sizes]) < 0.2


def test_randomly_chosen_scenes_are_never_held_out(sprites):
    for seed in range(20):
        one = make_triplet(rng(seed), sprites, "fox")
        assert not is_held_out("fox", one.kind)


def test_the_held_out_set_has_only_held_out_pairs():
    plan, known = dataset._held_out_plan(rng()), set(names(held_out=False))
    for _ in range(300):
        name, rest = next(plan)
        assert name not in known or is_held_out(name, rest["kind"])


def test_an_empty_folder_is_not_a_data_set(tmp_path):
    with pytest.raises(InvalidRequest, match="train dataset"):
        dataset.load(tmp_path)


def test_every_time_of_day_has_a_caption():
    assert all(f"a beach {captions[0]}" in SECOND.backgrounds for captions in TIMES.values())
