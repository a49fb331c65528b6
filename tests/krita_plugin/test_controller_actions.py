"""The submission of each button, and the place of its result."""

from dataclasses import replace

import pytest

from controller_harness import HEIGHT, WIDTH, arrived, finish, generate, greeting, kept_background, kept_layer, params

# ---- new background --------------------------------------------------------------------------------------------------


def test_a_background_is_changed_only_where_it_is_selected(online, wire):
    online.document.keep, online.document.keep_behind = kept_layer(), kept_background()
    online.controller.new_background(params(background="a night sky", background_in_selection=True))
    ((submit, pictures),) = online.link.submitted
    assert isinstance(submit.background, wire.Kept)
    assert submit.background.prompt == "a night sky", "what is drawn anew, not what was there"
    assert pictures == (online.document.keep.picture, online.document.keep_behind.picture)


def test_a_new_background_keeps_the_layer_as_it_is(online, wire):
    online.document.keep = kept_layer()
    online.controller.new_background(params())
    ((submit, (picture,)),) = online.link.submitted
    assert picture == online.document.keep.picture
    (kept,) = submit.foregrounds
    assert kept == wire.Kept(
        layer=picture.sha256, width=WIDTH, height=HEIGHT, x=-2, y=3, name="My pear", prompt="a pear"
    )


def test_a_layer_of_the_artists_own_takes_the_prompt_from_the_docker(online):
    online.document.keep = kept_layer(prompt="")
    online.controller.new_background(params(foreground="a plum"))
    assert online.link.submitted[0][0].foregrounds[0].prompt == "a plum"


def test_opacity_and_blending_mode_are_told_to_the_server_as_far_as_it_knows_them(online, subtests):
    for blend, sent in [("multiply", "multiply"), ("screen", "normal")]:
        with subtests.test(blend=blend):
            online.document.keep = kept_layer(opacity=0.5, blend=blend)
            online.controller.new_background(params())
            (kept,) = online.link.submitted[-1][0].foregrounds
            assert (kept.opacity, kept.blend) == (0.5, sent)


def test_what_is_not_kept_of_a_layer_is_a_notice(online):
    online.document.keep = kept_layer(notes=("“My pear” is animated.",))
    online.controller.new_background(params())
    assert online.view.notes == ["“My pear” is animated."]
    assert len(online.link.submitted) == 1


def test_the_result_goes_above_the_old_group_if_the_foreground_came_back_unchanged(online, wire):
    online.document.keep = kept_layer()
    online.controller.new_background(params())
    job = online.link.submitted[0][0].job
    picture = online.document.keep.picture
    wrong = bytes(len(picture.data))
    finish(online, wire, job, (None, wrong, None))
    assert not online.document.inserted
    assert online.view.told[-1][0] == "warn"


def test_a_kept_foreground_that_came_back_is_put_above_the_old_group(online, wire):
    from krita_layerfusion.jobs import ArrivedLayer

    online.document.keep = kept_layer()
    online.controller.new_background(params())
    job = online.link.submitted[0][0].job
    picture = online.document.keep.picture
    online.controller.receive(wire.Started(job=job, seq=1))
    online.controller.receive(arrived(wire, job, 0, 2))
    begin = arrived(wire, job, 1, 3, picture.data).begin
    online.controller.receive(ArrivedLayer(begin, picture))
    online.controller.receive(wire.Done(job=job, seq=4, layers=2))
    ((placement, name, layers, _),) = online.document.inserted
    assert placement.above == "{old group}"
    assert name == "a pear + a beach"
    assert layers[1].picture == picture


# ---- new foreground --------------------------------------------------------------------------------------------------


def test_a_new_foreground_keeps_the_background_as_it_is(online, wire):
    online.document.keep_behind = kept_layer(prompt="a lake")
    online.controller.new_foreground(params(negative="people"))
    ((submit, (picture,)),) = online.link.submitted
    assert picture == online.document.keep_behind.picture
    assert submit.foregrounds == (wire.Generated(prompt="a red apple", negative_prompt="people"),)
    assert submit.background == wire.Kept(
        layer=picture.sha256, width=WIDTH, height=HEIGHT, x=-2, y=3, name="My pear", prompt="a lake"
    )


@pytest.mark.parametrize("role", [0, 1])
def test_a_kept_background_has_to_come_back_as_the_background(online, wire, role):
    online.document.keep_behind = kept_layer(prompt="a lake")
    online.controller.new_foreground(params())
    ((submit, (picture,)),) = online.link.submitted
    pixels = [None, None, None]
    pixels[role] = picture.data
    finish(online, wire, submit.job, pixels)
    assert len(online.document.inserted) == (role == 0)


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ({"background": ""}, ("The background prompt is empty.", "Describe in a few words what “My pear” shows.")),
        ({"foreground": ""}, ("The foreground prompt is empty.", "Describe in a few words what to draw.")),
    ],
)
def test_a_kept_layer_without_a_prompt_is_refused(online, prompts, words):
    online.document.keep_behind = kept_layer(prompt="")
    online.controller.new_foreground(params(**prompts))
    assert online.view.told == [("warn", *words)]
    assert not online.link.submitted


# ---- in the selection ------------------------------------------------------------------------------------------------


def region(box, shape=None):
    from krita_layerfusion.interfaces import Region

    return Region(box, shape)


@pytest.mark.parametrize("shape", [None, "2x2:eJxj+P//PwAF/gL+"])
@pytest.mark.parametrize("intent", ["generate", "new_foreground"])
def test_a_foreground_is_drawn_in_the_selection_if_that_is_ticked(online, wire, intent, shape):
    online.document.selected, online.document.keep_behind = region((10, 8, 30, 20), shape), kept_background()
    online.controller.receive(greeting(wire, protocol=(1, 5)))
    getattr(online.controller, intent)(params(in_selection=True))
    ((submit, _),) = online.link.submitted
    box = wire.Box(x=10, y=8, width=30, height=20)
    assert submit.foregrounds == (wire.Generated(prompt="a red apple", box=box, shape=shape),)
    assert submit.minor == (2 if shape is None else 5)
    assert getattr(submit.background, "box", None) is None


def test_a_selection_is_ignored_without_the_tick_box(online):
    online.document.selected = region((10, 8, 30, 20), "2x2:eJxj+P//PwAF/gL+")
    assert generate(online).foregrounds[0].box is None


def test_without_a_selection_the_tick_box_is_refused_with_a_remedy(online):
    online.controller.generate(params(in_selection=True))
    assert online.view.told == [
        (
            "warn",
            "Nothing is selected on the canvas.",
            "Select the place for the foreground, or untick “Draw the foreground in the selection”.",
        )
    ]
    assert not online.link.submitted


def test_a_kept_foreground_needs_no_selection(online):
    online.document.keep = kept_layer()
    online.controller.new_background(params(in_selection=True))
    assert len(online.link.submitted) == 1


# ---- harmonise -------------------------------------------------------------------------------------------------------


def test_harmonising_keeps_both(online, wire):
    online.document.keep, online.document.keep_behind = kept_layer(), kept_background()
    online.controller.harmonise(params(foreground="", background=""))
    ((submit, pictures),) = online.link.submitted
    assert pictures == (online.document.keep.picture, online.document.keep_behind.picture)
    (front,) = submit.foregrounds
    assert (front.kind, front.name, front.prompt, front.layer) == ("kept", "My pear", "a pear", pictures[0].sha256)
    behind = submit.background
    assert (behind.kind, behind.name, behind.prompt, behind.layer) == ("kept", "My lake", "a lake", pictures[1].sha256)
    finish(online, wire, submit.job, (pictures[1].data, pictures[0].data, None))
    ((placement, name, layers, record),) = online.document.inserted
    assert (placement.above, name) == ("{old group}", "a pear + a lake")
    assert [layer.picture.data for layer in layers[:2]] == [pictures[1].data, pictures[0].data]
    assert (record["foreground"], record["background"]) == ("a pear", "a lake")


def test_notices_about_both_layers_are_shown(online):
    online.document.keep = kept_layer(notes=("One.",))
    online.document.keep_behind = kept_background(notes=("Two.",))
    online.controller.harmonise(params())
    assert online.view.notes == ["One. Two."]


# ---- several foregrounds ---------------------------------------------------------------------------------------------


def beside(name, prompt, byte):
    """A further foreground of the picture."""
    from krita_layerfusion.images import Picture

    picture = Picture(0, 0, WIDTH, HEIGHT, bytes([byte]) * (4 * WIDTH * HEIGHT))
    return replace(kept_layer(prompt=prompt), name=name, picture=picture, picked=False)


@pytest.fixture
def several(online):
    """A document whose picture has a pear, which is picked, a cat and a dog before a lake."""
    online.document.keep, online.document.keep_behind = kept_layer(), kept_background()
    online.document.keep_beside = beside("My cat", "a cat", 1), beside("My dog", "a dog", 2)
    return online


@pytest.mark.parametrize("intent", ["new_background", "harmonise"])
def test_no_foreground_of_a_picture_is_left_behind(several, wire, intent):
    getattr(several.controller, intent)(params(foreground="a plum", others=()))
    ((submit, pictures),) = several.link.submitted
    assert [(each.kind, each.name, each.prompt) for each in submit.foregrounds] == [
        ("kept", "My pear", "a pear"),
        ("kept", "My cat", "a cat"),
        ("kept", "My dog", "a dog"),
    ]
    assert [each.layer for each in submit.foregrounds] == [picture.sha256 for picture in pictures[:3]]
    (job,) = several.job_store.saved.values()
    assert job.title.startswith("a pear + a cat + a dog + ")
    assert [other["prompt"] for other in job.record["others"]] == ["a cat", "a dog"], "for what is pressed next"


def test_only_the_picked_foreground_is_relit(several, wire):
    from krita_layerfusion.jobs import Placement

    front, cat, dog = several.document.keep, *several.document.keep_beside
    place = Placement("{doc}", "Sketch", "{root}", "{of the cat}")
    several.document.keep = replace(front, picked=False)
    several.document.keep_beside = replace(cat, picked=True, placement=place), dog
    several.controller.relight(params(strength=0.5))
    ((submit, _),) = several.link.submitted
    assert [each.kind for each in submit.foregrounds] == ["kept", "relit", "kept"]
    assert (submit.foregrounds[1].prompt, submit.foregrounds[1].strength) == ("a cat", 0.5)
    (job,) = several.job_store.saved.values()
    assert job.placement == place


def test_foregrounds_that_the_docker_lists_and_nothing_draws_are_not_in_the_record(online):
    from krita_layerfusion.interfaces import OtherForeground

    online.document.keep = kept_layer()
    online.controller.new_background(params(others=(OtherForeground("a plum"),)))
    (job,) = online.job_store.saved.values()
    assert job.record["others"] == ()


# ---- relight ---------------------------------------------------------------------------------------------------------


def test_relighting_draws_the_foreground_over_itself_and_keeps_the_background(online, wire):
    online.document.keep, online.document.keep_behind = kept_layer(), kept_background()
    online.controller.relight(params(negative="people", strength=0.45))
    ((submit, pictures),) = online.link.submitted
    assert pictures == (online.document.keep.picture, online.document.keep_behind.picture)
    assert submit.foregrounds == (
        wire.Relit(
            layer=pictures[0].sha256,
            width=WIDTH,
            height=HEIGHT,
            x=-2,
            y=3,
            name="My pear",
            prompt="a pear",
            negative_prompt="people",
            strength=0.45,
        ),
    )
    assert submit.background.kind == "kept"
    finish(online, wire, submit.job, (pictures[1].data, None, None))
    assert len(online.document.inserted) == 1


# ---- an older server -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("intent", ["new_foreground", "harmonise", "relight"])
def test_an_older_server_gets_no_request_that_it_does_not_support(harness, wire, intent):
    harness.controller.receive(greeting(wire, protocol=(1, 1)))
    harness.document.keep, harness.document.keep_behind = kept_layer(), kept_background()
    getattr(harness.controller, intent)(params())
    assert "older than this plugin" in harness.view.told[-1][1]
    harness.document.selected = region((10, 8, 30, 20))
    harness.controller.generate(params(in_selection=True))
    harness.controller.generate(params(preset="fast"))
    assert len(harness.view.told) == 3
    assert not harness.link.submitted
    assert not harness.view.busy
    harness.controller.new_background(params())
    assert len(harness.link.submitted) == 1
