"""The choice of the backbone for a loaded model."""

from __future__ import annotations

from typing import Any

from layerfusion.engine.backbones.base import Backbone
from layerfusion.engine.backbones.sdxl import SDXLBackbone
from layerfusion.engine.models.runtime.loading import ModelBundle


def backbone_of(bundle: ModelBundle) -> Backbone[Any]:
    """The backbone of a bundle. All current bundles have SDXL's architecture; a second one would be chosen here."""
    return SDXLBackbone(bundle)
