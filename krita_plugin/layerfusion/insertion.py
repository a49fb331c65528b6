"""Adds a group of layers to a document: in one undo entry, and in steps that are short enough to go on painting.

The group is made in a hidden document, where Krita also converts it to the colours and the size of the artist's
document. Every node that is made for a document adds entries to its undo history, also if it is not added yet;
a duplicate of the finished group adds just one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

from . import colours, groups, kept_copies, variant_sets
from .images import same_shape
from .jobs import ArrivedLayer, DocumentClosed, Inserted, PendingJob, Placement
from .landing import what_hides
from .layer_names import translated
from .nodes import find, identity
from .qt import QtCore
from .scratch import SMALLEST, SRGB, hidden, until_done
from .strokes import Stroke
from .translation import tr

STEP_BYTES = 2**22
"""Pixels that are written in one step; Krita copies some hundred megabytes in a second."""


def insert(document: Any, job: PendingJob, waits: Callable[[], None]) -> Generator[None, None, Inserted]:
    """Add the layers of a finished job to a document as a group, step by step.

    The pictures of a press that draws several become one group: the first one is shown, the others are hidden in it.

    If the place for it no longer exists, the group is added at the top of the document. The document may have been
    converted, resized or cropped since the button was pressed.

    Args:
        document: Krita's document.
        job: the job.
        waits: called if the group is only added when the artist has ended a stroke.

    Raises:
        DocumentClosed: the document was closed meanwhile.
    """
    placement, layers = job.placement, job.stack()
    place = groups.variant_of(job.record)
    others = None if place is None else variant_sets.find(document, place[0])
    canvas = placement.canvas or job.size
    # a picture of another shape, which was drawn for another canvas, keeps its size: nothing is distorted
    size = canvas if same_shape(job.size, canvas) else job.size
    plain = colours.are_the_servers(document)
    with hidden(SMALLEST, document.resolution(), document.colorProfile() if plain else SRGB) as scratch:
        yield  # Krita takes long to make a document, and to close one
        made = scratch.createGroupLayer(
            job.title if place is None else variant_sets.name_of(job.title, place[1], job.submit.seed)
        )
        scratch.rootNode().addChildNode(made, None)
        yield from _fill(document, scratch, made, job, size)
        _check_open(document)
        now = document.width(), document.height()
        scaled = _told_size(document, canvas, now)
        if canvas != now and same_shape(canvas, now):
            across, down = now[0] / canvas[0], now[1] / canvas[1]
            yield from _scale(scratch, (max(1, round(across * size[0])), max(1, round(down * size[1]))))
        if not colours.blend_as_light(document):
            for node in made.childNodes():
                node.setVisible(node.visible() and node.blendingMode() not in ("multiply", "add"))
        if not colours.are_the_servers(document):
            scratch.setColorSpace(document.colorModel(), document.colorDepth(), document.colorProfile())
        composited = yield from until_done(scratch)  # then the duplicate is shown without a refresh of all layers
        _check_open(document)
        made.setCollapsed(True)
        made.setVisible(others is None)
        added = made.duplicate() if place is None or others is not None else _set_of(scratch, made, job.title)
        yield
    yield
    stroke = Stroke(document)
    if stroke.going_on():
        waits()
        yield from stroke.until_over()
    _check_open(document)
    before = document.activeNode()
    if others is not None and find(document, identity(others)) is not None:
        others.addChildNode(added, None)
    else:
        parent = find(document, placement.parent) or document.rootNode()
        above = next((child for child in parent.childNodes() if identity(child) == placement.above), None)
        if above is not None:
            above = groups.topmost_on(document, above)  # other results may have been added meanwhile
        parent.addChildNode(added, above)
    group = added.childNodes()[0] if place is not None and others is None else added
    if not composited:
        document.refreshProjection()
    text = groups.as_text({**job.record, "submit": job.submit.to_map()}, group, [layer.begin.role for layer in layers])
    document.setAnnotation(groups.name_of(group), "LayerFusion", QtCore.QByteArray(text.encode()))
    yield
    yield from kept_copies.save(document, job.copies)
    yield  # Krita makes the new group the active layer when it handles its own events
    _check_open(document)
    if others is not None:
        if before is not None:
            document.setActiveNode(before)
        return Inserted(active=None, scaled=scaled)
    unseen, remedy = what_hides(document, group)
    if place is not None or job.returns:
        placement = replace(placement, role="group")
    active = _activate(document, placement, group, before, layers)
    yield  # Krita unfolds a group when a layer in it becomes active
    if document.rootNode() is not None:
        group.setCollapsed(True)
    return Inserted(active=active, unseen=unseen, remedy=remedy, scaled=scaled)


def _check_open(document: Any) -> None:
    """Raise `DocumentClosed` if the artist has closed a document since the last step."""
    if document.rootNode() is None:
        raise DocumentClosed


def _set_of(scratch: Any, group: Any, title: str) -> Any:
    """A group with a copy of the group of a first variant, which is in no document."""
    around = scratch.createGroupLayer(title)
    around.addChildNode(group.duplicate(), None)
    return around


def _fill(document: Any, scratch: Any, group: Any, job: PendingJob, canvas: tuple[int, int]) -> Iterator[None]:
    """Add the layers of a job to a group. Those that were drawn are enlarged to the canvas; the artist's are copied."""
    copies = {sha256: layer.copy for sha256, layer in job.copies.items() if layer.copy is not None}
    if not job.artists:  # it is drawn again or put back, with what was kept then
        for layer in job.stack():
            node = yield from kept_copies.find(document, layer.begin.sha256)
            if node is not None:
                copies[layer.begin.sha256] = node
        yield
    drawn = [layer for layer in job.stack() if layer.begin.sha256 not in copies]
    with contextlib.ExitStack() as stack:
        enlarged = {}
        if canvas != job.size:
            smaller = stack.enter_context(hidden(SMALLEST, scratch.resolution(), scratch.colorProfile()))
            enlarged = yield from _enlarge(smaller, drawn, job, canvas)
        for layer in job.stack():
            node = copies.get(layer.begin.sha256) or enlarged.get(layer.begin.index)
            if node is None:
                yield from _add(scratch, group, layer, job)
            else:
                group.addChildNode(node.duplicate(), None)  # each picture of a press needs copies of its own
                yield
    scratch.resizeImage(0, 0, *canvas)  # only now, because Krita would wait for each layer to be composited
    yield


def _enlarge(
    scratch: Any, layers: list[ArrivedLayer], job: PendingJob, canvas: tuple[int, int]
) -> Generator[None, None, dict[int, Any]]:
    """Nodes of layers, by index in the stack, that are enlarged to a canvas in a hidden document of their own."""
    nodes = {}
    for layer in layers:
        nodes[layer.begin.index] = yield from _add(scratch, scratch.rootNode(), layer, job)
    scratch.resizeImage(0, 0, *job.size)
    yield from _scale(scratch, canvas)
    return nodes


def _scale(scratch: Any, size: tuple[int, int]) -> Iterator[None]:
    yield from until_done(scratch)
    scratch.scaleImage(*size, round(scratch.xRes()), round(scratch.yRes()), "Bicubic")
    yield from until_done(scratch)


def _told_size(document: Any, canvas: tuple[int, int], now: tuple[int, int]) -> str:
    if canvas == now:
        return ""
    if same_shape(canvas, now):
        return tr("The document was scaled meanwhile, and so were the layers.")
    return tr("The size of the canvas was changed meanwhile; the layers start at its upper left corner.")


def _add(scratch: Any, group: Any, layer: ArrivedLayer, job: PendingJob) -> Generator[None, None, Any]:
    """Add one layer on top of a group."""
    begin, picture = layer.begin, layer.picture
    kept = job.copies.get(begin.sha256)  # a layer whose pixels are copied; the server knows few blending modes
    node = scratch.createNode(begin.name if begin.sha256 in job.kept else translated(begin.name), "paintlayer")
    for part in picture.strips(STEP_BYTES):
        node.setPixelData(part.data, part.x, part.y, part.width, part.height)
        yield
    node.setBlendingMode(begin.blend if kept is None else kept.blend)
    node.setOpacity(round(255 * (begin.opacity if kept is None else kept.opacity)))
    node.setVisible(begin.visible)
    group.addChildNode(node, None)
    yield
    return node


def _activate(
    document: Any, placement: Placement, group: Any, before: Any | None, layers: list[ArrivedLayer]
) -> str | None:
    """Make the counterpart of the layer that was active at the press active, unless the artist has chosen another.

    Returns the unique id of the layer that is active now, if it is one of the group.
    """
    if before is not None and identity(before) != placement.active:
        document.setActiveNode(before)
        return None
    with_role = [
        node
        for node, layer in zip(group.childNodes(), layers, strict=True)
        if layer.begin.role == placement.role and layer.begin.visible
    ]
    last = len(with_role) - 1
    chosen = with_role[last if placement.number is None else min(placement.number, last)] if with_role else group
    document.setActiveNode(chosen)
    return identity(chosen)
