"""How Shadow and Light are made of the blended picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from layerfusion.engine.options.checks import check_choice

HarmonyMode = Literal["clean", "exact"]


@dataclass(frozen=True, kw_only=True)
class HarmonySettings:
    """How Shadow and Light are made from the blended picture.

    Attributes:
        mode: "clean": Shadow and Light are soft and show no outlines of the object, so that layers can still be moved.
            "exact": Background, Foreground, Shadow and Light composite to Blended within 1/255, but only while no layer
            is moved.
    """

    mode: HarmonyMode = "clean"

    def __post_init__(self) -> None:
        check_choice("harmony mode", self.mode, get_args(HarmonyMode))
