"""Which backbone a model in memory is drawn with."""

from __future__ import annotations

from typing import Any

from layerfusion.engine.backbones.base import Backbone
from layerfusion.engine.backbones.sdxl import SDXLBackbone
from layerfusion.engine.models.runtime.loading import ModelBundle


def backbone_of(bundle: ModelBundle) -> Backbone[Any]:
    """The backbone of a bundle. All bundles there are have SDXL's networks; a second family is told apart here."""
    return SDXLBackbone(bundle)
