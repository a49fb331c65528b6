"""A scenario of an artist who goes on with a picture that has two foregrounds."""

import json

from .documents import close, draw, group_facts, layer_of, new_document, pixels, select, tree
from .hands import busy, docker_texts, photograph, pick_button, press, says, tool, type_into, wait_until

SIZE = (256, 256)
FRONTS = ("Foreground 1", "Foreground 2")


def asked_for(document, group):
    """Kind and prompt of each foreground in the submission of a group."""
    record = json.loads(bytes(document.annotation(f"layerfusion/{group.uniqueId().toString()}")))
    return [[each["kind"], each["prompt"]] for each in record["submit"]["foregrounds"]]


def go_on_with_two_foregrounds(folder):
    """A new background, Harmonise, Relight and Live: none of them leaves a foreground behind."""
    document = yield from new_document("Company", SIZE)
    press("Add another foreground")
    type_into("What foreground 2 shows", "a penguin")
    group = yield from draw(document, "Generate")
    tool("Do not draw foreground 2").click()
    facts = {"drawn": asked_for(document, group), "asked for": [], "same": [], "active": []}
    first = layer_of(group, FRONTS[0])
    yield from select(document, first)
    yield from wait_until(lambda: "Foreground 2" in pick_button("foreground").text())
    facts["docker"] = [pick_button("foreground").text(), pick_button("foreground").toolTip()]
    for words in ("New background", "Harmonise", "Relight"):
        before = [pixels(layer_of(group, name), SIZE) for name in FRONTS]
        group = yield from draw(document, words)
        fronts = [node for node in group.childNodes() if node.name().startswith("Foreground")]
        facts["asked for"].append(asked_for(document, group))
        facts["same"].append([pixels(node, SIZE) == old for node, old in zip(fronts, before, strict=True)])
        facts["active"].append(document.activeNode().name())
    yield from photograph(folder / "two-foregrounds-relit.png")
    facts["tree"] = tree(document)
    group = document.rootNode().childNodes()[1]  # what was drawn first is what Live follows now
    document.rootNode().childNodes()[-1].setVisible(False)
    for later in document.rootNode().childNodes()[2:]:
        later.setVisible(False)
    yield from select(document, layer_of(group, FRONTS[0]))
    before = group_facts(group, SIZE)
    press("Live")
    yield from wait_until(lambda: says("Shadow and Light follow"))
    shadow = layer_of(group, "Shadow")
    seen = pixels(shadow, SIZE)
    other = layer_of(group, FRONTS[1])
    other.move(other.position().x() + 40, other.position().y())
    document.refreshProjection()
    yield from wait_until(lambda: pixels(shadow, SIZE) != seen)
    facts["texts"] = docker_texts()
    press("Live")
    yield from wait_until(lambda: not busy())
    facts["shadow at the end"] = group_facts(group, SIZE)[3] == before[3]
    yield from close(document)
    return facts


ALL = [go_on_with_two_foregrounds]
