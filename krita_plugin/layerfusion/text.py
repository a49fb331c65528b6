"""Texts for the docker: presets, stages, lists, durations, file names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from .images import same_shape
from .translation import mark, plural, tr

PRESETS = (
    (mark("Model's default"), None, mark("The preset that suits the chosen model")),
    (mark("Paper"), "paper", mark("Follows the published method step by step; the slowest preset, as a reference")),
    (
        mark("Exact"),
        "exact",
        mark("Leaves out no work, but needs no extra pass to find the outlines; faster than Paper"),
    ),
    (
        mark("Balanced"),
        "balanced",
        mark(
            "Draws the coarse parts in every third step; less than half the work of Exact, and hardly another picture"
        ),
    ),
    (
        mark("Fast"),
        "fast",
        mark("Draws in a few steps if the model can, or the coarse parts in every sixth; good for trying out ideas"),
    ),
)
"""Title, name in the protocol (None: the field is omitted) and description of each preset."""

STAGES = {
    "loading_model": mark("Loading the model"),
    "reading_prompts": mark("Reading the prompts"),
    "drafting": mark("Drafting the foreground in the selection"),
    "drawing": mark("Drawing"),
    "refining": mark("Refining"),
    "decoding": mark("Making the layers"),
}
"""Code of a stage in the protocol -> text for the artist."""


def stage(code: str, text: str) -> str:
    """The text for a stage: ours, or the server's for a code that we do not know. Servers before protocol 1.3 send a
    text in place of the code."""
    words = tr(STAGES[code]) if code in STAGES else text or code
    return words[:1].upper() + words[1:]


class Progressing(Protocol):
    """The protocol's `Progress`, as far as its words need it."""

    @property
    def stage(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def step(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def eta(self) -> float | None: ...


def progress_words(progress: Progressing) -> str:
    """What a job is doing, how far it is, and how long it will take."""
    words = tr(
        "{stage} {step} of {total}",
        stage=stage(progress.stage, progress.text),
        step=progress.step,
        total=progress.total,
    )
    if progress.eta is not None and progress.eta >= 1:
        words += " · " + tr("{duration} left", duration=duration(progress.eta))
    return words


def waiting_words(position: int, starts_in: float | None) -> str:
    """How many jobs come first, and in how many seconds a waiting job starts, if that is known."""
    words = tr("Next in the queue")
    if position:
        words = plural(position, "Waiting for {number} other job", "Waiting for {number} other jobs")
    if starts_in is not None and starts_in >= 1:
        words += " · " + tr("starts in about {duration}", duration=duration(starts_in))
    return words


def size_words(drawn: tuple[int, int], canvas: tuple[int, int]) -> str:
    """A sentence about a picture that is drawn smaller than its canvas; empty if it is not."""
    if drawn == canvas:
        return ""
    width, height = drawn
    return tr(
        "The canvas is larger than the server draws: it draws {width}x{height} px, and Krita enlarges them.",
        width=width,
        height=height,
    )


def fitting_words(picture: tuple[int, int], canvas: tuple[int, int]) -> str:
    """A sentence about an earlier picture that is added to a canvas of another size; empty if it has the same."""
    if picture == canvas:
        return ""
    width, height = picture
    if same_shape(picture, canvas):
        return tr(
            "The picture is {width}x{height} px; Krita scales its layers to the canvas.", width=width, height=height
        )
    return tr(
        "The picture is {width}x{height} px, another shape than the canvas: its layers start at the upper left corner.",
        width=width,
        height=height,
    )


def about_picture(title: str, values: Mapping[str, Any]) -> str:
    """How a picture was drawn, in lines; what is unknown is left out.

    Args:
        title: the name of its group.
        values: its prompts, seed, model and settings, as they are saved in the document.
    """
    lines = [
        f"{tr(words)}: {values[name]}"
        for words, name in (
            (mark("Foreground"), "foreground"),
            (mark("Background"), "background"),
            (mark("Whole picture"), "blended"),
            (mark("Without"), "negative"),
        )
        if values.get(name)
    ]
    return "\n".join([*(lines or [title]), _settings(values)]).strip()


def about_layer(role: str, values: Mapping[str, Any]) -> str:
    """How one layer of a picture was drawn, in lines.

    Args:
        role: its role.
        values: as for `about_picture`.
    """
    prompt = values.get(role)
    return "\n".join(
        words for words in (tr("Prompt: {prompt}", prompt=prompt) if prompt else "", _settings(values)) if words
    )


def _settings(values: Mapping[str, Any]) -> str:
    steps = tr("{number} steps", number=values["steps"]) if values.get("steps") else ""
    seed = tr("seed {seed}", seed=values["seed"]) if "seed" in values else ""
    style = tr("style “{style}”", style=values["style"]) if values.get("style") else ""
    facts = [fact for fact in (seed, values.get("model"), values.get("preset"), style, steps) if fact]
    return " · ".join(map(str, facts))


def sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def file_name(text: str) -> str:
    """A file name made from a text, without the characters that Windows, macOS or Linux forbid."""
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", text).strip(" .") or "layers"


def duration(seconds: float) -> str:
    whole = round(seconds)
    return (
        tr("{seconds} s", seconds=whole)
        if whole < 60
        else tr("{minutes} min {seconds:02} s", minutes=whole // 60, seconds=whole % 60)
    )
