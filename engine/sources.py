"""Where a layer comes from: generated from a prompt, kept as the artist made it, or relit over the artist's pixels."""

# pyright: reportUnnecessaryIsInstance=false
# Callers without a type checker may pass values of any type; the error then names the field and the type.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from PIL import Image

from layerfusion.engine.errors import InvalidLayer, InvalidRequest
from layerfusion.engine.image.geometry import Box
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.image.pillow import pixels_of
from layerfusion.engine.image.shape import Shape
from layerfusion.engine.options.checks import check_number, check_whole, said

MAX_PROMPT = 2000
MAX_SEED = 2**53 - 1
MIN_KEPT_SIDE, MAX_KEPT_SIDE = 2, 16_384
"""Limits for the sides of an artist's layer, in pixels. A single pixel is not a picture; four times the longest canvas
leaves room for pixels outside it."""


@dataclass(frozen=True)
class Generated:
    """A layer drawn from a prompt.

    Attributes:
        prompt: what to draw, 1-2000 characters.
        negative_prompt: what to avoid; may be empty.
        seed: 0 to 2^53-1; None derives it from the job's seed, see `GenerationRequest.foreground_seed`.
        box: where on the canvas a foreground is drawn. The object fills the box as far as its shape allows and stands
            on the box's lower edge. The constructor also accepts (x, y, width, height) in pixels. None leaves the place
            to the model; of several foregrounds, those without a box are placed side by side (`editing.arranged`). A
            background fills the canvas and has no box.
        shape: of the region in the box, see `Shape`; None is all of it. The object keeps its own outline, but is made
            so small that it fits into the region, and nothing of it is outside. It fades where the edge is soft.

    Raises:
        InvalidRequest: a value has the wrong type or is outside its range.
    """

    prompt: str
    _: KW_ONLY
    negative_prompt: str = ""
    seed: int | None = None
    box: Box | None = None
    shape: Shape | None = None

    if TYPE_CHECKING:  # the types that the constructor accepts; the attributes have the types above

        def __init__(
            self,
            prompt: str,
            *,
            negative_prompt: str = "",
            seed: int | None = None,
            box: Box | Sequence[int] | None = None,
            shape: Shape | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        check_prompt("prompt", self.prompt)
        check_prompt("negative prompt", self.negative_prompt, may_be_empty=True)
        check_seed(self.seed)
        if self.box is not None:
            object.__setattr__(self, "box", Box.of(self.box))
        if self.shape is not None and (self.box is None or not isinstance(self.shape, Shape)):
            raise InvalidRequest(
                f"The shape of a foreground is {said(self.shape)} without a box."
                if self.box is None
                else f"The shape of a foreground is {said(self.shape)}.",
                "Give a Shape and the box over which it is stretched.",
            )


@dataclass(frozen=True, eq=False)
class Existing:
    """A layer that the artist has already: the base class of `Kept` and `Relit`.

    Attributes:
        layer: the layer, placed on the canvas; 2-16384 px a side, with at least one visible pixel. The constructor also
            accepts a Pillow image, which it places at the canvas's top left corner. It does not accept a path, because
            a path could be meant as a prompt: open the file with `PIL.Image.open`.
        prompt: what the layer shows, in a few words; the blended picture and the masks depend on it.

    Raises:
        InvalidLayer: `layer` is not a layer, or it has an unsuitable size or no visible pixel.
        InvalidRequest: another value has the wrong type or is outside its range.
    """

    layer: Layer
    prompt: str

    if TYPE_CHECKING:

        def __init__(self, layer: Layer | Image.Image, prompt: str) -> None: ...

    def __post_init__(self) -> None:
        check_prompt(f"prompt of the {self.word} layer", self.prompt)
        layer = as_layer(self.layer)
        # What a layer was made from before is no part of a request: what is drawn records the artist's pixels.
        object.__setattr__(self, "layer", layer if layer.record is None else replace(layer, record=None))

    @property
    def word(self) -> str:
        """The source's kind in error messages: "kept" or "relit"."""
        return type(self).__name__.lower()


class Kept(Existing):
    """A layer that the artist has already: the other layers are drawn to fit it, and it comes back byte for byte.

    A kept background may have holes or leave parts of the canvas empty; what is missing is drawn on a separate layer
    below it. Attributes: see `Existing`.
    """


@dataclass(frozen=True, eq=False)
class Relit(Existing):
    """A layer that is drawn anew over the artist's pixels so that it fits the picture (SDEdit, Meng et al. 2022).

    Its stream follows the artist's pixels until t = `strength` · T; the model draws the remaining steps freely, coupled
    with the other layers. The result is a new layer of the canvas's size.

    Attributes:
        layer, prompt: see `Existing`.
        negative_prompt: what to avoid; may be empty.
        seed: the seed of the noise that is added, 0 to 2^53-1; None derives it from the job's, as for `Generated`.
        strength: how much is drawn anew, 0-1. 0.3 changes mainly light and texture; 0.8 keeps little but the place.
    """

    _: KW_ONLY
    negative_prompt: str = ""
    seed: int | None = None
    strength: float = 0.5

    if TYPE_CHECKING:

        def __init__(
            self,
            layer: Layer | Image.Image,
            prompt: str,
            *,
            negative_prompt: str = "",
            seed: int | None = None,
            strength: float = 0.5,
        ) -> None: ...

    def __post_init__(self) -> None:
        super().__post_init__()
        check_prompt("negative prompt", self.negative_prompt, may_be_empty=True)
        check_seed(self.seed)
        check_number("strength of the relit layer", self.strength, low=0, high=1)


Source = Generated | Kept | Relit


def has_known_place(source: Source) -> bool:
    """Whether a foreground's place is known before it is drawn: it is kept or relit, or it has a box."""
    return not isinstance(source, Generated) or source.box is not None


def check_prompt(name: str, value: str, *, may_be_empty: bool = False) -> None:
    """Raise `InvalidRequest` unless `value` is a text of at most 2000 characters that is not blank.

    Args:
        may_be_empty: a blank text is valid, too.
    """
    if not isinstance(value, str):
        raise InvalidRequest(f"The {name} is {said(value)}.", "Describe it in words.")
    if not value.strip() and not may_be_empty:
        raise InvalidRequest(f"The {name} is empty.", "Say in a few words what to draw, for example “a red apple”.")
    if len(value) > MAX_PROMPT:
        raise InvalidRequest(f"The {name} has {len(value)} characters.", f"Use at most {MAX_PROMPT}.")


def check_seed(value: int | None) -> None:
    """Raise `InvalidRequest` unless `value` is None or a seed, 0 to 2^53-1."""
    if value is not None:
        check_whole("seed", value, low=0, high=MAX_SEED)


def as_layer(given: object) -> Layer:
    """Return a layer unchanged, or make one of a Pillow image; see `Existing.layer`.

    Raises:
        InvalidLayer: `given` is neither, or it has an unsuitable size or no visible pixel.
    """
    if isinstance(given, Image.Image):
        name = Path(str(getattr(given, "filename", ""))).stem[:255] or "Picture"
        _check_sides(name, *given.size)  # checked before the file is decoded
        given = Layer(name=name, role=Role.FOREGROUND, pixels=pixels_of(given))
    if not isinstance(given, Layer):
        is_path = isinstance(given, (str, PurePath))
        remedy = "Open it first: PIL.Image.open(path)." if is_path else "Give a Layer or a Pillow picture."
        raise InvalidLayer(f"The layer is {said(given)}.", remedy)
    _check_sides(given.name, given.size.width, given.size.height)
    if not given.pixels[..., 3].any():
        raise InvalidLayer(f"The layer “{given.name}” is transparent all over.", "Keep a layer that shows something.")
    return given


def _check_sides(name: str, width: int, height: int) -> None:
    if min(width, height) < MIN_KEPT_SIDE or max(width, height) > MAX_KEPT_SIDE:
        raise InvalidLayer(
            f"The layer “{name}” is {width}x{height} px.",
            f"Keep a layer of {MIN_KEPT_SIDE} to {MAX_KEPT_SIDE} px a side; crop it to the canvas, or enlarge it.",
        )
