"""Styles are kept for all clients of a user, and for no other user."""

import pytest

from bare import WIRE, greeted
from layerfusion.server.client.client import new_job
from layerfusion.server.protocol.errors import StyleExists, TooManyStyles
from layerfusion.server.protocol.messages import (
    Box,
    DeleteStyle,
    Generated,
    Kept,
    ListStyles,
    Relit,
    SaveStyle,
    Style,
    StyleFailed,
    StyleLora,
    Styles,
    Submit,
)
from layerfusion.server.storage import styles
from layerfusion.server.storage.database import Database
from running import SECONDS

INK = Style(name="Ink", prompt="ink drawing", negative_prompt="photo", loras=(StyleLora(name="ink", weight=0.7),))
CHALK = Style(name="Chalk 粉笔", model="tiny", preset="fast", sampler="euler")


def asked(raw, message):
    raw.send(WIRE.encode(message))
    return WIRE.decode(raw.recv(SECONDS))


def test_styles_are_saved_renamed_and_deleted_for_all_clients(server):
    with greeted(server) as raw:
        assert asked(raw, ListStyles()) == Styles(styles=())
        assert asked(raw, SaveStyle(style=INK)) == Styles(styles=(INK,))
        assert asked(raw, SaveStyle(style=CHALK)) == Styles(styles=(CHALK, INK))
    with greeted(server) as raw:
        refused = asked(raw, SaveStyle(style=CHALK))
        assert isinstance(refused, StyleFailed)
        assert (refused.name, refused.code) == (CHALK.name, "style_exists")
        renamed = Style(name="Wash", prompt="wash")
        assert asked(raw, SaveStyle(style=renamed, replaces="Ink")) == Styles(styles=(CHALK, renamed))
        for _ in range(2):
            assert asked(raw, DeleteStyle(name="Wash")) == Styles(styles=(CHALK,))


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "jobs.sqlite")
    yield opened
    opened.close()


def test_each_user_has_styles_of_their_own_and_not_too_many(database, monkeypatch):
    monkeypatch.setattr("layerfusion.server.protocol.styles.MAX_STYLES", 2)
    styles.save(database, "", INK, None)
    styles.save(database, "ada", INK, None)
    styles.save(database, "ada", CHALK, "gone meanwhile")
    assert styles.styles(database, "") == (INK,)
    assert styles.styles(database, "ada") == (CHALK, INK)
    with pytest.raises(TooManyStyles, match="There are 2 styles"):
        styles.save(database, "ada", Style(name="Oil"), None)
    with pytest.raises(StyleExists, match="Chalk"):
        styles.save(database, "ada", CHALK, "Ink")
    styles.save(database, "ada", Style(name="Ink", prompt="other"), "Ink")
    styles.delete(database, "", "Ink")
    assert styles.styles(database, "") == ()
    assert [style.prompt for style in styles.styles(database, "ada")] == ["", "other"]


def test_a_style_of_a_later_version_is_left_out(database):
    styles.save(database, "", INK, None)
    with database.transaction() as connection:
        connection.execute("INSERT INTO styles VALUES ('', 'Later', x'81a46e616d6505')")
    assert styles.styles(database, "") == (INK,)


def test_a_style_adds_to_what_is_drawn_and_not_to_what_is_kept():
    kept = Kept(layer="9f" * 32, width=1, height=1, name="My sky", prompt="a sky")
    box = Box(x=1, y=2, width=3, height=4)
    submit = Submit(
        job=new_job(),
        width=64,
        height=64,
        background=kept,
        foregrounds=(
            Generated(prompt="a cat", box=box),
            Relit(layer="9f" * 32, width=1, height=1, name="a", prompt="a dog", negative_prompt="fog"),
        ),
        blended_prompt="a cat and a dog",
        model="tiny",
    )
    drawn = INK.applied(submit)
    assert drawn.background == Kept(layer="9f" * 32, width=1, height=1, name="My sky", prompt="a sky <lora:ink:0.7>")
    cat, dog = drawn.foregrounds
    assert (cat.prompt, cat.negative_prompt, cat.box) == ("a cat, ink drawing", "photo", box)
    assert (dog.prompt, dog.negative_prompt) == ("a dog, ink drawing", "fog, photo")
    assert drawn.blended_prompt == "a cat and a dog, ink drawing"
    assert (drawn.sampler, drawn.model) == (None, "tiny")
    assert CHALK.applied(submit).foregrounds[0].prompt == "a cat"
    assert CHALK.applied(submit).sampler == "euler"
    assert Style(name="Plain").applied(submit) == submit
