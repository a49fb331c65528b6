"""Groups are recognised by their records, and duplicates of them by their layers."""

import json

import pytest

from krita_document import KritaDocument, Node

STACK = [("Background", "normal"), ("Foreground", "normal"), ("Shadow", "multiply"), ("Light", "add")]
ROLES = [name.lower() for name, _ in STACK]

pytestmark = pytest.mark.usefixtures("plugin")


def group(name="cat + beach", layers=STACK, **facts):
    return Node(name, children=[Node(layer, blendingMode=blend) for layer, blend in layers], **facts)


def drawn(**record):
    """A document with one group that has a record, and the group."""
    from krita_layerfusion import groups

    first = group()
    document = KritaDocument(first)
    text = json.loads(groups.as_text({"foreground": "a cat", "background": "a beach"}, first, ROLES))
    document.remember(groups.name_of(first), json.dumps({**text, **record}))
    return document, first


def roles(document, other):
    from krita_layerfusion import groups
    from krita_layerfusion.nodes import identity

    record = groups.recall(document, other)
    return None if record is None else [record.roles.get(identity(child)) for child in other.childNodes()]


def test_a_duplicate_has_the_roles_and_prompts_of_its_original(subtests):
    from krita_layerfusion import groups

    for name, layers in [
        ("Copy of cat + beach", STACK),
        ("Mine", STACK),
        ("Copie de cat + beach", [(f"{name} of mine", blend) for name, blend in STACK]),
        ("Mine", [(f"{name} of mine", blend) for name, blend in STACK]),
        ("Mine", [("Paper", "normal"), ("Cat", "normal"), *STACK[2:]]),
    ]:
        with subtests.test(name=name, layers=layers):
            document, _ = drawn()
            copy = group(name, layers)
            assert roles(document, copy) == ROLES
            assert groups.recall(document, copy).values["foreground"] == "a cat"


def test_groups_of_the_artist_are_not_ours(subtests):
    for layers in [
        [],
        [("Foreground", "normal")],
        [("Cat", "normal"), ("Shadow", "multiply")],
        [("Cat", "normal"), ("Dog", "normal"), ("Shadow", "multiply"), ("Glow", "screen")],
        [("Background", "normal"), ("Foreground", "normal")],
    ]:
        with subtests.test(layers=layers):
            document, _ = drawn()
            assert roles(document, group("Mine", layers)) is None


def test_the_root_of_a_document_is_no_group_of_ours():
    """Its layers may have the very names of ours: the artist's own layer and a background, for instance."""
    from krita_layerfusion import groups

    document, first = drawn()
    shadow, own = Node("Shadow", blendingMode="multiply"), Node("Foreground")
    document.rootNode()._children[:] = [Node("Background"), own, shadow, first]
    for node in document.rootNode()._children:
        node._parent = document.rootNode()
    assert groups.own(document, own) is None
    assert groups.own(document, first.childNodes()[0]) is first


def test_a_group_from_another_document_is_recognised_by_its_names():
    assert roles(KritaDocument(), group()) == ROLES
    assert roles(KritaDocument(), group(layers=STACK[:2])) is None, "anybody may call layers like that"


def test_a_layer_that_was_merged_or_made_anew_has_the_role_of_its_name():
    document, first = drawn()
    first._children[1] = Node("Foreground")
    assert roles(document, first) == ROLES
    first._children.append(Node("Copy of Foreground"))
    assert roles(document, first)[-1] == "foreground", "which of the two is meant, the active layer tells"


def test_a_copy_of_a_layer_beside_it_has_no_role():
    document, first = drawn()
    first._children.append(Node("Copy of Foreground"))
    assert roles(document, first) == [*ROLES, None]


@pytest.mark.parametrize("order", ["no list", [1, 2], [["Background"]], [["Background", "normal", 5]]])
def test_a_record_from_a_stranger_is_read_as_far_as_it_makes_sense(order):
    document, first = drawn(order=order)
    assert roles(document, first) == ROLES
    assert roles(document, group()) == ROLES


def test_the_group_to_go_on_with_is_the_topmost_that_is_shown():
    from krita_layerfusion import groups

    document, first = drawn()
    assert groups.last(document) is first
    second, third = group("second"), group("third", visible=False)
    both = KritaDocument(first, second, third)
    assert groups.last(both) is second
    second.change(visible=False)
    assert groups.last(both) is first
    first.change(visible=False)
    assert groups.seen(both) is None
    assert groups.last(both) in (first, second, third)


def test_a_group_of_an_opened_psd_has_the_prompts_of_its_name(subtests):
    """A PSD or OpenRaster file of ours, opened in Krita, has no annotations: names of layers and group are left."""
    from krita_layerfusion import groups

    for name, prompts in [
        ("a red apple + a beach at sunset", ("a red apple", "a beach at sunset")),
        ("a red apple with a very long stem and t… + a beach", ("", "")),
        ("LayerFusion", ("", "")),
        ("a + ", ("", "")),
    ]:
        with subtests.test(name=name):
            opened = group(name)
            document = KritaDocument(opened)
            assert roles(document, opened) == ROLES
            record = groups.recall(document, opened)
            assert tuple(record.values.get(role, "") for role in ("foreground", "background")) == prompts


SEVERAL = [STACK[0], *((f"Foreground {number}", "normal") for number in (1, 2, 3)), *STACK[2:]]
FRONTS = ["background", "foreground", "foreground", "foreground", "shadow", "light"]


def made_of(document, group):
    """Prompt and seed of each of a group's foregrounds, bottom first."""
    from krita_layerfusion import groups
    from krita_layerfusion.nodes import identity

    record = groups.recall(document, group)
    layers = [identity(child) for child in group.childNodes()]
    values = [groups.values_of(record, each) for each in layers if record.roles.get(each) == "foreground"]
    return [(each["foreground"], each.get("seed")) for each in values]


def test_each_foreground_has_its_own_prompt_and_seed(subtests):
    """Also after one of them was deleted, and in a duplicate, which has other ids."""
    from krita_layerfusion import groups

    several = group("three", SEVERAL)
    document = KritaDocument(several)
    others = [{"prompt": "a dog", "seed": 5}, {"prompt": "a pear", "seed": None}]
    values = {"foreground": "a cat", "background": "a beach", "seed": 7, "others": others}
    document.remember(groups.name_of(several), groups.as_text(values, several, FRONTS))
    made = [("a cat", 7), ("a dog", 5), ("a pear", 7)]
    assert made_of(document, several) == made
    assert made_of(document, group("Copy of three", SEVERAL)) == made
    del several._children[1]
    assert made_of(document, several) == made[1:]
    for wrong in [None, "x", [], [7], [{"prompt": 7, "seed": "x"}]]:
        with subtests.test(wrong=wrong):
            text = groups.as_text({**values, "others": wrong}, several, [FRONTS[0], *FRONTS[2:]])
            document.remember(groups.name_of(several), text)
            assert made_of(document, several)[0] == ("a cat", 7)
            assert {prompt for prompt, _ in made_of(document, several)[1:]} <= {""}, "a stranger's file"


def test_a_psd_with_several_foregrounds_has_all_their_prompts():
    opened = group("a cat + a dog + a pear + a beach", SEVERAL)
    document = KritaDocument(opened)
    assert roles(document, opened) == FRONTS
    assert made_of(document, opened) == [("a cat", None), ("a dog", None), ("a pear", None)]


class Counted(Node):
    """A layer that counts how often its name is asked for."""

    asked = 0

    def __getattr__(self, name):
        if name == "name":
            Counted.asked += 1
        return super().__getattr__(name)


def test_many_pictures_make_recognising_a_group_hardly_slower():
    from krita_layerfusion import groups

    costs = []
    for count in (1, 40):
        foreign = Node("Mine", children=[Counted(f"layer {index}", blendingMode="normal") for index in range(5)])
        document = KritaDocument(foreign)
        for _ in range(count):
            first = group()
            document.remember(groups.name_of(first), groups.as_text({}, first, ROLES))
        Counted.asked = 0
        assert groups.recalled(document) == []
        costs.append(Counted.asked)
    assert costs[1] == costs[0] > 0
