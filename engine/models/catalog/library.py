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
from layerfusion.engine.models.catalog.acceptance import check_files, check_use, elsewhere
from layerfusion.engine.models.catalog.identify_layerdiffuse import names_sd15
from layerfusion.engine.models.catalog.identity import Use
from layerfusion.engine.models.catalog.manifest import inheriting_spec, read_manifest
from layerfusion.engine.models.catalog.published import digest_of, published
from layerfusion.engine.models.catalog.registry import known_models, manifest_path
from layerfusion.engine.models.catalog.scan import Found
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


def add_model(name: str, values: dict[str, Any], *, overwrite: bool = False) -> ModelSpec:
    """Check every file of a model of the user's that is on this machine, then write its manifest.

    Args:
        name: the model's name, which is also the manifest's file name.
        values: the manifest's values; `base` is "sdxl" and `name` is `name` unless they say otherwise.
        overwrite: whether a manifest of that name may be replaced.

    Raises:
        InvalidRequest: the name or a value is not valid, or there is a model of that name.
        BrokenModel: a file that the values name is missing, is of another kind, or does not fit.
        UnwritableFile: the manifest cannot be written.
    """
    manifest = manifest_path(name)
    if manifest.exists() and not overwrite:
        raise InvalidRequest(
            f"There is a model “{name}” already ({manifest}).", "Give another name, or --overwrite to replace it."
        )
    values = {"base": "sdxl", "name": name, **values}
    try:
        spec = inheriting_spec(values, manifest.parent)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest(f"The model “{name}” cannot be added: {error}.", "Correct the value.") from error
    check_files(spec)
    _write(manifest, values)
    return spec


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
    target = new_name or (name if name in known else valid_name(name))
    if target in known and known[target].demo:
        report(f"“{target}” is part of the package: there is nothing to download.")
        return known[target]
    manifest = manifest_path(target)
    if target not in known:
        _write(manifest, _recipe(name, target))
    values = json.loads(manifest.read_text(encoding="utf-8"))
    wanted = name if name == target else _recipe(name, target)["checkpoint"]
    if wanted != target and not str(values["checkpoint"]).startswith(str(wanted)):
        raise InvalidRequest(f"There is another model “{target}” already ({manifest}).", "Give a name: --as NAME.")
    fetched = {}
    for role, text, use in _hub_files(values, read_manifest(manifest)):
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
            if path.exists():
                others = elsewhere(read_manifest(manifest)) if use is Use.CHECKPOINT else ()
                check_use(path, role, use, others)
    _write(manifest, _pinned(values, read_manifest(manifest), fetched))
    return read_manifest(manifest)


def valid_name(text: str) -> str:
    """Derive a valid model name from any text, such as a repository's or file's name.

    The name consists of at most 64 lower-case letters, digits, dots, underscores and dashes.
    """
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.split("/")[-1].casefold()).strip("-._")
    return plain[:64] or "model"


def _recipe(name: str, new_name: str) -> dict[str, Any]:
    """The values of a new manifest.

    Raises:
        UnknownModel: `name` is neither one of `RECIPES` nor “owner/name”.
    """
    if name in RECIPES:
        return {"base": "sdxl", "name": new_name, **RECIPES[name]}
    if _HUB_NAME.fullmatch(name.removeprefix(PREFIX)):
        return {
            "base": "sdxl",
            "name": new_name,
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
    for part, use in (("unet", Use.UNET), ("vae", Use.VAE)):
        if values.get(part):
            yield use.value, values[part], use
    for lora in values.get("loras", ()):
        yield "LoRA", lora["file"], Use.LORA
    if values.get("few_step_adapter"):
        yield "few-step adapter", values["few_step_adapter"]["file"], Use.LORA
    for part, use in _PARTS.items():
        if part in values.get("transparency", {}):
            yield use.value, values["transparency"][part], use


def _hub_files(values: dict[str, Any], spec: ModelSpec) -> list[tuple[str, str, Use]]:
    """The files to download, as (role, address, use): those that the manifest names and those that it inherits."""
    own = [(role, text, use) for role, text, use in _named_files(values) if text.startswith(PREFIX)]
    inherited = [
        (use.value, str(getattr(spec.transparency, part)), use)
        for part, use in _PARTS.items()
        if part not in values.get("transparency", {})
    ]
    return [*own, *((role, text, use) for role, text, use in inherited if text.startswith(PREFIX))]


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
        **{part: at_commit(values[part]) for part in ("unet", "vae") if values.get(part)},
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
