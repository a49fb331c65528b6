"""What a training starts from: a whole model, or the parts of a new edition that there are so far.

A new edition is a folder with `edition.json` and, in diffusers' layout, a folder a part whose shape differs from the
model it is made from:

    {"base": "tiny", "native_size": 256, "examples": {"train": 5000}, "vae": "vae", "unet": "unet", …}

`base` is the embedded model, or a model card relative to the folder. A part that has only its `config.json` yet is
made from the base's: a thinner VAE, a UNet with one more level outside.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.registry import EMBEDDED
from layerfusion.engine.training.data.vocabulary import VOCABULARIES, Vocabulary
from layerfusion.engine.training.geometry import pixels_a_latent
from layerfusion.engine.training.outer_level import with_outer_level
from layerfusion.engine.training.thinning import thinned
from layerfusion.engine.transparency.compact import CompactTransparentDecoder, CompactTransparentEncoder

WEIGHTS = "diffusion_pytorch_model.safetensors"


_TRANSPARENCY = ("encoder", "decoder")
_FILES = {
    "transparency": "transparent_vae.safetensors",
    "deltas": "foreground_deltas.safetensors",
    "few_steps": "few_steps_lora.safetensors",
}

Words = tuple[CLIPTokenizer, nn.Module, nn.Module]
_WORDS = ("tokenizer", "text_encoder", "text_encoder_2")


@dataclass(frozen=True, kw_only=True)
class Edition:
    """What a training starts from.

    Attributes:
        card: the model whose parts, defaults and texts it takes where it has none of its own.
        native_size: side of the pictures it is trained on, in pixels.
        vocabulary: which objects and scenes it knows, see `VOCABULARIES`.
        examples: how many of a set are drawn, where that differs from the usual.
        noise: how much louder the noise is than the first edition's, see `prediction.louder`.
        practised: names whose pictures come more often when the UNet is trained, beside those that the base lacks.
        inner_rate: the share of the learning rate that the UNet's inner levels and the text encoders get.
        vae, unet, text_encoders: folders of its own parts; None where the base's are used. The text encoders' holds
            `text_encoder`, `text_encoder_2` and the `tokenizer` of both.
        transparency, deltas, few_steps: files of its own parts: transparent encoder and decoder, foreground deltas, and
            the adapter for few steps. None where the base's are used; the base's adapter is for the base's UNet alone.
    """

    card: Path
    native_size: int
    vocabulary: str = "first"
    examples: dict[str, int] = field(default_factory=dict)
    noise: float = 1.0
    practised: tuple[str, ...] = ()
    inner_rate: float = 1.0
    vae: Path | None = None
    unet: Path | None = None
    text_encoders: Path | None = None
    transparency: Path | None = None
    deltas: Path | None = None
    few_steps: Path | None = None

    @property
    def known(self) -> Vocabulary:
        """The objects and scenes it knows."""
        return VOCABULARIES[self.vocabulary]

    def make_vae(self, base: AutoencoderKL) -> AutoencoderKL:
        """Its VAE as far as it has come, float32. If there are no weights yet: the base's with fewer channels."""
        if self.vae is None:
            return base
        if (self.vae / WEIGHTS).exists():
            return AutoencoderKL.from_pretrained(str(self.vae), torch_dtype=torch.float32, low_cpu_mem_usage=False)
        return thinned(base, _config(self.vae)["block_out_channels"])

    def make_unet(self, base: UNet2DConditionModel) -> UNet2DConditionModel:
        """Its UNet as far as it has come, float32. If there are no weights yet: the base's with one more level."""
        if self.unet is None:
            return base
        if (self.unet / WEIGHTS).exists():
            return UNet2DConditionModel.from_pretrained(
                str(self.unet), torch_dtype=torch.float32, low_cpu_mem_usage=False
            )
        return with_outer_level(base, _config(self.unet))

    def make_text_encoders(self, base: Words) -> Words:
        """Tokenizer and both text encoders as far as they have come, float32."""
        if self.text_encoders is None:
            return base
        tokenizer, first, second = (str(self.text_encoders / name) for name in _WORDS)
        return (
            CLIPTokenizer.from_pretrained(tokenizer),
            CLIPTextModel.from_pretrained(first, dtype=torch.float32).eval(),
            CLIPTextModelWithProjection.from_pretrained(second, dtype=torch.float32).eval(),
        )

    def make_transparency(
        self, vae: AutoencoderKL, base: tuple[nn.Module, nn.Module]
    ) -> tuple[CompactTransparentEncoder, CompactTransparentDecoder]:
        """Transparent encoder and decoder for the latents of a VAE as far as they have come, with the base's tensors
        where there are none yet and they fit."""
        channels = vae.config["latent_channels"]
        made = (
            CompactTransparentEncoder(channels, pixels_a_latent(vae)),
            CompactTransparentDecoder(channels),
        )
        own = {} if self.transparency is None else load_file(str(self.transparency))
        for part, network, old in zip(_TRANSPARENCY, made, base, strict=True):
            known = {
                name.removeprefix(f"{part}."): value.float() for name, value in own.items() if name.startswith(part)
            }
            known = known or old.state_dict()
            network.load_state_dict(
                {
                    name: known[name].clone() if name in known and known[name].shape == value.shape else value
                    for name, value in _state(network)
                }
            )
        return made

    def write(
        self,
        folder: Path,
        *,
        vae: AutoencoderKL,
        unet: UNet2DConditionModel | None,
        words: Words | None,
        transparency: dict[str, Tensor] | None = None,
        deltas: dict[str, Tensor] | None = None,
        few_steps: dict[str, Tensor] | None = None,
    ) -> None:
        """Write its own parts as far as they have come, float16, with an `edition.json` to go on from.

        Args:
            folder: made if it is not there.
            vae: written if the edition has one of its own.
            unet, words: None where they are not trained yet; its own configuration of a UNet is written even so.
            transparency, deltas, few_steps: what the files hold; None where they are not trained yet.
        """
        folder.mkdir(parents=True, exist_ok=True)
        values: dict[str, Any] = {
            "base": "tiny",
            "native_size": self.native_size,
            "vocabulary": self.vocabulary,
            "examples": self.examples,
            "noise": self.noise,
            "practised": list(self.practised),
            "inner_rate": self.inner_rate,
        }
        if self.card != EMBEDDED:
            values["base"] = os.path.relpath(self.card, folder)
        if self.vae is not None:
            values["vae"] = "vae"
            copy.deepcopy(vae).half().save_pretrained(str(folder / "vae"))  # type: ignore[union-attr]
        if unet is not None:
            values["unet"] = "unet"
            copy.deepcopy(unet).half().save_pretrained(str(folder / "unet"))  # type: ignore[union-attr]
        elif self.unet is not None:
            values["unet"] = "unet"
            (folder / "unet").mkdir(exist_ok=True)
            shutil.copy(self.unet / "config.json", folder / "unet" / "config.json")
        if words is not None:
            values["text_encoders"] = "words"
            for name, part in zip(_WORDS, words, strict=True):
                part = part if name == "tokenizer" else copy.deepcopy(cast(nn.Module, part)).half()
                cast(Any, part).save_pretrained(str(folder / "words" / name))
        for name, state in (("transparency", transparency), ("deltas", deltas), ("few_steps", few_steps)):
            if state is not None:
                values[name] = _FILES[name]
                half = {key: value.half().contiguous() for key, value in state.items()}
                save_file(half, str(folder / _FILES[name]), metadata={"format": "pt"})
        for config in folder.rglob("config.json"):
            kept = json.loads(config.read_text(encoding="utf-8"))
            kept.pop("_name_or_path", None)
            config.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        (folder / "edition.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_edition(file: Path) -> Edition:
    """Read an edition, or take a whole model's card as one.

    Raises:
        BrokenModel: the file is missing, no JSON, or lacks a value.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if "checkpoint" in values:
            known = _known(values.get("edition", "first"))
            return Edition(card=file, native_size=values["native_size"], vocabulary=known)

        def part(name: str) -> Path | None:
            return file.parent / values[name] if name in values else None

        card = EMBEDDED if values["base"] == "tiny" else file.parent / values["base"]
        examples = {str(name): int(count) for name, count in values.get("examples", {}).items()}
        return Edition(
            card=card,
            native_size=values["native_size"],
            vocabulary=_known(values.get("vocabulary", "first")),
            examples=examples,
            noise=float(values.get("noise", 1.0)),
            practised=tuple(str(name) for name in values.get("practised", ())),
            inner_rate=float(values.get("inner_rate", 1.0)),
            vae=part("vae"),
            unet=part("unet"),
            text_encoders=part("text_encoders"),
            transparency=part("transparency"),
            deltas=part("deltas"),
            few_steps=part("few_steps"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenModel(
            f"The edition {file} cannot be read ({error}).", "Give a model card, or the edition.json of a new edition."
        ) from error


def _known(vocabulary: str) -> str:
    if vocabulary not in VOCABULARIES:
        raise ValueError(f"vocabulary is {vocabulary!r}, not one of {', '.join(VOCABULARIES)}")
    return vocabulary


def _state(network: nn.Module) -> list[tuple[str, Tensor]]:
    return list(network.state_dict().items())


def _config(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))
