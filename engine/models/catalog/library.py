"""Adding models of the user's: writing their manifests (`model.json` files) and downloading the files these name.

Used by `layerfusion models add`, `pull` and `scan`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from layerfusion.engine.errors import BrokenModel, DownloadFailed, InvalidRequest, UnknownModel
from layerfusion.engine.formats.files import replacing, writing
from layerfusion.engine.models.catalog.identify import Use, names_sd15
from layerfusion.engine.models.catalog.manifest import read_manifest
from layerfusion.engine.models.catalog.model_files import read_json
from layerfusion.engine.models.catalog.published import digest_of, published
from layerfusion.engine.models.catalog.registry import known_models, manifest_path
from layerfusion.engine.models.catalog.scan import Found, inspect_path
from layerfusion.engine.models.catalog.schedules import of_folder
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.catalog.weight_source import PREFIX, HubWeights, parse_weight_source

SDXL_BASE = "hf:stabilityai/stable-diffusion-xl-base-1.0"
RECIPES: dict[str, dict[str, Any]] = {
    "sdxl": {"title": "SDXL 1.0", "checkpoint": SDXL_BASE},
    "sdxl-lightning": {
        "title": "SDXL 1.0 with Lightning, 8 steps",
        "checkpoint": SDXL_BASE,
        "loras": [{"file": "hf:ByteDance/SDXL-Lightning/sdxl_lightning_8step_lora.safetensors"}],
        "few_steps": "lightning",
    },
    "sdxl-hyper": {
        "title": "SDXL 1.0 with Hyper-SD, 8 steps",
        "checkpoint": SDXL_BASE,
        "loras": [{"file": "hf:ByteDance/Hyper-SD/Hyper-SDXL-8steps-lora.safetensors"}],
        "few_steps": "hyper",
    },
    "sdxl-lcm": {
        "title": "SDXL 1.0 with LCM, 8 steps",
        "checkpoint": SDXL_BASE,
        "loras": [{"file": "hf:latent-consistency/lcm-lora-sdxl/pytorch_lora_weights.safetensors"}],
        "few_steps": "lcm",
    },
}
"""Models that `layerfusion models pull` knows by name: the values of their manifests."""

_PARTS = {"deltas": Use.DELTAS, "encoder": Use.ENCODER, "decoder": Use.DECODER}
"""The manifest's entries under `transparency`, and what their files must be."""

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def add_model(name: str, values: dict[str, Any]) -> ModelSpec:
    """Check every local file that a manifest names, then write the manifest for a model of the user's.

    Args:
        name: the model's name, which is also the manifest's file name.
        values: the manifest's values; `base` is "sdxl" and `name` is `name` unless they say otherwise.

    Raises:
        InvalidRequest: the name or a value is not valid.
        BrokenModel: a file that the values name is missing or is of another kind.
        UnwritableFile: the manifest cannot be written.
    """
    manifest = manifest_path(name)
    values = {"base": "sdxl", "name": name, **values}
    for role, text, use in _named_files(values):
        source = parse_weight_source(text)
        if not isinstance(source, HubWeights):
            check_use(source.path, role, use)
    _write(manifest, values)
    try:
        return read_manifest(manifest)
    except BrokenModel as error:
        manifest.unlink()
        raise InvalidRequest(error.message, "Correct the values that you gave.") from error


def check_use(path: Path, role: str, use: Use) -> None:
    """Refuse a file that cannot be used for its purpose.

    Args:
        path: the file, or a folder in diffusers layout.
        role: its purpose, for the error message.
        use: its purpose.

    Raises:
        BrokenModel: it is missing, unreadable or of another kind; the message says of which.
    """
    if not path.exists():
        raise BrokenModel(f"There is no file {path} ({role}).", "Check the path.")
    if use is Use.VAE and path.is_dir():
        return
    found = inspect_path(path)
    if found.identity is None:
        raise BrokenModel(found.problem)
    if use is Use.CHECKPOINT and path.is_dir():
        check_schedule(path)
    # A LoRA with LayerDiffuse's selection of keys cannot be distinguished from LayerDiffuse's deltas: allow both uses.
    allowed = {use} | ({Use.DELTAS} if use is Use.LORA else {Use.LORA} if use is Use.DELTAS else set())
    if found.identity.use not in allowed:
        raise BrokenModel(
            f"{path} is given as the {role}, but it is {found.identity.what}.",
            found.identity.remedy or f"Give a {role}.",
        )


def check_schedule(folder: Path) -> None:
    """Refuse a folder in diffusers layout whose noise schedule cannot be sampled here.

    Raises:
        BrokenModel: it cannot, or its file is missing.
    """
    file = folder / "scheduler" / "scheduler_config.json"
    of_folder(read_json(file), file)


def pull(
    name: str,
    fetch: Callable[[HubWeights], tuple[HubWeights, Path]],
    report: Callable[[str], None],
    *,
    new_name: str | None = None,
) -> ModelSpec:
    """Download the missing files of a model and record the downloaded commits in its manifest.

    Args:
        name: the name of a known model, one of `RECIPES`, or “owner/name” of a repository in diffusers layout.
        fetch: `engine.models.catalog.hub.fetch`.
        report: is called with a line of text before each download.
        new_name: the name of a new model; None derives it from `name`.

    Raises:
        UnknownModel: `name` is none of these.
        DownloadFailed: see `fetch`.
        BrokenModel: the manifest cannot be read, or a downloaded file is of another kind.
        UnwritableFile: the manifest cannot be written.
    """
    known = {spec.name: spec for spec in known_models()[0]}
    target = new_name or name
    if target in known and known[target].demo:
        report(f"“{target}” is part of the package: there is nothing to download.")
        return known[target]
    if target not in known:
        _write(manifest_path(new_name or valid_name(name)), _recipe(name, new_name))
    manifest = manifest_path(new_name or (name if name in known else valid_name(name)))
    values = json.loads(manifest.read_text(encoding="utf-8"))
    fetched = {}
    for role, text in _hub_files(values, read_manifest(manifest)):
        source = parse_weight_source(text)
        assert isinstance(source, HubWeights)
        if text not in fetched:
            report(f"{role}: {source}")
            try:
                pinned, path = fetch(source)
            except DownloadFailed:
                if target not in known and not fetched:
                    manifest.unlink()  # nothing was downloaded: leave no unusable model behind
                raise
            fetched[text] = str(pinned)
            if path.is_file():
                check_use(path, role, _role_use(role))
    _write(manifest, _pinned(values, read_manifest(manifest), fetched))
    return read_manifest(manifest)


def valid_name(text: str) -> str:
    """Derive a valid model name from any text, such as a repository's or file's name.

    The name consists of at most 64 lower-case letters, digits, dots, underscores and dashes.
    """
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.split("/")[-1].casefold()).strip("-._")
    return plain[:64] or "model"


def _recipe(name: str, new_name: str | None) -> dict[str, Any]:
    """The values of a new manifest.

    Raises:
        UnknownModel: `name` is neither one of `RECIPES` nor “owner/name”.
    """
    if name in RECIPES:
        return {"base": "sdxl", "name": new_name or name, **RECIPES[name]}
    if _HUB_NAME.fullmatch(name.removeprefix(PREFIX)):
        return {
            "base": "sdxl",
            "name": new_name or valid_name(name),
            "title": name.removeprefix(PREFIX),
            "checkpoint": PREFIX + name.removeprefix(PREFIX),
        }
    raise UnknownModel(
        f"There is no model “{name}”.",
        f"Pull one of {', '.join(RECIPES)}, a model that “layerfusion models list” shows, or OWNER/NAME of a model on "
        "Hugging Face.",
    )


def _named_files(values: dict[str, Any]) -> Iterable[tuple[str, str, Use]]:
    """Every file that a manifest's own values name: its role, its address or path, and what it must be."""
    yield "checkpoint", values["checkpoint"], Use.CHECKPOINT
    if values.get("vae"):
        yield "VAE", values["vae"], Use.VAE
    for lora in values.get("loras", ()):
        yield "LoRA", lora["file"], Use.LORA
    if values.get("few_step_adapter"):
        yield "few-step adapter", values["few_step_adapter"]["file"], Use.LORA
    for part, use in _PARTS.items():
        if part in values.get("transparency", {}):
            yield use.value, values["transparency"][part], use


def _hub_files(values: dict[str, Any], spec: ModelSpec) -> list[tuple[str, str]]:
    """The files to download, as (role, address): those that the manifest names and those that it inherits."""
    own = [(role, text) for role, text, _ in _named_files(values) if text.startswith(PREFIX)]
    inherited = [
        (use.value, str(getattr(spec.transparency, part)))
        for part, use in _PARTS.items()
        if part not in values.get("transparency", {})
    ]
    return [*own, *((role, text) for role, text in inherited if text.startswith(PREFIX))]


def _role_use(role: str) -> Use:
    return {"checkpoint": Use.CHECKPOINT, "VAE": Use.VAE, "LoRA": Use.LORA, "few-step adapter": Use.LORA}.get(
        role
    ) or Use(role)


def _pinned(values: dict[str, Any], spec: ModelSpec, fetched: dict[str, str]) -> dict[str, Any]:
    """The manifest's values with every downloaded address replaced by one that names the commit."""

    def at_commit(text: str | None) -> str | None:
        return fetched.get(text, text) if text else text

    inherited = {part: str(getattr(spec.transparency, part)) for part in _PARTS}
    adapter = values.get("few_step_adapter")
    transparency = {**inherited, **values.get("transparency", {})}
    return {
        **values,
        "checkpoint": at_commit(values["checkpoint"]),
        **({"vae": at_commit(values["vae"])} if values.get("vae") else {}),
        **(
            {"loras": [{**lora, "file": at_commit(lora["file"])} for lora in values["loras"]]}
            if values.get("loras")
            else {}
        ),
        **({"few_step_adapter": {**adapter, "file": at_commit(adapter["file"])}} if adapter else {}),
        "transparency": {key: at_commit(text) if isinstance(text, str) else text for key, text in transparency.items()},
    }


def _write(manifest: Path, values: dict[str, Any]) -> None:
    with writing(manifest.parent):
        manifest.parent.mkdir(parents=True, exist_ok=True)
    with replacing(manifest) as file:
        file.write((json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


def find_parts(found: Iterable[Found], named: Iterable[str] = ()) -> dict[str, str]:
    """Choose LayerDiffuse's files among those of other programs' folders.

    Among several, a published file is preferred, which its SHA-256 proves. Files whose name says that they are for
    Stable Diffusion 1.5 are not chosen.

    Args:
        found: the files.
        named: parts for which none is looked for.

    Returns:
        Values for the manifest's `transparency`: "deltas", "encoder" and "decoder", as far as they were found.

    Raises:
        BrokenModel: several different files could be the same part, and none of them is a published one.
    """
    items = list(found)
    chosen = {}
    for part, use in _PARTS.items():
        candidates = [item for item in items if item.identity is not None and item.identity.use is use]
        if part not in named and candidates:
            item = _preferred(candidates, part, use)
            chosen |= {} if item is None else {part: str(item.path.resolve())}
    return chosen


def _preferred(candidates: list[Found], part: str, use: Use) -> Found | None:
    """The published file, or the only other one; None if there are only files for Stable Diffusion 1.5.

    Raises:
        BrokenModel: several different files remain.
    """
    digests = {item.path: item.identity.digest if item.identity else "" for item in candidates}
    if len(candidates) > 1:
        digests = {path: digest or digest_of(path) for path, digest in digests.items()}
    known = [item for item in candidates if published(digests[item.path])]
    other: dict[str, Found] = {}
    for item in candidates:
        if not names_sd15(item.path):
            other.setdefault(digests[item.path], item)
    if not known and len(other) > 1:
        listed = ", ".join(str(item.path) for item in other.values())
        raise BrokenModel(
            f"Several different files could be the {use.value}: {listed}.",
            f"Name the right one: layerfusion models add … --{part} FILE.",
        )
    return next(iter([*known, *other.values()]), None)


def checkpoints(found: Iterable[Found]) -> list[Found]:
    """Those of the found files that are SDXL checkpoints."""
    return [item for item in found if item.identity is not None and item.identity.use is Use.CHECKPOINT]
