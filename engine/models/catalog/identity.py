"""What a model file is, and what LayerFusion can use it as."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from layerfusion.engine.models.catalog.published import Published


class Use(Enum):
    """The uses that LayerFusion has for a model file."""

    CHECKPOINT = "checkpoint"
    UNET = "UNet"
    VAE = "VAE"
    LORA = "LoRA"
    INVERSION = "textual inversion"
    DELTAS = "foreground deltas"
    ENCODER = "transparent encoder"
    DECODER = "transparent decoder"


@dataclass(frozen=True)
class Identity:
    """What a file is.

    Attributes:
        what: a description, for example “SDXL checkpoint, a single file”.
        use: what LayerFusion can use it as; None if it cannot use it.
        remedy: what to use instead, or what to add; empty if nothing needs to be done.
        warning: a known problem with such files; empty if there is none.
        published: the published file that has exactly these bytes; None if none is known. Only LayerDiffuse's
            files are looked up.
        lacks_vae: whether it is a checkpoint that is complete but for the VAE.
        digest: the file's SHA-256 if it was looked up; else empty.
    """

    what: str
    use: Use | None = None
    remedy: str = ""
    warning: str = ""
    published: Published | None = None
    digest: str = ""
    lacks_vae: bool = False
