"""Styles in the plugin: they come from the server, and a picture that is drawn in one keeps the artist's own words."""

import pytest

from controller_harness import finish, greeting, params


@pytest.fixture
def styled(harness, wire):
    """A controller whose server has the style “Ink”."""
    harness.controller.receive(greeting(wire, protocol=(1, 5)))
    assert harness.link.sent == [wire.ListStyles()]
    harness.link.sent.clear()
    lora = wire.StyleLora(name="ink", weight=0.5)
    harness.ink = wire.Style(name="Ink", prompt="ink drawing", negative_prompt="photo", sampler="euler", loras=(lora,))
    harness.controller.receive(wire.Styles(styles=(harness.ink,)))
    return harness


def test_the_servers_styles_are_offered(styled):
    assert styled.view.styles == (styled.ink,)


def test_an_older_server_has_none_and_is_not_asked(online):
    assert online.view.styles is None
    assert online.link.sent == []


def test_styles_are_saved_and_deleted_on_the_server(styled, wire):
    wash = wire.Style(name="Wash")
    styled.controller.styles.save(wash, "Ink")
    styled.controller.styles.delete("Ink")
    assert styled.link.sent == [wire.SaveStyle(style=wash, replaces="Ink"), wire.DeleteStyle(name="Ink")]
    styled.controller.receive(wire.StyleFailed(name="Wash", code="style_exists", message="It is there.", hint="No."))
    assert styled.view.told == [("warn", "It is there.", "No.")]


def drawn(styled, wire, **changes):
    styled.controller.generate(params(style="Ink", **changes))
    submit, _ = styled.link.submitted[-1]
    styled.controller.receive(wire.Accepted(job=submit.job, position=0))
    finish(styled, wire, submit.job)
    return submit, styled.document.inserted[-1]


def test_a_picture_is_asked_for_in_the_style_and_recorded_in_the_artists_words(styled, wire):
    submit, (_, title, _, record) = drawn(styled, wire)
    own = params()
    assert submit.foregrounds[0].prompt == f"{own.foreground}, ink drawing"
    assert submit.background.prompt == f"{own.background}, ink drawing <lora:ink:0.5>"
    assert (submit.background.negative_prompt, submit.sampler) == ("photo", "euler")
    assert title == f"{own.foreground} + {own.background}"
    assert (record["foreground"], record["background"], record["style"]) == (own.foreground, own.background, "Ink")


def test_drawn_again_it_gets_the_style_once(styled, wire):
    from krita_layerfusion.history_entry import Entry

    submit, (_, title, _, record) = drawn(styled, wire)
    values = {**record, "submit": submit.to_map()}
    styled.document.pictures = [Entry(key="k", title=title, values=values, made=1.0, group="{g}", seen=True)]
    styled.controller.history.again("k", 5)
    again, _ = styled.link.submitted[-1]
    assert (again.foregrounds, again.background, again.seed) == (submit.foregrounds, submit.background, 5)
    styled.controller.history.again_with(params(style="Ink", foreground="a pear"))
    changed, _ = styled.link.submitted[-1]
    assert changed.foregrounds[0].prompt == "a pear, ink drawing"
    assert changed.background == submit.background
    styled.controller.history.again_with(params(style=None, foreground="a pear"))
    plain, _ = styled.link.submitted[-1]
    assert plain.foregrounds[0].prompt == "a pear"
    assert plain.background.prompt == params().background


def test_a_style_that_is_gone_is_named_and_nothing_is_drawn(styled, wire):
    styled.controller.receive(wire.Styles(styles=()))
    styled.controller.generate(params(style="Ink"))
    assert styled.link.submitted == []
    assert styled.view.told[0][1] == "There is no style “Ink” any more."


def test_the_style_of_a_document_comes_back(plugin):
    from krita_layerfusion.settings import params_of

    assert params_of({"style": "Ink"}).style == "Ink"
    assert params_of({"style": 3}).style is None
    assert params_of({}).style is None
