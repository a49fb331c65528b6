"""Exports a group of layers to a PSD file, which says what it is, in steps that are short enough to go on painting.

Krita's own export would block its window for seconds. Here, Krita composites the layers in a hidden document, whose
pixels are read in strips; another thread packs them and writes the file.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from krita import InfoObject

from . import colours, groups, preferences, psd_file, psd_record, scratch
from .jobs import Refusal
from .nodes import active_layer, identity, is_mask, is_shown, walk
from .psd_layers import Packing, Planned, merged, plan, read
from .psd_record import Listed
from .translation import tr

_XMP, _ICC, _RESOLUTION = 1060, 1039, 1005
"""Numbers of image resources."""


def group(document: Any) -> Any:
    """The group to export: the plugin's that contains the active layer, else the active one.

    Else, or if it is hidden, the one that is seen.

    Raises:
        Refusal: there is no such group.
    """
    node = active_layer(document)
    found = groups.own(document, node)
    if found is None and node is not None and node.type() == "grouplayer":
        found = node
    if found is not None and not is_shown(found):
        found = groups.seen(document) or found
    found = found or groups.last(document)
    if found is None:
        raise Refusal(tr("There is no group of layers to export."), tr("Generate one, or select a group."))
    return found


def psd(document: Any, path: Path) -> Generator[None, None, tuple[str, ...]]:
    """Write that group to a PSD file as it is on the canvas at the beginning, step by step.

    The layers are copied to a hidden document at once, so that the artist may go on painting.

    Returns:
        What the file cannot say of the layers, each a sentence.

    Raises:
        Refusal: there is no such group, or the file cannot be written.
    """
    chosen = group(document)
    size = document.width(), document.height()
    if max(size) > psd_file.MAX_SIDE:
        raise Refusal(
            tr("A PSD has at most {most} px a side, and the image has {side}.", most=psd_file.MAX_SIDE, side=max(size)),
            tr("Scale the image, or save it in Krita's own format."),
        )
    content, prompts = _content(chosen), preferences.prompts_in_files()
    record = groups.recall(document, chosen)  # None for the artist's own groups, which are not ours to label
    plain = colours.are_the_servers(document)
    profile = document.colorProfile() if plain else scratch.SRGB
    originals = [node for top in content for node in (top, *walk(top))]
    copies = [node.duplicate() for node in content]
    with contextlib.ExitStack() as stack:
        copy = stack.enter_context(scratch.hidden(scratch.SMALLEST, document.resolution(), profile))
        for node in copies:
            yield  # Krita renders each one before it goes on
            copy.rootNode().addChildNode(node, None)
        ids = {identity(new): identity(old) for new, old in zip(walk(copy.rootNode()), originals, strict=True)}
        for node in walk(copy.rootNode()):
            if not plain and not is_mask(node):
                node.setColorSpace("RGBA", "U8", profile)
                yield
        planned, notes = plan(copy.rootNode())
        yield
        resources = yield from _resources(copy.resolution(), profile)
        if record is not None:
            listed = _listed(planned, record, ids)
            resources[_XMP] = psd_record.packet(chosen.name(), record.made_of, listed, prompts)
            if not prompts and content == [chosen]:  # its name consists of prompts
                copy.rootNode().childNodes()[0].setName(psd_record.WITHOUT_PROMPTS)
        yield
        copy.resizeImage(0, 0, *size)  # only now, because Krita would wait for each layer to be composited
        yield from scratch.until_done(copy)
        packing = stack.enter_context(Packing())
        layers = []
        for each in planned:
            layers.append((yield from read(each, packing)))
        whole = yield from merged(copy, packing)
        section = b"".join(psd_file.resource(number, data) for number, data in sorted(resources.items()))
        written = packing.submit(_write, path, size, section, layers, whole)
        while not written.done():
            yield
        try:
            written.result()
        except OSError as error:
            raise Refusal(
                tr("“{path}” could not be written ({reason}).", path=path, reason=error.strerror),
                tr("Choose a folder in which you may write files."),
            ) from error
    return notes


def _write(
    path: Path,
    size: tuple[int, int],
    resources: bytes,
    layers: Sequence[Future[psd_file.PsdLayer]],
    whole: Future[tuple[psd_file.Packed, psd_file.Packed, psd_file.Packed]],
) -> None:
    """Write a file beside its place and move it there, so that a file that was there stays if something goes wrong."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            psd_file.write(file, size, resources, [layer.result() for layer in layers], whole.result())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _resources(resolution: float, profile: str) -> Generator[None, None, dict[int, bytes]]:
    """The image resources with the colour profile and the resolution: Krita writes them for a document of one pixel,
    because its scripts cannot read a profile otherwise."""
    with (
        scratch.hidden(scratch.SMALLEST, resolution, profile) as pixel,
        tempfile.TemporaryDirectory(prefix="layerfusion-") as folder,
    ):
        for name in ("one", "two"):
            yield
            pixel.rootNode().addChildNode(pixel.createNode(name, "paintlayer"), None)
        yield
        path = Path(folder) / "pixel.psd"
        if not pixel.exportImage(str(path), InfoObject()):
            raise Refusal(tr("Krita could not write a PSD."), tr("Check that its temporary folder is not full."))
        with path.open("rb") as file:
            found = psd_file.resources_of(file)
    return {number: data for number, data in found.items() if number in (_ICC, _RESOLUTION)}


def _listed(planned: Sequence[Planned], record: groups.Record, ids: dict[str, str]) -> tuple[Listed, ...]:
    """What the file says of each layer that was drawn or kept."""
    places = groups.places(record)
    found = ((each, ids[identity(each.node)]) for each in planned if not each.section)
    return tuple(
        Listed(each.id, record.roles[old], each.node.name(), places.get(old))
        for each, old in found
        if old in record.roles
    )


def _content(chosen: Any) -> list[Any]:
    """The layers of a group; the group itself if its opacity or its masks change how they look."""
    children = chosen.childNodes()
    plain = chosen.opacity() == 255 and not any(is_mask(child) for child in children)
    return children if plain else [chosen]
