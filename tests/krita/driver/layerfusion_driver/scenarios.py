"""Scenarios of an artist's work, which run one after the other in the same Krita. The tests check what they return."""

import json
import time

from krita import Krita

from . import (
    large,
    living,
    looking_back,
    opening,
    painting,
    queueing,
    regions,
    setting_up,
    settings_window,
    several,
    taking_over,
    unusual,
)
from .dockers import (
    choose_layers_in_the_docker,
    close_the_second_window,
    solve_a_problem_by_its_button,
    use_shortcuts,
    use_the_keyboard,
    work_in_a_small_docker,
)
from .documents import close, do, generate, group_facts, kill, layer_list, new_document, pixels, select, show, tree
from .hands import (
    BACKGROUND,
    FOREGROUND,
    busy,
    button,
    docker_texts,
    pause,
    photograph,
    press,
    preview_size,
    progress_bar,
    save_next_dialog_as,
    says,
    seed,
    set_steps,
    tool,
    type_into,
    wait_for_step,
    wait_until,
)
from .keeping import (
    change_a_part_of_the_background,
    draw_another_background,
    draw_another_foreground,
    draw_in_the_selection,
    draw_two_foregrounds,
    draw_two_pictures,
    harmonise_after_a_move,
    keep_a_background_with_holes,
    keep_layers_of_other_kinds,
    keep_the_last_foreground,
    relight_a_foreground,
)
from .processes import server_pid, slowed_down
from .seeing import (
    choose_another_layer_meanwhile,
    go_on_from_a_duplicated_group,
    see_folded_groups,
    work_on_what_is_seen,
)


def start_server(folder):
    yield from wait_until(lambda: says("No server is running"))
    offline = docker_texts()
    yield from photograph(folder / "offline.png")
    press("Start server")
    starting = docker_texts()
    yield from wait_until(lambda: says("Ready"))
    return {
        "offline": offline,
        "starting": starting,
        "can start another": button("Start server").isVisible(),
        "pid": server_pid(),
    }


def refuse_without_a_document(folder):
    type_into("in the foreground;", FOREGROUND)
    type_into("in the background;", BACKGROUND)
    press("Generate")
    yield 0.1
    return {"texts": docker_texts()}


def draw_two_prompts(folder):
    document = yield from new_document("Sketch")
    type_into("in the foreground;", FOREGROUND)
    type_into("in the background;", BACKGROUND)
    Krita.instance().activeWindow().activeView().canvas().setZoomLevel(2.0)
    seed(1234)
    tool("Keep this seed").click()
    set_steps(0)
    seen, previews = [], []

    def look(_step):  # at every step: between two of them a picture of the screen can be taken
        seen.extend(text for text in docker_texts() if " of " in text and text not in seen)
        if preview_size() not in (None, *previews):
            previews.append(preview_size())

    progress_bar().valueChanged.connect(look)
    with slowed_down():
        press("Generate")
        yield from wait_until(lambda: preview_size() is not None)
        look(None)
        yield from photograph(folder / "drawing.png")
    yield from wait_until(lambda: not busy())
    progress_bar().valueChanged.disconnect(look)
    yield from pause(0.5)
    group = document.rootNode().childNodes()[-1]
    annotations = [key for key in document.annotationTypes() if key.startswith("layerfusion/")]
    facts = {
        "texts": docker_texts(),
        "progress": seen,
        "previews": previews,
        "tree": tree(document),
        "layer list": layer_list(),
        "group": group.name(),
        "layers": group_facts(group),
        "record": json.loads(bytes(document.annotation(annotations[0]))),
        "active": document.activeNode().name(),
    }
    yield from photograph(folder / "drawn.png")
    yield from do("edit_undo")
    facts["after undo"] = tree(document)
    yield from do("edit_redo")
    facts["after redo"] = tree(document)
    facts["layer list after redo"] = layer_list()
    facts["layers after redo"] = group_facts(document.rootNode().childNodes()[-1])
    return facts


def state_of(document):
    return [
        document.name(),
        document.fileName(),
        document.modified(),
        len(Krita.instance().documents()),
        tree(document),
    ]


def export_a_psd(folder):
    document = Krita.instance().documents()[0]
    yield from show(document)
    document.setModified(False)
    group = document.rootNode().childNodes()[1]
    yield from select(document, group.childNodes()[0])
    for index, node in enumerate(group.childNodes()):
        (folder / f"layer-{index}.bgra").write_bytes(pixels(node))
    before = state_of(document)
    save_next_dialog_as(folder / "out.psd")
    began = time.monotonic()
    press("Export PSD…")
    yield from wait_until(lambda: says("was written to"))
    return {
        "group": group.name(),
        "layers": group_facts(group),
        "before": before,
        "after": state_of(document),
        "texts": docker_texts(),
        "took": time.monotonic() - began,
    }


def name_other_profiles(folder):
    document = yield from new_document("wide", (256, 256), profile="ClayRGB-elle-V4-srgbtrc.icc")
    yield from generate(document, steps=2)
    texts = docker_texts()
    yield from close(document)
    return {"texts": texts}


def cancel_a_job(folder):
    document = yield from new_document("Cancelled")
    before = tree(document)
    set_steps(150)
    with slowed_down():
        press("Generate")
        yield from wait_for_step()
        drawing = docker_texts()
        press("Cancel")
        texts, still_busy = docker_texts(), busy()
    yield from pause(1)
    facts = {"drawing": drawing, "texts": texts, "busy": still_busy, "tree": tree(document), "before": before}
    began = time.monotonic()
    yield from generate(document, steps=2)
    facts["next job took"] = time.monotonic() - began
    yield from close(document)
    return facts


def switch_documents(folder):
    """The layers are added to the document in which the button was pressed, although another one is active."""
    first = yield from new_document("First")
    set_steps(4)
    with slowed_down():
        press("Generate")
        second = yield from new_document("Second", (300, 200))
        assert busy(), docker_texts()
    yield from wait_until(lambda: not busy())
    yield from pause(0.3)
    facts = {"first": tree(first), "second": tree(second), "texts": docker_texts()}
    yield from close(first)
    yield from close(second)
    return facts


def close_the_document(folder):
    document = yield from new_document("Closed")
    other = Krita.instance().documents()[0]
    before = tree(other)
    set_steps(40)
    with slowed_down():
        press("Generate")
        yield from wait_for_step()
        yield from close(document)
    yield from wait_until(lambda: not busy())
    return {"texts": docker_texts(), "other": [before, tree(other)]}


def delete_the_layer_below(folder):
    """The layer below the result's place is deleted meanwhile, so the result goes to the top."""
    document = yield from new_document("Deleted")
    doomed = document.createNode("Doomed", "paintlayer")
    document.rootNode().addChildNode(doomed, None)
    yield from select(document, doomed)
    set_steps(40)
    with slowed_down():
        press("Generate")
        yield from wait_for_step()
        doomed.remove()
    yield from wait_until(lambda: not busy())
    facts = {"tree": tree(document), "texts": docker_texts()}
    yield from close(document)
    return facts


def kill_the_server(folder):
    """The server stops while it draws. After its next start the picture is drawn again and added to the document."""
    document = yield from new_document("Orphan")
    type_into("in the background;", "a night sky with stars")
    set_steps(60)
    with slowed_down():
        press("Generate")
        yield from wait_for_step()
        kill(server_pid())
    seconds = yield from wait_until(lambda: says("Waiting for the server"))
    yield from pause(0.5)
    facts = {"texts": docker_texts(), "noticed after": seconds, "tree": tree(document)}
    yield from photograph(folder / "killed.png")
    node = document.createNode("Krita goes on", "paintlayer")
    document.rootNode().addChildNode(node, None)
    facts["tree after"] = tree(document)
    press("Start server")
    yield from wait_until(lambda: says("Ready"))
    yield from wait_until(lambda: not busy())
    facts["tree with the new server"] = tree(document)
    facts["pid"] = server_pid()
    yield from close(document)
    return facts


ON_THEIR_OWN = [
    change_a_part_of_the_background,
    draw_two_foregrounds,
    *several.ALL,
    work_on_what_is_seen,
    see_folded_groups,
    choose_another_layer_meanwhile,
    go_on_from_a_duplicated_group,
    close_the_second_window,
    work_in_a_small_docker,
    use_the_keyboard,
    solve_a_problem_by_its_button,
    choose_layers_in_the_docker,
    *unusual.ALL,
    use_shortcuts,  # after the animation: with keys pressed from outside, Krita adds no frame where it should
    *looking_back.ALL,
    *opening.ALL,
    *queueing.ALL,
    *living.ALL,
    *large.ALL,
    *painting.ALL,
    *regions.ALL,
    *settings_window.ALL,
    *setting_up.ALL,
]
"""Each begins with a new document and the same two prompts."""

IN_ORDER = [
    start_server,
    refuse_without_a_document,
    *taking_over.ALL,  # while no document is open
    draw_two_prompts,
    draw_another_background,
    keep_the_last_foreground,
    draw_another_foreground,
    harmonise_after_a_move,
    relight_a_foreground,
    draw_in_the_selection,
    draw_two_pictures,
    keep_a_background_with_holes,
    keep_layers_of_other_kinds,
    export_a_psd,
    name_other_profiles,
    cancel_a_job,
    switch_documents,
    close_the_document,
    delete_the_layer_below,
    *ON_THEIR_OWN,
    kill_the_server,
]
