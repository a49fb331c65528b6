"""The layers that are chosen, by the active layer and the order of the layers."""

import json
from types import SimpleNamespace

import pytest

from krita_document import HEIGHT, WIDTH, KritaDocument, Node

CANVAS = (0, 0, WIDTH, HEIGHT)


def drawn(name):
    """A group as the plugin inserts it."""
    layers = {role: Node(f"{name} {role}", CANVAS) for role in ("background", "foreground", "shadow", "blended")}
    layers["foreground"] = Node(f"{name} foreground", (5, 5, 20, 20))
    return SimpleNamespace(group=Node(name, CANVAS, layers.values()), **layers)


@pytest.fixture
def harness(plugin):
    """From the bottom: white paper, the first group, the artist's own cat, and the second group."""
    paper, first, cat, second = Node("Paper", CANVAS), drawn("first"), Node("Cat", (3, 3, 9, 9)), drawn("second")
    document = KritaDocument(paper, first.group, cat, second.group)
    for made, drawing in enumerate((first, second)):
        remember(document, drawing, made)
    return SimpleNamespace(document=document, paper=paper, first=first, cat=cat, second=second)


def remember(document, drawing, made, **roles):
    """Save the record of a group as `document.Document.insert` does; `roles` has the roles of further layers."""
    from krita_layerfusion import groups
    from krita_layerfusion.nodes import identity

    layers = {identity(node): roles.get(name, name) for name, node in vars(drawing).items() if name != "group"}
    name = drawing.group.name()
    record = {"foreground": f"{name} cat", "background": f"{name} beach", "layers": layers, "made": made}
    document.remember(groups.name_of(drawing.group), json.dumps(record))


def foreground(document, selected):
    from krita_layerfusion import layer_selection

    document.select(selected)
    picked = layer_selection.foreground(document)
    (node,) = picked.nodes
    return node.name(), picked.prompt, picked.under.name()


# ---- the foreground --------------------------------------------------------------------------------------------------


def test_any_layer_of_a_group_stands_for_its_foreground(harness):
    for selected in (harness.first.group, harness.first.foreground, harness.first.shadow):
        assert foreground(harness.document, selected) == ("first foreground", "first cat", "first")


def test_a_layer_of_the_artists_own_stands_for_itself(harness):
    assert foreground(harness.document, harness.cat) == ("Cat", "", "Cat")


def test_an_empty_layer_stands_for_the_foreground_drawn_last_if_there_is_one(plugin):
    empty, drawing = Node("Layer 1"), drawn("first")
    document = KritaDocument(drawing.group, empty)
    assert foreground(document, empty) == ("Layer 1", "", "Layer 1"), "which is refused by its name"
    remember(document, drawing, 0)
    assert foreground(document, empty) == ("first foreground", "first cat", "first")


def test_a_layer_of_other_colours_stands_for_itself_and_is_refused_by_its_name(harness):
    harness.cat.change(colorDepth="U16")
    assert foreground(harness.document, harness.cat) == ("Cat", "", "Cat")


@pytest.mark.parametrize("selected", ["paper", None])
def test_paper_or_nothing_stands_for_the_foreground_drawn_last(harness, selected):
    node = selected and getattr(harness, selected)
    assert foreground(harness.document, node) == ("second foreground", "second cat", "second")


def test_without_a_foreground_the_refusal_has_a_remedy(harness, plugin):
    from krita_layerfusion.jobs import Refusal

    paper = Node("Paper", CANVAS)
    with pytest.raises(Refusal, match="no foreground to keep"):
        foreground(KritaDocument(paper), paper)


# ---- several foregrounds ---------------------------------------------------------------------------------------------


@pytest.fixture
def three(plugin):
    """A group with a cat, a dog and a pear, and the artist's own layer above it."""
    from krita_layerfusion import groups

    fronts = [Node(name, (4 * at, 5, 9, 9)) for at, name in enumerate(("Foreground 1", "Foreground 2", "Foreground 3"))]
    group = Node("three", CANVAS, [Node("Background", CANVAS), *fronts, Node("Shadow", CANVAS)])
    document = KritaDocument(group, own := Node("Own", (3, 3, 9, 9)))
    values = {"foreground": "a cat", "background": "a beach", "others": [{"prompt": "a dog"}, {"prompt": "a pear"}]}
    document.remember(
        groups.name_of(group), groups.as_text(values, group, ["background", *["foreground"] * 3, "shadow"])
    )
    return SimpleNamespace(document=document, group=group, fronts=fronts, own=own)


def together(document, selected, wanted=None):
    from krita_layerfusion import layer_selection

    document.select(selected)
    front = layer_selection.foreground(document, wanted)
    found = layer_selection.together(document, front)
    assert len([each for each in found if each is front]) == 1
    return front.nodes[0].name(), {each.nodes[0].name(): each.prompt for each in found}


def test_foregrounds_of_a_picture_stay_together_each_with_its_own_prompt(three):
    everything = {"Foreground 1": "a cat", "Foreground 2": "a dog", "Foreground 3": "a pear"}
    for picked in three.fronts:
        assert together(three.document, picked) == (picked.name(), everything)
    assert together(three.document, three.group) == ("Foreground 3", everything)
    assert list(together(three.document, three.group)[1]) == [*everything], "bottom first"


def test_the_topmost_foreground_that_is_seen_stands_for_the_group(three):
    three.fronts[2].change(visible=False)
    picked, found = together(three.document, three.group)
    assert (picked, list(found)) == ("Foreground 2", ["Foreground 1", "Foreground 2"])


def test_a_hidden_or_empty_foreground_is_not_kept_beside_another(three):
    three.fronts[0].change(visible=False)
    three.fronts[1]._box = (0, 0, 0, 0)
    assert together(three.document, three.group) == ("Foreground 3", {"Foreground 3": "a pear"})
    assert together(three.document, three.fronts[0])[1] == {"Foreground 1": "a cat", "Foreground 3": "a pear"}, (
        "a hidden one that was picked is refused by its name"
    )


def test_a_layer_of_the_artists_own_is_alone(three):
    assert together(three.document, three.own) == ("Own", {"Own": ""})


def test_a_chosen_foreground_brings_those_of_its_picture(three):
    from krita_layerfusion.nodes import identity

    picked, found = together(three.document, three.own, identity(three.fronts[1]))
    assert (picked, list(found)) == ("Foreground 2", ["Foreground 1", "Foreground 2", "Foreground 3"])


def test_the_docker_names_all_that_is_kept(three, monkeypatch):
    from krita_layerfusion import shown_layers
    from krita_layerfusion.jobs import Choice

    for node in (*three.fronts, *three.group.childNodes()):
        node.thumbnail = lambda width, height: (width, height)
    three.document.select(three.fronts[1])
    shown = shown_layers.picks(three.document, Choice()).foreground
    assert shown.name == "Foreground 1, Foreground 2, Foreground 3"
    assert "Foreground 2\nPrompt: a dog" in shown.about and "Foreground 1\nPrompt: a cat" in shown.about


# ---- where the result goes -------------------------------------------------------------------------------------------


def test_a_result_goes_above_all_groups_that_lie_on_a_layer(plugin):
    from krita_layerfusion import groups

    paper, first, mask, second, cat = (
        Node("Paper", CANVAS),
        drawn("1"),
        Node("S", kind="selectionmask"),
        drawn("2"),
        Node("Cat"),
    )
    document = KritaDocument(paper, first.group, mask, second.group, cat)
    assert groups.topmost_on(document, paper).name() == "Paper"
    for made, drawing in enumerate((first, second)):
        remember(document, drawing, made)
    assert groups.topmost_on(document, paper).name() == groups.topmost_on(document, first.group).name() == "2"
    assert groups.topmost_on(document, cat).name() == "Cat"


# ---- the background --------------------------------------------------------------------------------------------------


def background(document, selected):
    from krita_layerfusion import layer_selection

    document.select(selected)
    picked = layer_selection.background(document)
    return [node.name() for node in picked.nodes], picked.prompt, picked.under.name()


FIRST = (["first background"], "first beach", "first")
SECOND = (["second background"], "second beach", "second")


def test_any_layer_of_a_group_stands_for_its_background(harness):
    for selected in (harness.first.group, harness.first.foreground, harness.first.background):
        assert background(harness.document, selected) == (["first background"], "first beach", "first")


def test_a_layer_that_a_group_covers_is_not_chosen(harness):
    for selected in (harness.paper, harness.cat, None):
        assert background(harness.document, selected) == SECOND


def test_a_layer_in_sight_stands_for_itself(harness):
    harness.second.group.change(visible=False)
    assert background(harness.document, harness.cat) == (["Cat"], "", "Cat")
    assert background(harness.document, harness.paper) == (["first background"], "first beach", "first"), (
        "it lies on it"
    )
    harness.first.group.change(visible=False)
    assert background(harness.document, harness.paper) == (["Paper"], "", "Paper")


def test_a_folder_around_a_group_stands_for_itself(plugin):
    drawing = drawn("first")
    folder = Node("Folder", CANVAS, [drawing.group])
    document = KritaDocument(folder)
    remember(document, drawing, 0)
    assert background(document, folder) == (["Folder"], "", "Folder")


def test_an_empty_layer_stands_for_the_background_drawn_last_if_there_is_one(plugin):
    empty, drawing = Node("Layer 1"), drawn("first")
    document = KritaDocument(drawing.group, empty)
    assert background(document, empty) == (["Layer 1"], "", "Layer 1"), "which is refused by its name"
    remember(document, drawing, 0)
    assert background(document, empty) == (["first background"], "first beach", "first")


def test_a_background_with_filled_holes_is_two_layers_without_hidden_ones(plugin):
    drawing = drawn("first")
    drawing.filling = Node("filling", CANVAS)
    drawing.group = Node("first", CANVAS, [drawing.filling, drawing.background, drawing.foreground])
    document = KritaDocument(drawing.group)
    remember(document, drawing, 0, filling="background")
    assert background(document, None)[0] == ["filling", "first background"]
    drawing.background.change(visible=False)
    assert background(document, None)[0] == ["filling"]
    drawing.filling.change(visible=False)
    assert background(document, None)[0] == ["first background"], "which is refused by its name"


@pytest.mark.parametrize("which", ["foreground", "background"])
def test_what_was_deleted_from_a_group_is_named(plugin, which):
    from krita_layerfusion import layer_selection
    from krita_layerfusion.jobs import Refusal

    drawing = drawn("first")
    group = Node("first", CANVAS, [node for role, node in vars(drawing).items() if role not in (which, "group")])
    document = KritaDocument(group)
    drawing.group = group
    remember(document, drawing, 0)
    with pytest.raises(Refusal, match=f"The group “first” has no {which} any more"):
        getattr(layer_selection, which)(document)


def test_without_any_layer_there_is_no_background(plugin):
    from krita_layerfusion.jobs import Refusal

    with pytest.raises(Refusal, match="no background to keep"):
        background(KritaDocument(), None)


# ---- both ------------------------------------------------------------------------------------------------------------


def both(document, selected):
    from krita_layerfusion import layer_selection

    document.select(selected)
    front, behind = layer_selection.both(document)
    assert len(front.nodes) == len(behind.nodes) == 1
    return front.nodes[0].name(), behind.nodes[0].name(), behind.prompt, front.under.name()


@pytest.mark.parametrize("selected", ["foreground", "background", "group"])
def test_a_group_stands_for_its_foreground_before_its_background(harness, selected):
    selected = getattr(harness.first, selected)
    assert both(harness.document, selected) == ("first foreground", "first background", "first beach", "first")


def test_paper_stands_for_the_group_drawn_last(harness):
    assert both(harness.document, harness.paper) == ("second foreground", "second background", "second beach", "second")


def test_the_background_of_the_artists_own_layer_is_the_one_below(harness):
    assert both(harness.document, harness.cat) == ("Cat", "first", "", "Cat")
    harness.first.group.change(visible=False)
    assert both(harness.document, harness.cat) == ("Cat", "Paper", "", "Cat")


def test_the_layer_below_may_lie_outside_of_the_foregrounds_folder(plugin):
    paper, filter_, cat = Node("Paper", CANVAS), Node("Blur", CANVAS, kind="adjustmentlayer"), Node("Cat", (3, 3, 9, 9))
    document = KritaDocument(paper, filter_, Node("Animals", CANVAS, [Node("nothing"), cat]))
    assert both(document, cat) == ("Cat", "Paper", "", "Cat")


def test_a_foreground_with_nothing_below_it_is_named(plugin):
    from krita_layerfusion.jobs import Refusal

    cat = Node("Cat", (3, 3, 9, 9))
    with pytest.raises(Refusal, match="no layer below “Cat”"):
        both(KritaDocument(Node("hidden", CANVAS, visible=False), cat), cat)
