"""Where a layer comes from: drawn from words, kept as the artist has it, or drawn anew over what the artist has."""

from __future__ import annotations

from dataclasses import dataclass

from layerfusion.engine.errors import InvalidLayer, InvalidRequest
from layerfusion.engine.image.geometry import Box
from layerfusion.engine.image.layers import Layer
from layerfusion.engine.options.checks import check_number, check_whole

MAX_PROMPT = 2000
MAX_SEED = 2**53 - 1
MIN_KEPT_SIDE, MAX_KEPT_SIDE = 2, 16_384
"""Of an artist's layer, in pixels: one pixel is no picture; four times the longest canvas is enough around it."""


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A layer drawn from a prompt.

    Attributes:
        prompt: what to draw, 1-2000 characters.
        negative_prompt: what to avoid; may be empty.
        seed: 0 to 2^53-1; None takes it from the job's, see `GenerationRequest.foreground_seed`.
        box: where on the canvas a foreground is drawn: it fills the box as far as its shape allows, standing on the
            box's lower edge. None leaves the place to the model. A background fills the canvas and has none.
    """

    prompt: str
    negative_prompt: str = ""
    seed: int | None = None
    box: Box | None = None

    def __post_init__(self) -> None:
        check_prompt("prompt", self.prompt)
        check_prompt("negative prompt", self.negative_prompt, may_be_empty=True)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """A layer the artist has already: it guides the others and comes back byte for byte.

    A kept background may have holes, or leave parts of the canvas empty: what is missing is drawn on a layer of its own
    below it.

    Attributes:
        layer: its pixels, placed on the canvas; 2-16384 px a side, something in it visible.
        prompt: what it shows, in a few words; the blended picture and the masks need to know.
    """

    layer: Layer
    prompt: str

    def __post_init__(self) -> None:
        check_prompt("prompt of the kept layer", self.prompt)
        check_layer(self.layer)


@dataclass(frozen=True, kw_only=True, eq=False)
class Relit:
    """A layer the artist has, drawn anew over her own pixels so that it fits the picture (SDEdit, Meng et al. 2022).

    It follows the artist's pixels until t = `strength` · T and is the model's own from there on, coupled with the other
    layers. What comes back is a new layer of the canvas's size.

    Attributes:
        layer: its pixels, placed on the canvas; as for `Kept`.
        prompt: what it shows.
        negative_prompt: what to avoid; may be empty.
        seed: of the noise put on it, 0 to 2^53-1; None takes it from the job's, as for `Generated`.
        strength: how much is drawn anew, 0-1: 0.3 changes little but light and texture, 0.8 keeps little but the place.
    """

    layer: Layer
    prompt: str
    negative_prompt: str = ""
    seed: int | None = None
    strength: float = 0.5

    def __post_init__(self) -> None:
        check_prompt("prompt of the relit layer", self.prompt)
        check_prompt("negative prompt", self.negative_prompt, may_be_empty=True)
        check_seed(self.seed)
        check_number("strength of the relit layer", self.strength, low=0, high=1)
        check_layer(self.layer)


Source = Generated | Kept | Relit


def check_prompt(name: str, value: str, *, may_be_empty: bool = False) -> None:
    """Raise `InvalidRequest` unless `value` is a text that says something, of at most 2000 characters."""
    if not isinstance(value, str):
        raise InvalidRequest(f"The {name} is {type(value).__name__}, not text.", "Describe it in words.")
    if not value.strip() and not may_be_empty:
        raise InvalidRequest(f"The {name} is empty.", "Say in a few words what to draw, for example “a red apple”.")
    if len(value) > MAX_PROMPT:
        raise InvalidRequest(f"The {name} has {len(value)} characters.", f"Use at most {MAX_PROMPT}.")


def check_seed(value: int | None) -> None:
    """Raise `InvalidRequest` unless `value` is None or a seed, 0 to 2^53-1."""
    if value is not None:
        check_whole("seed", value, low=0, high=MAX_SEED)


def check_layer(layer: Layer) -> None:
    """Raise `InvalidLayer` unless something can be made of an artist's layer."""
    if not isinstance(layer, Layer):
        raise InvalidLayer(f"The layer is {type(layer).__name__}.", "Give a Layer: 8-bit RGBA pixels and a place.")
    sides = (layer.size.width, layer.size.height)
    if min(sides) < MIN_KEPT_SIDE or max(sides) > MAX_KEPT_SIDE:
        raise InvalidLayer(
            f"The layer “{layer.name}” is {layer.size} px.",
            f"Keep a layer of {MIN_KEPT_SIDE} to {MAX_KEPT_SIDE} px a side; crop it to the canvas, or enlarge it.",
        )
    if not layer.pixels[..., 3].any():
        raise InvalidLayer(f"The layer “{layer.name}” is transparent all over.", "Keep a layer that shows something.")
