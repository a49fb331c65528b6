"""Styles: how a user likes pictures to be drawn, kept by the server for all clients of the user."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from .errors import StyleExists, TooManyStyles
from .fields import Message, Name, Problem, Text
from .jobs import Generated, Relit, Source, Submit
from .schema import Between, Length, Matches, Record

MAX_STYLES = 200
"""Most styles of a user."""

StyleName = Annotated[str, Length(1, 80), Matches(r"\S(.*\S)?", "a text on one line without spaces at its ends")]


@dataclass(frozen=True, kw_only=True)
class StyleLora(Record):
    """A LoRA and its strength.

    Attributes:
        name: as in the tag `<lora:name:weight>` of prompts.
        weight: factor of the weight change.
    """

    name: Annotated[str, Length(1, 120), Matches("[^<>:]+", "a LoRA's name without “<”, “>” and “:”")]
    weight: Annotated[float, Between(-10, 10)] = 1.0

    @property
    def tag(self) -> str:
        return f"<lora:{self.name}:{self.weight:g}>"


@dataclass(frozen=True, kw_only=True)
class Style(Record):
    """How pictures are drawn, without what they show.

    Attributes:
        name: the name by which the user chooses it.
        model: a name from `Welcome.models`, which a client chooses with the style; None leaves the choice as it is.
        preset: name of a preset, which a client chooses with the style; None leaves the choice as it is.
        sampler: None is the model's default.
        prompt: what is added to every prompt of a layer that is drawn, after a comma; may be empty.
        negative_prompt: what is added to every negative prompt, after a comma; may be empty.
        loras: the LoRAs, which act on the whole picture.
    """

    name: StyleName
    model: Name | None = None
    preset: Name | None = None
    sampler: Name | None = None
    prompt: Text = ""
    negative_prompt: Text = ""
    loras: Annotated[tuple[StyleLora, ...], Length(0, 16)] = ()

    def applied(self, submit: Submit) -> Submit:
        """A submission in this style. Its model and its preset stay: they are chosen with the style, or after it."""
        tags = [lora.tag for lora in self.loras]
        background, *foregrounds = (self._drawn(each) for each in (submit.background, *submit.foregrounds))
        return replace(
            submit,
            sampler=self.sampler or submit.sampler,
            background=replace(background, prompt=" ".join((background.prompt, *tags))),  # each tag counts once
            foregrounds=tuple(foregrounds),
            blended_prompt=submit.blended_prompt and _joined(submit.blended_prompt, self.prompt),
        )

    def _drawn(self, source: Source) -> Source:
        if not isinstance(source, (Generated, Relit)):
            return source
        return replace(
            source,
            prompt=_joined(source.prompt, self.prompt),
            negative_prompt=_joined(source.negative_prompt, self.negative_prompt),
        )


def _joined(*texts: str) -> str:
    return ", ".join(text for text in texts if text)


def check_name(style: Style, replaces: str | None, names: list[str]) -> None:
    """Check that saving a style overwrites no other one.

    Args:
        style: the style to save.
        replaces: the name of the one that it replaces; None if it is new.
        names: the names of the user's styles.

    Raises:
        StyleExists: another style has the name.
        TooManyStyles: the user has `MAX_STYLES`.
    """
    if style.name in names and style.name != replaces:
        raise StyleExists(f"There is a style “{style.name}” already.", "Choose another name.")
    if replaces not in names and len(names) >= MAX_STYLES:
        raise TooManyStyles(f"There are {len(names)} styles already.", "Delete one that you do not use.")


@dataclass(frozen=True, kw_only=True)
class ListStyles(Message):
    """Client: list the user's styles. The answer is `Styles`."""

    type: ClassVar[str] = "list_styles"


@dataclass(frozen=True, kw_only=True)
class SaveStyle(Message):
    """Client: save a style for all clients of the user. The answer is `Styles` or `StyleFailed`.

    Attributes:
        style: the style. No other style may have its name.
        replaces: the name of the style that it replaces, which may be another name; None if it is new.
    """

    type: ClassVar[str] = "save_style"
    style: Style
    replaces: StyleName | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteStyle(Message):
    """Client: delete a style. The answer is `Styles`, also if there is no style of that name, or `StyleFailed`."""

    type: ClassVar[str] = "delete_style"
    name: StyleName


@dataclass(frozen=True, kw_only=True)
class Styles(Message):
    """Server: the user's styles, by name."""

    type: ClassVar[str] = "styles"
    styles: tuple[Style, ...]


@dataclass(frozen=True, kw_only=True)
class StyleFailed(Problem):
    """Server: the reason why a style was not saved or deleted. The styles themselves do not change.

    Attributes:
        name: the name of the style; None if the styles could not be listed.
    """

    type: ClassVar[str] = "style_failed"
    name: StyleName | None = None
