"""The user's own models: cards written, and what they name fetched."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from layerfusion.engine.errors import BrokenModel, DownloadFailed, InvalidRequest, UnknownModel
from layerfusion.engine.formats.files import replacing, writing
from layerfusion.engine.models.catalog.identify import Use
from layerfusion.engine.models.catalog.manifest import read_manifest
from layerfusion.engine.models.catalog.registry import card_path, known_models
from layerfusion.engine.models.catalog.scan import Found, look_at, scan
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
"""Models that can be pulled by name."""

_PARTS = {"deltas": Use.DELTAS, "encoder": Use.ENCODER, "decoder": Use.DECODER}
"""The card's transparency entries, and what their files must be."""

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def add_model(name: str, values: dict[str, Any]) -> ModelSpec:
    """Write a card for a model of the user's, after looking at every file it names that is on this machine.

    Args:
        values: the card's; `base` is SDXL and `name` the name given.

    Raises:
        InvalidRequest: a name or value that cannot be.
        BrokenModel: a file it names is not there or is something else.
        UnwritableFile: the card cannot be written.
    """
    card = card_path(name)
    values = {"base": "sdxl", "name": name, **values}
    for role, text, use in _named_files(values):
        place = parse_weight_source(text)
        if not isinstance(place, HubWeights):
            check_use(place.path, role, use)
    _write(card, values)
    try:
        return read_manifest(card)
    except BrokenModel as error:
        card.unlink()
        raise InvalidRequest(error.message, "Mend the values given.") from error


def check_use(path: Path, role: str, use: Use) -> None:
    """Refuse a file that is not what it is given for.

    Raises:
        BrokenModel: it is missing, unreadable or something else; the message says what.
    """
    if not path.exists():
        raise BrokenModel(f"There is no file {path} ({role}).", "Check the path.")
    if use is Use.VAE and path.is_dir():
        return
    found = look_at(path)
    if found.identity is None:
        raise BrokenModel(found.problem)
    # A LoRA with the published selection of keys cannot be told from LayerDiffuse's own, and may be used as either.
    allowed = {use} | ({Use.DELTAS} if use is Use.LORA else {Use.LORA} if use is Use.DELTAS else set())
    if found.identity.use not in allowed:
        raise BrokenModel(
            f"{path} is given as the {role}, but it is {found.identity.what}.",
            found.identity.remedy or f"Name a {role}.",
        )


def pull(
    name: str,
    fetch: Callable[[HubWeights], tuple[HubWeights, Path]],
    say: Callable[[str], None],
    *,
    called: str | None = None,
) -> ModelSpec:
    """Fetch what a model lacks, and note in its card which commits were fetched.

    Args:
        name: a known model's, one of `RECIPES`, or “owner/name” of a repository in diffusers layout.
        fetch: `engine.models.catalog.hub.fetch`.
        say: told what happens, a line at a time.
        called: the name of a new model; None makes it of `name`.

    Raises:
        UnknownModel: a name that is none of these.
        DownloadFailed: see `fetch`.
        UnwritableFile: the card cannot be written.
    """
    known = {spec.name: spec for spec in known_models()[0]}
    target = called or name
    if target in known and known[target].demo:
        say(f"“{target}” comes with the package: nothing to fetch.")
        return known[target]
    if target not in known:
        _write(card_path(called or own_name(name)), _recipe(name, called))
    card = card_path(called or (name if name in known else own_name(name)))
    values = json.loads(card.read_text(encoding="utf-8"))
    fetched = {}
    for role, text in _hub_files(values, read_manifest(card)):
        place = parse_weight_source(text)
        assert isinstance(place, HubWeights)
        if text not in fetched:
            say(f"{role}: {place}")
            try:
                pinned, path = fetch(place)
            except DownloadFailed:
                if target not in known and not fetched:
                    card.unlink()  # nothing came of it: leave no model that cannot be had
                raise
            fetched[text] = str(pinned)
            if path.is_file():
                check_use(path, role, _role_use(role))
    _write(card, _pinned(values, read_manifest(card), fetched))
    return read_manifest(card)


def own_name(name: str) -> str:
    """A model's name made of a repository's, a file's or any other: small letters, digits, dots and dashes."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.split("/")[-1].casefold()).strip("-._")
    return plain[:64] or "model"


def _recipe(name: str, called: str | None) -> dict[str, Any]:
    if name in RECIPES:
        return {"base": "sdxl", "name": called or name, **RECIPES[name]}
    if _HUB_NAME.fullmatch(name.removeprefix(PREFIX)):
        return {
            "base": "sdxl",
            "name": called or own_name(name),
            "title": name.removeprefix(PREFIX),
            "checkpoint": PREFIX + name.removeprefix(PREFIX),
        }
    raise UnknownModel(
        f"There is no model “{name}”.",
        f"Pull one of {', '.join(RECIPES)}, a model that “layerfusion models list” shows, or OWNER/NAME of one at "
        "Hugging Face.",
    )


def _named_files(values: dict[str, Any]) -> Iterable[tuple[str, str, Use]]:
    """Every file a card's own values name: role, text, what it must be."""
    yield "checkpoint", values["checkpoint"], Use.CHECKPOINT
    if values.get("vae"):
        yield "VAE", values["vae"], Use.VAE
    for lora in values.get("loras", ()):
        yield "LoRA", lora["file"], Use.LORA
    for part, use in _PARTS.items():
        if part in values.get("transparency", {}):
            yield use.value, values["transparency"][part], use


def _hub_files(values: dict[str, Any], spec: ModelSpec) -> list[tuple[str, str]]:
    """What is to be fetched: the card's own addresses, and those it inherits."""
    own = [(role, text) for role, text, _ in _named_files(values) if text.startswith(PREFIX)]
    inherited = [
        (use.value, str(getattr(spec.transparency, part)))
        for part, use in _PARTS.items()
        if part not in values.get("transparency", {})
    ]
    return [*own, *((role, text) for role, text in inherited if text.startswith(PREFIX))]


def _role_use(role: str) -> Use:
    return {"checkpoint": Use.CHECKPOINT, "VAE": Use.VAE, "LoRA": Use.LORA}.get(role) or Use(role)


def _pinned(values: dict[str, Any], spec: ModelSpec, fetched: dict[str, str]) -> dict[str, Any]:
    """The card's values with every fetched address at its commit."""

    def at_commit(text: str | None) -> str | None:
        return fetched.get(text, text) if text else text

    inherited = {part: str(getattr(spec.transparency, part)) for part in _PARTS}
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
        "transparency": {key: at_commit(text) if isinstance(text, str) else text for key, text in transparency.items()},
    }


def _write(card: Path, values: dict[str, Any]) -> None:
    with writing(card.parent):
        card.parent.mkdir(parents=True, exist_ok=True)
    with replacing(card) as file:
        file.write((json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


def find_parts(folders: Iterable[Path]) -> dict[str, str]:
    """LayerDiffuse's files in other programs' folders: the card's transparency entries, as far as they were found.

    Raises:
        BrokenModel: a folder is not there.
    """
    found: dict[str, str] = {}
    uses = {use: part for part, use in _PARTS.items()}
    for folder in folders:
        for item in scan(folder):
            if item.identity is not None and item.identity.use in uses:
                found.setdefault(uses[item.identity.use], str(item.path.resolve()))
    return found


def checkpoints(found: Iterable[Found]) -> list[Found]:
    """Those of the files found that a model can be made of."""
    return [item for item in found if item.identity is not None and item.identity.use is Use.CHECKPOINT]
