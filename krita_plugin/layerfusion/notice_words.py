"""Notices in the artist's language: the protocol names each sentence, and its values are put into ours.

The server speaks English. Its text is shown to those who have chosen English, and for sentences of a later version.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Protocol

from . import translation
from .protocol.fields import Sentence
from .translation import joined, mark, tr

SENTENCES = {
    "demo_size": mark("This demo model draws at {size} px."),
    "demo_size_enlarged": mark("This demo model draws at {size} px, and the picture is enlarged."),
    "word_unknown": mark("This model does not know the word “{word}”."),
    "word_unknown_one_like_it": mark("This model does not know the word “{word}”; try “{first}”."),
    "word_unknown_two_like_it": mark("This model does not know the word “{word}”; try “{first}” or “{second}”."),
    "word_unknown_three_like_it": mark(
        "This model does not know the word “{word}”; try “{first}” or “{second}” or “{third}”."
    ),
    "prompt_truncated": mark("The model reads only the beginning of “{prompt}”."),
    "syntax_ignored": mark("“{words}” is not supported and was ignored."),
    "lora_missing": mark("There is no LoRA “{name}”; it was left out."),
    "lora_left_out": mark("The LoRA “{name}” was left out."),
    "inversion_missing": mark("There is no textual inversion “{name}”; it was left out."),
    "inversion_left_out": mark("The textual inversion “{name}” was left out."),
    "inversion_read_as_words": mark("The textual inversion “{name}” is not used, and its name is read as words."),
    "inversion_of_lora_left_out": mark("The textual inversion “{name}” in {file} is not for SDXL; it was left out."),
    "inversion_for_older_model": mark("It is for Stable Diffusion 1 or 2."),
    "inversion_not_for_sdxl": mark("Its tensors are not those of a textual inversion for SDXL."),
    "where_searched": mark("“layerfusion models show NAME” lists the folders that are searched."),
    "reason": mark("Reason: {reason}"),
    "weights_left_out": mark(
        "{file}: {count} of its tensors are left out, which SDXL has no use for (first: {first})."
    ),
    "equal_distances": mark("{sampler} runs with equal distances instead, because this model begins at pure noise."),
    "one_part_at_a_time": mark("Memory ran out; drawing continues with one part of the model at a time on the device."),
    "smaller_pieces": mark("Memory ran out again; drawing continues in smaller pieces, which is slower."),
    "foreground_fills_image": mark("The foreground fills the whole image."),
    "foreground_at_border": mark("The foreground covers the image's border."),
    "backdrop_not_grey": mark("The foreground was not drawn before a plain grey backdrop."),
    "checkpoint_advice": mark(
        "This checkpoint may have been fine-tuned too far from SDXL for LayerDiffuse; try one closer to the base model."
    ),
    "object_redrawn": mark(
        "Blended shows another object than “{layer}”, so Shadow and Light leave “{layer}” as it is."
    ),
    "foregrounds_placed": mark(
        "The foregrounds without a box are drawn side by side; give each a box to place it yourself."
    ),
    "few_steps_no_negative": mark(
        "Few steps are made to draw without guidance, so that negative prompts have no effect; the preset "
        "“exact” draws in all steps, with guidance."
    ),
    "few_steps_high_guidance": mark(
        "Few steps are made to draw without guidance, and {scale} exaggerates colours and contrast; the "
        "preset “exact” draws in all steps, with guidance."
    ),
}
"""Name of a sentence in the protocol -> its words, with the names of its values in braces."""


class Noticed(Protocol):
    """The protocol's `Notice`, as far as its words need it."""

    @property
    def text(self) -> str: ...
    @property
    def sentences(self) -> tuple[Sentence, ...]: ...


def noticed(notice: Noticed) -> str:
    """What a notice says."""
    return in_words(notice.text, notice.sentences)


def in_words(text: str, sentences: Sequence[Sentence]) -> str:
    """Sentences of the server in the artist's language, or `text`, which is theirs in English."""
    if translation.current() == "en" or not sentences or not all(map(_is_known, sentences)):
        return text
    return joined(tr(SENTENCES[each.name], **_values(each)) for each in sentences)


def _is_known(sentence: Sentence) -> bool:
    names = {name for _, name, _, _ in string.Formatter().parse(SENTENCES.get(sentence.name, "")) if name is not None}
    return sentence.name in SENTENCES and names == _values(sentence).keys()


def _values(sentence: Sentence) -> dict[str, str]:
    return {each.name: each.value for each in sentence.values}
