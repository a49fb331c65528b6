"""Notices, which are remarks that the user must know to judge a picture, and the sentences that they consist of.

The table below is the only place where the words of the engine's notices stand. They are made as the names of sentences
with their values; the English text is made from them here, and a program may say them in another language.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

NoticeCode = Literal[
    "demo_model",
    "unknown_words",
    "prompt_truncated",
    "prompt_part_ignored",
    "sampler_replaced",
    "memory_policy_changed",
    "checkpoint_drifted",
    "weights_left_out",
    "object_redrawn",
    "foregrounds_placed",
    "layer_centred",
    "few_steps_unguided",
]
"""Every notice there is. `server/protocol/PROTOCOL.md` says what each means."""

SENTENCES: Mapping[str, str] = {
    "demo_size": "This demo model draws at {size} px.",
    "demo_size_enlarged": "This demo model draws at {size} px, and the picture is enlarged.",
    "word_unknown": "This model does not know the word “{word}”.",
    "word_unknown_one_like_it": "This model does not know the word “{word}”; try “{first}”.",
    "word_unknown_two_like_it": "This model does not know the word “{word}”; try “{first}” or “{second}”.",
    "word_unknown_three_like_it": (
        "This model does not know the word “{word}”; try “{first}” or “{second}” or “{third}”."
    ),
    "prompt_truncated": "The model reads only the beginning of “{prompt}”.",
    "syntax_ignored": "“{words}” is not supported and was ignored.",
    "lora_missing": "There is no LoRA “{name}”; it was left out.",
    "lora_left_out": "The LoRA “{name}” was left out.",
    "inversion_missing": "There is no textual inversion “{name}”; it was left out.",
    "inversion_left_out": "The textual inversion “{name}” was left out.",
    "inversion_read_as_words": "The textual inversion “{name}” is not used, and its name is read as words.",
    "inversion_of_lora_left_out": "The textual inversion “{name}” in {file} is not for SDXL; it was left out.",
    "inversion_for_older_model": "It is for Stable Diffusion 1 or 2.",
    "inversion_not_for_sdxl": "Its tensors are not those of a textual inversion for SDXL.",
    "where_searched": "“layerfusion models show NAME” lists the folders that are searched.",
    "reason": "Reason: {reason}",
    "weights_left_out": "{file}: {count} of its tensors are left out, which SDXL has no use for (first: {first}).",
    "equal_distances": "{sampler} runs with equal distances instead, because this model begins at pure noise.",
    "one_part_at_a_time": "Memory ran out; drawing continues with one part of the model at a time on the device.",
    "smaller_pieces": "Memory ran out again; drawing continues in smaller pieces, which is slower.",
    "foreground_fills_image": "The foreground fills the whole image.",
    "foreground_at_border": "The foreground covers the image's border.",
    "backdrop_not_grey": "The foreground was not drawn before a plain grey backdrop.",
    "checkpoint_advice": (
        "This checkpoint may have been fine-tuned too far from SDXL for LayerDiffuse; try one closer to the base model."
    ),
    "object_redrawn": "Blended shows another object than “{layer}”, so Shadow and Light leave “{layer}” as it is.",
    "foregrounds_placed": (
        "The foregrounds without a box are drawn side by side; give each a box to place it yourself."
    ),
    "few_steps_no_negative": (
        "Few steps are made to draw without guidance, so that negative prompts have no effect; the preset “exact” "
        "draws in all steps, with guidance."
    ),
    "few_steps_high_guidance": (
        "Few steps are made to draw without guidance, and {scale} exaggerates colours and contrast; the preset “exact” "
        "draws in all steps, with guidance."
    ),
}
"""Name of each sentence -> its English text, with the names of its values in braces."""


@dataclass(frozen=True)
class Sentence:
    """A sentence by its name.

    Attributes:
        name: a key of `SENTENCES`; a server that is newer than its client may have further ones.
        values: what takes the places of the names in braces: (name, value) of each.
    """

    name: str
    values: tuple[tuple[str, str], ...] = ()

    @property
    def english(self) -> str:
        """The sentence in English.

        Raises:
            ValueError: there is no such sentence, or it has other values.
        """
        text = SENTENCES.get(self.name)
        if text is None or value_names(text) != {name for name, _ in self.values}:
            raise ValueError(f"There is no sentence {self.name!r} with the values {dict(self.values)}.")
        return text.format(**dict(self.values))


def sentence(name: str, /, **values: object) -> Sentence:
    """The sentence `name` of `SENTENCES` with its values."""
    return Sentence(name, tuple((key, str(value)) for key, value in values.items()))


def value_names(text: str) -> set[str]:
    """The names in braces in a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A remark that the user must know to judge the picture. It comes once and, unlike `Progress`, is never dropped.

    Attributes:
        code: the kind of remark, for programs.
        sentences: the sentences of the remark, by which a program may say it in another language; empty if they are
            not known, because it comes from the command line or from a server before protocol 1.6.
        text: the remark in English; an empty text is made from the sentences.
    """

    code: NoticeCode
    sentences: tuple[Sentence, ...] = ()
    text: str = ""

    def __post_init__(self) -> None:
        if not self.text:
            object.__setattr__(self, "text", " ".join(each.english for each in self.sentences))
