"""Which groups are a set of variants, and where results go beside it."""

import json

import pytest

from krita_document import KritaDocument, Node

STACK = [("Background", "normal"), ("Foreground", "normal"), ("Shadow", "multiply")]
ROLES = [name.lower() for name, _ in STACK]

pytestmark = pytest.mark.usefixtures("plugin")


def group(name, **facts):
    return Node(name, children=[Node(layer, blendingMode=blend) for layer, blend in STACK], **facts)


def document_with(around, *others):
    """A document with a set of three variants of one press, the second of which is visible; and its variants."""
    from krita_layerfusion import groups, variant_sets

    names = [variant_sets.name_of("cat + beach", number, 6 + number) for number in (1, 2, 3)]
    variants = [group(name, visible=index == 1) for index, name in enumerate(names)]
    document = KritaDocument(Node("Paper"), Node(around, children=[*variants, *others]), Node("Sketch"))
    for number, variant in enumerate(variants, 1):
        values = {"seed": 6 + number, groups.VARIANT: ["press", number]}
        document.remember(groups.name_of(variant), groups.as_text(values, variant, ROLES))
    return document, variants


def test_a_group_of_the_variants_of_one_press_is_a_set():
    from krita_layerfusion import groups, variant_sets

    document, variants = document_with("cat + beach")
    _, around, _ = document.rootNode().childNodes()
    assert [groups.set_around(document, each) for each in variants] == [around] * 3
    assert variant_sets.find(document, "press") is around
    assert variant_sets.find(document, "another press") is None
    assert variant_sets.whole(document, variants[2]) is around


def test_the_artist_works_on_the_set_of_the_active_layer_or_on_that_which_is_seen():
    from krita_layerfusion import variant_sets

    document, variants = document_with("cat + beach")
    paper, around, _ = document.rootNode().childNodes()
    for active in (None, paper, around, variants[0], variants[2].childNodes()[1]):
        document.select(active)
        found = variant_sets.current(document)
        assert found is not None and (found[0], found[2]) == (around, 1)


def test_a_group_with_anything_else_is_the_artists():
    from krita_layerfusion import groups, variant_sets

    document, variants = document_with("Sketches", Node("My layer"))
    assert groups.set_around(document, variants[0]) is None
    assert variant_sets.whole(document, variants[0]) is variants[0]
    document.select(variants[0])
    assert variant_sets.current(document) is None


def test_results_go_above_a_set_as_above_a_group():
    from krita_layerfusion import groups

    document, _ = document_with("cat + beach")
    paper, around, _ = document.rootNode().childNodes()
    assert groups.topmost_on(document, paper) is around


@pytest.mark.parametrize("wrong", [None, 3, [], ["press"], ["press", "1"], [1, 1], ["press", 1, 2]])
def test_what_makes_no_sense_in_a_record_is_no_variant(wrong):
    from krita_layerfusion.groups import variant_of

    assert variant_of({"variant": wrong}) is None


def test_a_copy_that_takes_the_place_of_a_variant_is_none():
    from krita_layerfusion import groups

    document, variants = document_with("cat + beach")
    copy = group("3 · seed 9 · cat + beach")
    record = groups.recall(document, variants[2])
    assert record is not None
    saved = json.loads(groups.moved(record, variants[2], copy))
    assert groups.VARIANT not in saved and saved["seed"] == 9
    document.remember(groups.name_of(copy), json.dumps(saved))
    moved = groups.recall(document, copy)
    assert moved is not None and list(moved.roles.values()) == ROLES
