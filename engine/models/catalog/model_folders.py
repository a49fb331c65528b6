"""The files of a model in diffusers layout: which of them are read, in which precision."""

from __future__ import annotations

from pathlib import Path

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.model_files import read_json, reading

NETWORKS = {
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "text_encoder": "model",
    "text_encoder_2": "model",
}
"""The folders of a model's networks, and the beginning of the names of their weights."""

INDEX = "model_index.json"
"""A file that every model in diffusers layout has."""

_HALF = (".fp16", ".bf16")
"""Variants of weights in half precision."""


def weight_files(folder: Path, half: bool) -> list[Path]:
    """The files with the weights of one network: one, or several that an index lists.

    Args:
        folder: the network's folder, such as `unet`.
        half: whether half precision is preferred. What there is is taken.

    Raises:
        BrokenModel: there are no safetensors weights, or a listed file is missing.
    """
    for stem in dict.fromkeys((NETWORKS.get(folder.name, "diffusion_pytorch_model"), "diffusion_pytorch_model")):
        for variant in (*_HALF, "") if half else ("", *_HALF):
            for index in (f"{stem}.safetensors.index{variant}.json", f"{stem}{variant}.safetensors.index.json"):
                if (folder / index).is_file():
                    return _listed(folder / index)
            file = folder / f"{stem}{variant}.safetensors"
            if file.is_file():
                return [file]
    raise _missing(folder)


def _listed(index: Path) -> list[Path]:
    table = read_json(index).get("weight_map")
    names = reading(index, lambda: sorted({Path(name).name for name in table.values()}))  # type: ignore[union-attr]
    files = [index.parent / name for name in names]
    lost = [file.name for file in files if not file.is_file()]
    if lost or not files:
        raise BrokenModel(
            f"{index} lists {len(files)} files, of which {len(lost)} are missing (first: {next(iter(lost), 'none')}).",
            "Fetch the model again.",
        )
    return files


def _missing(folder: Path) -> BrokenModel:
    file = folder / f"{NETWORKS.get(folder.name, 'diffusion_pytorch_model')}.safetensors"
    pickles = sorted(path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt")))
    if pickles:
        return BrokenModel(
            f"{file} is missing. {pickles[0]} beside it is a pickle, which layerfusion never opens.",
            "Get the model's .safetensors files.",
        )
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    if others:
        return BrokenModel(
            f"{file} is missing. {others[0]} beside it is a variant that is not known here.",
            f"Name the one to use {file.name}.",
        )
    return BrokenModel(f"The model file {file} is missing.", "Fetch the model again.")
