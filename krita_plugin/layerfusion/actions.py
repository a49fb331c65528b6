"""What each button asks for: which layers are drawn or kept, and from which words.

One function a button; the controller calls it with the document and what the docker's fields say.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, replace
from typing import Any

from .images import Picture
from .interfaces import Document, GenerationParams
from .jobs import KeptLayer, Placement, Refusal
from .protocol import MAJOR
from .protocol.messages import Box, Generated, Kept, Relit, Source, Submit, Variant
from .protocol.schema import shared_fields
from .protocol.titles import title
from .text import listed

SEEDS = 2**53
"""As many as there are; the first follows the last."""


@dataclass(frozen=True)
class Action:
    """A picture to be drawn.

    Attributes:
        foreground, background: where each comes from.
        placement: where the result goes.
        artists: the layers of the artist's own among them.
    """

    foreground: Source
    background: Source
    placement: Placement
    artists: tuple[KeptLayer, ...] = ()

    @property
    def title(self) -> str:
        """Of the group the layers come in."""
        return title((self.foreground.prompt, self.background.prompt))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """What the server needs to have first."""
        return tuple(layer.picture for layer in self.artists)

    @property
    def question(self) -> str:
        """What the artist has to agree to first, empty if nothing."""
        lost = [
            f"The copy of “{layer.name}” in the new group will not have {listed(layer.losses)}."
            for layer in self.artists
            if layer.losses
        ]
        return " ".join([*lost, "Your own layers stay as they are."]) if lost else ""

    def submit(self, size: tuple[int, int], params: GenerationParams, model: str) -> Submit:
        """The message that asks for it; further pictures have the seeds that follow.

        Raises:
            InvalidMessage: a value the protocol does not know.
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
                "foregrounds": (self.foreground,),
                "blended_prompt": params.blended or None,
                "variants": variants,
                "model": params.model or model,
            }
        )

    def record(self, params: GenerationParams, submit: Submit) -> dict[str, Any]:
        """What the document will remember about one of its pictures, in plain JSON values."""
        prompts = {"foreground": self.foreground.prompt, "background": self.background.prompt}
        return {**asdict(params), **prompts, "seed": submit.seed, "model": submit.model}


def check_server(submit: Submit, protocol: tuple[int, int]) -> None:
    """Raise `Refusal` if a server that speaks this version of the protocol does not know all that is asked for."""
    if protocol < (MAJOR, submit.minor):
        raise Refusal(
            "The server that runs is older than this plugin and does not know that yet.",
            "Stop it with Ctrl-C where it was started, or start the computer again; then press Start server.",
        )


def generate(document: Document, params: GenerationParams) -> Action:
    """Draw a foreground and a background."""
    foreground = _drawn_foreground(document, params)
    return Action(foreground, _drawn("background", params.background, params), document.placement())


def new_background(document: Document, params: GenerationParams) -> Action:
    """Draw another background behind a foreground the artist has, which stays as it is."""
    layer = document.foreground_to_keep()
    foreground = _kept("foreground", layer, params.foreground)
    return Action(foreground, _drawn("background", params.background, params), layer.placement, (layer,))


def new_foreground(document: Document, params: GenerationParams) -> Action:
    """Draw another foreground before a background the artist has, which stays as it is."""
    layer = document.background_to_keep()
    background = _kept("background", layer, params.background)
    return Action(_drawn_foreground(document, params), background, layer.placement, (layer,))


def harmonise(document: Document, params: GenerationParams) -> Action:
    """Draw only what two layers do to each other: Shadow, Light and Blended. The two stay as they are."""
    front, behind = document.both_to_keep()
    foreground = _kept("foreground", front, params.foreground)
    return Action(foreground, _kept("background", behind, params.background), front.placement, (front, behind))


def relight(document: Document, params: GenerationParams) -> Action:
    """Draw a foreground anew over its own pixels, so that its light fits a background that stays as it is."""
    front, behind = document.both_to_keep()
    foreground = Relit(
        **_pixels(front),
        prompt=_words("foreground", front, params.foreground),
        negative_prompt=params.negative,
        strength=params.strength,
    )
    return Action(foreground, _kept("background", behind, params.background), front.placement, (front, behind))


def _drawn_foreground(document: Document, params: GenerationParams) -> Generated:
    drawn = _drawn("foreground", params.foreground, params)
    if not params.in_selection:
        return drawn
    selected = document.selected_box()
    if selected is None:
        raise Refusal(
            "Nothing is selected on the canvas.",
            "Select where the foreground is to stand, or untick “Draw the foreground in the selection”.",
        )
    x, y, width, height = selected
    return replace(drawn, box=Box(x=x, y=y, width=width, height=height))


def _drawn(which: str, prompt: str, params: GenerationParams) -> Generated:
    if not prompt.strip():
        raise Refusal(f"The {which} prompt is empty.", "Say in a few words what to draw there.")
    return Generated(prompt=prompt, negative_prompt=params.negative)


def _kept(which: str, layer: KeptLayer, typed: str) -> Kept:
    return Kept(**_pixels(layer), prompt=_words(which, layer, typed))


def _pixels(layer: KeptLayer) -> dict[str, Any]:
    """What the message says of an uploaded layer."""
    picture = layer.picture
    return {
        "layer": picture.sha256,
        "width": picture.width,
        "height": picture.height,
        "x": picture.x,
        "y": picture.y,
        "name": layer.name[:255] or "Layer",
    }


def _words(which: str, layer: KeptLayer, typed: str) -> str:
    """What the layer was drawn from, else what the docker's field says."""
    prompt = layer.prompt or typed
    if not prompt.strip():
        raise Refusal(f"The {which} prompt is empty.", f"Say in a few words what “{layer.name}” shows.")
    return prompt
