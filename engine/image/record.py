"""What a picture and its layers were made from: plain values that travel with the layers into files and back.

A record states facts of the drawing for the artist, for viewers that look for AI pictures, and for drawing it again.
It is no proof: whoever has the file can change it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

R = TypeVar("R", "LayerRecord", "LoraRecord", "PictureRecord")

LayerOrigin = Literal["generated", "kept", "relit", "derived"]
"""Drawn from a prompt; the artist's pixels, unchanged; drawn over the artist's pixels; computed from other layers."""

Words = Mapping[str, Any]
"""Field name -> text, or a list of texts or of further such mappings."""

_MAX_TEXT = 4000
_MAX_ENTRIES = 512


@dataclass(frozen=True, kw_only=True)
class LayerRecord:
    """Where one layer comes from.

    Attributes:
        source: see `LayerOrigin`.
        prompt, negative_prompt: what it was drawn from, or what a kept layer shows.
        seed: of its noise; None if it has none, or it is withheld.
        strength: of a relit layer, 0-1.
        box: of a foreground that was drawn in a box: x, y, width, height in pixels.
        shape: of the region in that box, as `Shape.text`; empty if it was all of it.
        sha256: of the RGBA bytes of a kept layer, or of those that a relit layer was drawn over, in hexadecimal digits.
    """

    source: str = "generated"
    prompt: str = ""
    negative_prompt: str = ""
    seed: int | None = None
    strength: float | None = None
    box: tuple[int, ...] | None = None
    shape: str = ""
    sha256: str = ""

    def without_prompts(self) -> LayerRecord:
        return replace(self, prompt="", negative_prompt="", seed=None)


@dataclass(frozen=True, kw_only=True)
class LoraRecord:
    """A LoRA: its name, the SHA-256 of its file and its weight."""

    name: str = ""
    sha256: str = ""
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class PictureRecord:
    """How a whole picture was drawn.

    Attributes:
        tool: the program and its version.
        created: when, as ISO 8601 in UTC.
        model: its name.
        model_sha256: of its file, or of its UNet's file if it is a folder; empty if that is not known.
        loras: in the order in which they were added.
        seed: the job's; None if it is withheld.
        blended_prompt: what the whole picture was to show, as the model got it.
        blended_strength: how much of the blended picture was drawn anew over kept layers; None if it was drawn wholly.
        steps, guidance_scale, guidance_rescale, sampler, refine: as used. The sampler is its name in requests.
        sampler_title: the sampler's name as artists know it.
        preset: the preset of the options, if they are exactly one; else empty.
        settings: otherwise the options that differ from the model's, as "name=value".
        harmony: how Shadow and Light were made.
        native_size: side of the pictures the model was trained on, in pixels.
    """

    tool: str = ""
    created: str = ""
    model: str = ""
    model_sha256: str = ""
    loras: tuple[LoraRecord, ...] = ()
    seed: int | None = None
    blended_prompt: str = ""
    blended_strength: float | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    guidance_rescale: float | None = None
    sampler: str = ""
    sampler_title: str = ""
    preset: str = ""
    settings: tuple[str, ...] = ()
    harmony: str = ""
    refine: float | None = None
    native_size: int | None = None

    def without_prompts(self) -> PictureRecord:
        return replace(self, blended_prompt="", seed=None)


def to_words(record: LayerRecord | LoraRecord | PictureRecord) -> dict[str, Any]:
    """The fields that are not empty, as texts; see `Words`."""
    words: dict[str, Any] = {}
    for field in fields(record):
        value: Any = getattr(record, field.name)
        if value is None or value in ("", ()):
            continue
        if field.name == "loras":
            words[field.name] = [to_words(lora) for lora in value]
        elif field.name == "settings":
            words[field.name] = list(value)
        elif field.name == "box":
            words[field.name] = ",".join(map(str, value))
        else:
            words[field.name] = f"{value!r}" if isinstance(value, float) else str(value)
    return words


def from_words(kind: type[R], words: Words) -> R:
    """The record that such texts describe. A field that is missing or makes no sense keeps its default."""
    values: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in words:
            read = _READERS.get(field.name, _text)
            try:
                values[field.name] = read(words[field.name])
            except (ValueError, TypeError, AttributeError, OverflowError):
                continue
    return kind(**values)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise ValueError("no text")
    return value


def _shape(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,3}x[0-9]{1,3}:[A-Za-z0-9+/=]{1,100000}", value):
        raise ValueError("no shape")
    return value


def _whole(value: Any) -> int:
    number = int(_text(value)[:20])
    if not 0 <= number < 2**53:
        raise ValueError("no whole number")
    return number


def _number(value: Any) -> float:
    number = float(_text(value)[:40])
    if not math.isfinite(number):
        raise ValueError("no number")
    return number


def _box(value: Any) -> tuple[int, ...]:
    x, y, width, height = (_whole(part) for part in _text(value).split(","))
    return x, y, width, height


def _source(value: Any) -> str:
    if value not in ("generated", "kept", "relit", "derived"):
        raise ValueError("no source")
    return value


def _loras(value: Any) -> tuple[LoraRecord, ...]:
    return tuple(from_words(LoraRecord, words) for words in list(value)[:_MAX_ENTRIES] if isinstance(words, Mapping))


def _settings(value: Any) -> tuple[str, ...]:
    return tuple(_text(setting) for setting in list(value)[:_MAX_ENTRIES])


_READERS: dict[str, Callable[[Any], Any]] = {
    "source": _source,
    "seed": _whole,
    "steps": _whole,
    "native_size": _whole,
    "strength": _number,
    "weight": _number,
    "blended_strength": _number,
    "guidance_scale": _number,
    "guidance_rescale": _number,
    "refine": _number,
    "box": _box,
    "shape": _shape,
    "loras": _loras,
    "settings": _settings,
}
