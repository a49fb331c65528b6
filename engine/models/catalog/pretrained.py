"""Finding a model by name, by path, or by Hugging Face repository, for `LayerFusion.from_pretrained`."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath

from layerfusion.engine.errors import BrokenModel, InvalidRequest
from layerfusion.engine.models.catalog.acceptance import check_use
from layerfusion.engine.models.catalog.identity import Use
from layerfusion.engine.models.catalog.library import valid_name
from layerfusion.engine.models.catalog.manifest import inheriting_spec, read_manifest
from layerfusion.engine.models.catalog.model_folders import INDEX
from layerfusion.engine.models.catalog.registry import complete, find_model
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.catalog.weight_source import PREFIX, parse_weight_source
from layerfusion.engine.options.checks import said

MANIFEST = "model.json"
_HUB_ID = re.compile(r"[^\W_][\w.-]*/[^\W_][\w.-]*")
_FILES = (".json", ".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin")


def find_pretrained(model: str | os.PathLike[str]) -> ModelSpec:
    """Find a model on this machine. Nothing is downloaded.

    Args:
        model: one of

            * a name that `layerfusion models` lists, such as "tiny";
            * a path: a manifest (`model.json`) or a folder with one, a folder in diffusers layout, or a checkpoint in
              a single `.safetensors` file;
            * "owner/name" of a model on Hugging Face that is in the local cache, also as "hf:owner/name@revision".

            A name takes precedence over a path, and an existing path over a repository.

    Raises:
        InvalidRequest: `model` is neither text nor a path, or it is an invalid address.
        UnknownModel: there is no model with that name; the hint lists the known names.
        BrokenModel: the path or parts of the model are missing, or a file is of another kind; the hint says what to do.
    """
    if not isinstance(model, (str, PurePath)):
        raise InvalidRequest(f"The model is {said(model)}.", "Give a name, a path, or “owner/name” on Hugging Face.")
    text = str(model)
    if text.startswith(PREFIX):
        return _from_hub(text)
    path = Path(text).expanduser()
    is_path = isinstance(model, PurePath) or text != path.name or path.suffix.lower() in _FILES
    if not is_path:
        return find_model(text)
    if not path.exists() and isinstance(model, str) and _HUB_ID.fullmatch(text) and path.suffix not in _FILES:
        return _from_hub(PREFIX + text)
    return _from_path(path.absolute())


def _from_path(path: Path) -> ModelSpec:
    if path.suffix.lower() == ".json":
        manifest = path
    elif (path / MANIFEST).is_file():
        manifest = path / MANIFEST
    else:
        return _from_weights(path)
    if not manifest.exists():
        raise BrokenModel(f"There is no file {manifest}.", "Check the path.")
    return complete(read_manifest(manifest), f"Put them where {manifest} says, or change the paths there.")


def _from_weights(path: Path) -> ModelSpec:
    if path.is_dir() and not (path / INDEX).is_file():
        raise BrokenModel(
            f"The folder {path} contains neither {INDEX} nor {MANIFEST}.",
            "Give a model's folder in diffusers layout, or its .safetensors file.",
        )
    check_use(path, "checkpoint", Use.CHECKPOINT)
    name = valid_name(path.name if path.is_dir() else path.stem)
    spec = inheriting_spec({"base": "sdxl", "name": name, "title": path.name, "checkpoint": str(path)}, path.parent)
    return complete(
        spec, f"Fetch them with “layerfusion models add {name} {path}” and “layerfusion models pull {name}”."
    )


def _from_hub(address: str) -> ModelSpec:
    parse_weight_source(address)  # raises InvalidRequest for an invalid address
    repository = address.removeprefix(PREFIX)
    values = {"base": "sdxl", "name": valid_name(repository), "title": repository, "checkpoint": address}
    pull = f"layerfusion models pull {repository.partition('@')[0]}"
    return complete(
        inheriting_spec(values, Path.cwd()), f"Download it with “{pull}”; nothing is downloaded automatically."
    )
