"""Refusing files that do not fit, before a model is added and again before it is loaded: one test for both."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.compatibility import faults
from layerfusion.engine.models.catalog.identity import Use
from layerfusion.engine.models.catalog.scan import inspect_path
from layerfusion.engine.models.catalog.sdxl_shapes import Network
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.catalog.weight_source import LocalWeights, WeightSource


def check_files(spec: ModelSpec) -> None:
    """Refuse a model one of whose files cannot be used for its purpose.

    Files that are not downloaded yet are left out. A model with network configurations of its own, or with other
    transparent networks than LayerDiffuse's, is not of SDXL's shapes and is not checked.

    Raises:
        BrokenModel: a file is missing, unreadable, of another kind, or does not fit SDXL.
    """
    if spec.configs is not None or spec.transparency.kind != "layerdiffuse":
        return
    for role, source, use in _sources(spec):
        path = source.path if isinstance(source, LocalWeights) else source.locate()
        if path is not None:
            check_use(path, role, use, elsewhere(spec) if use is Use.CHECKPOINT else ())


def elsewhere(spec: ModelSpec) -> tuple[Network, ...]:
    """The networks that a model does not take from its checkpoint."""
    others: dict[Network, WeightSource | None] = {"unet": spec.unet, "vae": spec.vae}
    return tuple(network for network, source in others.items() if source is not None)


def check_use(path: Path, role: str, use: Use, others: Collection[Network] = ()) -> None:
    """Refuse a file or folder that cannot be used for its purpose.

    Args:
        path: the file, or a folder in diffusers layout.
        role: its purpose, for the error message.
        use: its purpose.
        others: the networks of a checkpoint that are taken from other files.

    Raises:
        BrokenModel: it is missing, unreadable, of another kind or of another shape; the message says which.
    """
    if not path.exists():
        raise BrokenModel(f"There is no file {path} ({role}).", "Check the path.")
    remedy = ""
    if not (path.is_dir() and use in (Use.VAE, Use.UNET)):  # folders of one network say nothing else of themselves
        found = inspect_path(path)
        if found.identity is None:
            raise BrokenModel(found.problem)
        # A LoRA with LayerDiffuse's selection of keys cannot be distinguished from LayerDiffuse's deltas.
        alike = {Use.DELTAS, Use.LORA}
        if found.identity.use is not use and not {found.identity.use, use} <= alike:
            raise BrokenModel(
                f"{path} is given as the {role}, but it is {found.identity.what}.",
                found.identity.remedy or f"Give a {role}.",
            )
        remedy = found.identity.remedy
    reasons = faults(path, use, others)
    if reasons:
        raise BrokenModel(
            f"{path} cannot be used as the {role} of an SDXL model. {' '.join(reasons[:3])}",
            remedy or f"“layerfusion models check {path}” says more.",
        )


def _sources(spec: ModelSpec) -> Iterator[tuple[str, WeightSource, Use]]:
    yield "checkpoint", spec.checkpoint, Use.CHECKPOINT
    if spec.unet is not None:
        yield "UNet", spec.unet, Use.UNET
    if spec.vae is not None:
        yield "VAE", spec.vae, Use.VAE
    for lora in spec.loras:
        yield "LoRA", lora.file, Use.LORA
    if spec.few_step_adapter is not None:
        yield "few-step adapter", spec.few_step_adapter.lora.file, Use.LORA
    yield "foreground deltas", spec.transparency.deltas, Use.DELTAS
    yield "transparent encoder", spec.transparency.encoder, Use.ENCODER
    yield "transparent decoder", spec.transparency.decoder, Use.DECODER
