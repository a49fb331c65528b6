"""The request that each button makes: which layers are drawn or kept, and with which prompts.

There is one function per button. The controller calls it with the document, the values of the docker's fields, and the
layers that the artist has chosen in the docker, and the size at which the picture is drawn.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import asdict, dataclass, replace
from typing import Any

from .interfaces import Document, GenerationParams, OtherForeground, Region
from .jobs import Choice, KeptLayer, Placement, Refusal
from .protocol import MAJOR
from .protocol.messages import Box, Generated, Kept, Limits, Relit, Source, Submit, Variant
from .protocol.schema import shared_fields
from .protocol.titles import title
from .translation import tr

Size = tuple[int, int]

SEEDS = 2**53
"""The number of seeds. A series of pictures that passes the last seed goes on at 0."""


@dataclass(frozen=True)
class Action:
    """A picture to draw.

    Attributes:
        foreground, background: the source of each.
        placement: where the result goes.
        artists: those of the artist's layers that are kept or relit, foregrounds first.
        others: the sources of further foregrounds, from the back to the front.
    """

    foreground: Source
    background: Source
    placement: Placement
    artists: tuple[KeptLayer, ...] = ()
    others: tuple[Source, ...] = ()

    @property
    def title(self) -> str:
        """The name of the group for the result."""
        return title(source.prompt for source in (self.foreground, *self.others, self.background))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the artist should know about the copies of the kept layers."""
        return tuple(note for layer in self.artists for note in layer.notes)

    def submit(self, size: tuple[int, int], params: GenerationParams, model: str) -> Submit:
        """The message that requests the picture; further pictures get the seeds that follow.

        Args:
            size: width and height of the picture, in pixels.
            params: the values of the docker's fields.
            model: the name of the model to use if `params` names none.

        Raises:
            InvalidMessage: a value that the protocol does not allow.
        """
        width, height = size
        variants = tuple(
            Variant(job=str(uuid.uuid4()), seed=(params.seed + index) % SEEDS) for index in range(1, params.pictures)
        )
        return Submit(
            **{
                **shared_fields(params, Submit),
                "job": str(uuid.uuid4()),
                "width": width,
                "height": height,
                "background": self.background,
                "foregrounds": (self.foreground, *self.others),
                "blended_prompt": params.blended or None,
                "variants": variants,
                "model": params.model or model,
            }
        )

    def record(self, params: GenerationParams, submit: Submit) -> dict[str, Any]:
        """What is saved in the document about one of the pictures, as JSON values."""
        prompts = {"foreground": self.foreground.prompt, "background": self.background.prompt}
        drawn = any(isinstance(other, Generated) for other in self.others)  # then they are those of the docker's fields
        others = params.others if drawn else tuple(OtherForeground(other.prompt) for other in self.others)
        return {**asdict(replace(params, others=others)), **prompts, "seed": submit.seed, "model": submit.model}


def again(submit: Submit, params: GenerationParams) -> Submit:
    """A submission with the prompts, settings and seed of the docker's fields. Layers that it keeps stay the same.

    Its style is added afterwards, so `submit` is the one before a style was added to it.
    """

    def changed(source: Source, prompt: str) -> Source:
        if isinstance(source, Kept):
            return source
        return replace(source, prompt=prompt or source.prompt, negative_prompt=params.negative)

    first, *others = submit.foregrounds
    changes = {
        **shared_fields(params, Submit),
        "job": str(uuid.uuid4()),
        "background": changed(submit.background, params.background),
        "foregrounds": (changed(first, params.foreground), *others),
        "blended_prompt": params.blended or None,
        "model": params.model or submit.model,
        "variants": (),
    }
    return replace(submit, **changes)


def described(submit: Submit) -> dict[str, Any]:
    """What is saved in the document about a picture that this plugin has not submitted, as JSON values.

    They are those of the docker's fields that would draw it, as far as there are fields for it.
    """
    front, *others = submit.foregrounds
    changeable = [source for source in submit.sources if not isinstance(source, Kept)]
    params = GenerationParams(
        foreground=front.prompt,
        background=submit.background.prompt,
        negative=changeable[0].negative_prompt if changeable else "",
        blended=submit.blended_prompt or "",
        seed=submit.seed,
        steps=submit.steps,
        model=submit.model,
        strength=front.strength if isinstance(front, Relit) else GenerationParams.strength,
        preset=submit.preset,
        others=tuple(_described_other(source) for source in others),
    )
    return asdict(params)


def _described_other(source: Source) -> OtherForeground:
    if not isinstance(source, Generated):
        return OtherForeground(source.prompt)
    box = None if source.box is None else (source.box.x, source.box.y, source.box.width, source.box.height)
    return OtherForeground(source.prompt, source.seed, box, source.shape)


def size_to_draw(canvas: Size, limits: Limits) -> Size:
    """The size at which a picture for a canvas is drawn: the canvas's, or as large as the server draws in its shape."""
    width, height = canvas
    part = min(1.0, limits.max_side / max(canvas), math.sqrt(limits.layer_bytes / (4 * width * height)))
    return max(1, int(part * width)), max(1, int(part * height))


def check_server(submit: Submit, protocol: tuple[int, int]) -> None:
    """Raise `Refusal` if the server's protocol version (major, minor) does not support all fields of a submission."""
    if protocol < (MAJOR, submit.minor):
        raise Refusal(
            tr("The running server is older than this plugin and does not support this."),
            tr("Stop the server with Ctrl-C in its terminal, or restart the computer; then press Start server."),
        )


def generate(document: Document, params: GenerationParams, _: Choice, size: Size) -> Action:
    """Draw a foreground and a background."""
    foreground = _drawn_foreground(document, params, size)
    background = _drawn("background", params.background, params)
    return Action(foreground, background, document.placement(), others=_others(document, params, size))


def new_background(document: Document, params: GenerationParams, choice: Choice, size: Size) -> Action:
    """Draw a new background behind the foregrounds of a picture, which are kept; if the artist says so, only where it
    is selected."""
    fronts = document.foregrounds_to_keep(choice, size)
    foreground, *others = (_kept("foreground", each, params.foreground) for each in fronts)
    drawn: Source = _drawn("background", params.background, params)
    artists = fronts
    if params.background_in_selection:
        behind = document.background_outside_selection(choice, size)  # the server draws what is transparent in it
        drawn, artists = Kept(**_pixels(behind), prompt=drawn.prompt), (*fronts, behind)
    return Action(foreground, drawn, _picked(fronts).placement, artists, tuple(others))


def new_foreground(document: Document, params: GenerationParams, choice: Choice, size: Size) -> Action:
    """Draw a new foreground in front of an existing background, which is kept."""
    layer = document.background_to_keep(choice, size)
    background = _kept("background", layer, params.background)
    foreground = _drawn_foreground(document, params, size)
    return Action(foreground, background, layer.placement, (layer,), _others(document, params, size))


def harmonise(document: Document, params: GenerationParams, choice: Choice, size: Size) -> Action:
    """Draw Shadow, Light and Blended for foregrounds and a background that are all kept."""
    fronts, behind = document.both_to_keep(choice, size)
    foreground, *others = (_kept("foreground", each, params.foreground) for each in fronts)
    background = _kept("background", behind, params.background)
    return Action(foreground, background, _picked(fronts).placement, (*fronts, behind), tuple(others))


def relight(document: Document, params: GenerationParams, choice: Choice, size: Size) -> Action:
    """Draw over an existing foreground, so that its light fits a background that is kept, as are the foregrounds beside
    it."""
    fronts, behind = document.both_to_keep(choice, size)
    foreground, *others = (
        _relit(each, params) if each.picked else _kept("foreground", each, params.foreground) for each in fronts
    )
    background = _kept("background", behind, params.background)
    return Action(foreground, background, _picked(fronts).placement, (*fronts, behind), tuple(others))


def _picked(fronts: tuple[KeptLayer, ...]) -> KeptLayer:
    """The foreground that the button works on."""
    return next(each for each in fronts if each.picked)


def _drawn_foreground(document: Document, params: GenerationParams, size: Size) -> Generated:
    drawn = _drawn("foreground", params.foreground, params)
    if not params.in_selection:
        return drawn
    remedy = tr("Select the place for the foreground, or untick “Draw the foreground in the selection”.")
    region = selected_region(document, size, remedy)
    x, y, width, height = region.box
    return replace(drawn, box=Box(x=x, y=y, width=width, height=height), shape=region.shape)


def _others(document: Document, params: GenerationParams, size: Size) -> tuple[Generated, ...]:
    """The further foregrounds, with their places in a picture of the size at which it is drawn."""
    across, down = size[0] / document.size[0], size[1] / document.size[1]
    return tuple(
        Generated(
            prompt=other.prompt,
            negative_prompt=params.negative,
            seed=other.seed,
            box=None if other.box is None else _scaled(other.box, across, down),
            shape=other.shape,
        )
        for other in params.others
    )


def _scaled(box: tuple[int, int, int, int], across: float, down: float) -> Box:
    x, y, width, height = box
    return Box(x=int(across * x), y=int(down * y), width=max(1, int(across * width)), height=max(1, int(down * height)))


def selected_region(document: Document, size: Size, remedy: str) -> Region:
    """The selection in a picture of the whole canvas.

    Args:
        document: the document.
        size: width and height of the picture.
        remedy: what the artist can do if nothing is selected.

    Raises:
        Refusal: nothing is selected on the canvas.
    """
    selected = document.selected_region(size)
    if selected is None:
        raise Refusal(tr("Nothing is selected on the canvas."), remedy)
    return selected


def _drawn(which: str, prompt: str, params: GenerationParams) -> Generated:
    if not prompt.strip():
        raise Refusal(_empty(which), tr("Describe in a few words what to draw."))
    return Generated(prompt=prompt, negative_prompt=params.negative)


def _kept(which: str, layer: KeptLayer, typed: str) -> Kept:
    return Kept(**_pixels(layer), prompt=_prompt(which, layer, typed))


def _relit(layer: KeptLayer, params: GenerationParams) -> Relit:
    prompt = _prompt("foreground", layer, params.foreground)
    return Relit(**_pixels(layer), prompt=prompt, negative_prompt=params.negative, strength=params.strength)


def _pixels(layer: KeptLayer) -> dict[str, Any]:
    """The fields of the message that refer to an uploaded layer."""
    picture = layer.picture
    return {
        "layer": picture.sha256,
        "width": picture.width,
        "height": picture.height,
        "x": picture.x,
        "y": picture.y,
        "name": layer.name[:255] or "Layer",
        **({"opacity": layer.opacity} if layer.opacity != 1 else {}),
        **({"blend": layer.blend} if layer.blend in ("multiply", "add") else {}),
    }


def _prompt(which: str, layer: KeptLayer, typed: str) -> str:
    """The prompt from which the layer was drawn, else the one in the docker's field."""
    prompt = layer.prompt or typed
    if not prompt.strip():
        raise Refusal(_empty(which), tr("Describe in a few words what “{layer}” shows.", layer=layer.name))
    return prompt


def _empty(which: str) -> str:
    return tr("The foreground prompt is empty.") if which == "foreground" else tr("The background prompt is empty.")
