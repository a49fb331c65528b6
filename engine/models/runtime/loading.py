"""Loading a model: the base model's networks, the LoRAs, the foreground deltas and the transparent networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.acceptance import check_files
from layerfusion.engine.models.catalog.model_files import CONFIGS
from layerfusion.engine.models.catalog.schedules import changed
from layerfusion.engine.models.catalog.spec import ModelSpec, TransparencySpec, located
from layerfusion.engine.models.runtime.checkpoints import (
    Checkpoint,
    file_schedule,
    open_checkpoint,
    read_unet,
    read_vae,
)
from layerfusion.engine.models.runtime.devices import transparent_precision, vae_precision
from layerfusion.engine.models.runtime.networks import add_network
from layerfusion.engine.models.runtime.offloading import Component, Memory
from layerfusion.engine.models.runtime.processor_blocks import shorten_passes
from layerfusion.engine.models.runtime.prompt_networks import PromptNetworks, left_out
from layerfusion.engine.models.runtime.quiet import quiet_libraries
from layerfusion.engine.models.runtime.state_dict import fill, read_state
from layerfusion.engine.notices import Notice
from layerfusion.engine.transparency.compact import CompactTransparentDecoder, CompactTransparentEncoder
from layerfusion.engine.transparency.deltas import Deltas, deltas_from_state
from layerfusion.engine.transparency.layerdiffuse import LayerDiffuseDecoder, LayerDiffuseEncoder


@dataclass(frozen=True, kw_only=True)
class ModelBundle:
    """A model in memory.

    Attributes:
        spec: its description.
        unet: the UNet that all streams share.
        vae: decodes background and blended, and provides the input image of the transparent decoder.
        tokenizers, text_encoders: SDXL's two tokenizers and text encoders.
        scheduler_config: the training noise schedule, in diffusers' format.
        zeros_for_empty_prompt: whether an empty negative prompt is encoded as zeros.
        deltas: the foreground deltas, which act on the foreground rows.
        encoder, decoder: the transparent encoder (RGBA to latents) and decoder (latents to RGBA).
        memory: moves the networks to the device and back. All computations with a network go through `memory.run`.
        device, dtype: device and dtype in which the UNet computes.
        notices: what the user should know about the files, said in every job.
        networks: the LoRAs and textual inversions that the current job's prompts name.
    """

    spec: ModelSpec
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    tokenizers: tuple[CLIPTokenizer, CLIPTokenizer]
    text_encoders: tuple[CLIPTextModel, CLIPTextModelWithProjection]
    scheduler_config: dict[str, Any]
    zeros_for_empty_prompt: bool
    deltas: Deltas
    encoder: CompactTransparentEncoder | LayerDiffuseEncoder
    decoder: CompactTransparentDecoder | LayerDiffuseDecoder
    memory: Memory
    device: torch.device
    dtype: torch.dtype
    notices: tuple[Notice, ...] = ()
    networks: PromptNetworks

    @property
    def latent_channels(self) -> int:
        """Channels of the UNet's latents."""
        return self.unet.config["in_channels"]

    @property
    def latent_factor(self) -> int:
        """Pixels per latent along each axis, 8 for SDXL."""
        return _latent_factor(self.vae)


def assemble(**parts: Any) -> ModelBundle:
    """Make a bundle from its attributes without `memory` and `networks`, which are made here; the networks of the
    model may still be on the CPU."""
    memory = Memory(
        {
            Component.TEXT: parts["text_encoders"],
            Component.UNET: (parts["unet"],),
            Component.VAE: (parts["vae"],),
            Component.ENCODER: (parts["encoder"],),
            Component.DECODER: (parts["decoder"],),
        },
        parts["deltas"],
        device=parts["device"],
        native_size=parts["spec"].native_size,
        latent_factor=_latent_factor(parts["vae"]),
    )
    first, second = parts["text_encoders"]
    components = {"unet": parts["unet"], "text_encoder": first, "text_encoder_2": second}
    networks = PromptNetworks(components, parts["spec"].network_folders)
    return ModelBundle(memory=memory, networks=networks, **parts)


def _latent_factor(vae: AutoencoderKL) -> int:
    return 2 ** (len(vae.config["block_out_channels"]) - 1)


_NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "compact": (CompactTransparentEncoder, CompactTransparentDecoder),
    "layerdiffuse": (LayerDiffuseEncoder, LayerDiffuseDecoder),
}
"""`TransparencySpec.kind` -> classes of the transparent encoder and decoder."""


@quiet_libraries()
def load_model(spec: ModelSpec, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> ModelBundle:
    """Read a model's weights into main memory. Nothing is downloaded.

    Args:
        spec: the model.
        device: the device on which it will compute; None means the CPU.
        dtype: dtype of all weights; None means `precision(spec, device)`. The VAE gets a wider dtype if it would
            overflow, see `devices.vae_precision`, and the transparent networks a finer one, see
            `devices.transparent_precision`.

    Raises:
        BrokenModel: a file is missing, truncated, no safetensors file, or does not fit the architecture.
    """
    check_files(spec)
    device = device or torch.device("cpu")
    dtype = dtype or precision(spec, device)
    configs = CONFIGS if spec.configs is None else located(spec.configs, spec.name)
    checkpoint = open_checkpoint(located(spec.checkpoint, spec.name), configs)
    unet = checkpoint.unet(dtype) if spec.unet is None else read_unet(located(spec.unet, spec.name), dtype, configs)
    deltas = _deltas(spec, unet, dtype)
    vae = checkpoint.vae(dtype) if spec.vae is None else read_vae(located(spec.vae, spec.name), dtype, configs)
    first, second = checkpoint.text_encoders(dtype)
    components: dict[str, nn.Module] = {"unet": unet, "text_encoder": first, "text_encoder_2": second}
    added = [(lora.file, add_network(located(lora.file, spec.name), lora.weight, components)) for lora in spec.loras]
    exact = transparent_precision(device, dtype)
    encoder, decoder = transparent_networks(spec.transparency, spec.name, exact, vae)
    if device.type == "cpu":
        for network in (unet, vae, encoder, decoder):
            shorten_passes(network)
    scheduler_config = changed(_schedule(spec, checkpoint, configs), spec.prediction, spec.zero_snr)
    if spec.few_steps is not None:
        scheduler_config["timestep_spacing"] = "trailing"  # few-step models are distilled to end at t = 0
    return assemble(
        spec=spec,
        unet=unet,
        vae=nn.Module.to(vae, vae_precision(vae.config, device, dtype)),
        tokenizers=_tokenizers(checkpoint, (first, second), spec),
        text_encoders=(first, second),
        scheduler_config=scheduler_config,
        zeros_for_empty_prompt=checkpoint.zeros_for_empty_prompt(),
        deltas=deltas,
        encoder=encoder,
        decoder=decoder,
        device=device,
        dtype=dtype,
        notices=tuple(notice for file, plan in added for notice in left_out(file, plan)),
    )


def _tokenizers(
    checkpoint: Checkpoint, encoders: tuple[CLIPTextModel, CLIPTextModelWithProjection], spec: ModelSpec
) -> tuple[CLIPTokenizer, CLIPTokenizer]:
    """The checkpoint's tokenizers.

    Raises:
        BrokenModel: one has words that its text encoder does not know, or makes longer prompts than it reads.
    """
    tokenizers = checkpoint.tokenizers()
    for tokenizer, encoder in zip(tokenizers, encoders, strict=True):
        config: Any = encoder.config
        words, length = config.vocab_size, config.max_position_embeddings
        if len(tokenizer) > words or tokenizer.model_max_length > length:
            raise BrokenModel(
                f"A tokenizer of {spec.checkpoint} has {len(tokenizer)} words in prompts of "
                f"{tokenizer.model_max_length} tokens; its text encoder has {words} and {length}.",
                "Fetch the model again.",
            )
    return tokenizers


def _schedule(spec: ModelSpec, checkpoint: Checkpoint, configs: Path) -> dict[str, Any]:
    """The noise schedule of whatever file the UNet is in; a UNet's own folder does not say one."""
    if spec.unet is None or located(spec.unet, spec.name).is_dir():
        return checkpoint.scheduler_config()
    return file_schedule(located(spec.unet, spec.name), configs)


def precision(spec: ModelSpec, device: torch.device) -> torch.dtype:
    """The dtype of a model's weights: the spec's, or for "auto" float32 on a CPU, bfloat16 on devices that support it
    and float16 on others."""
    if spec.precision != "auto":
        return getattr(torch, spec.precision)
    if device.type == "cpu":
        return torch.float32
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def transparent_networks(
    transparency: TransparencySpec, model: str, dtype: torch.dtype, vae: AutoencoderKL
) -> tuple[Any, Any]:
    """Read the transparent encoder and decoder into main memory.

    Args:
        transparency: their files and architecture.
        model: the model's name, for error messages.
        dtype: dtype of the weights.
        vae: whose latents they read and write. The published networks know SDXL's alone.

    Raises:
        BrokenModel: a file is missing or does not fit.
    """
    encoder, decoder = _NETWORKS[transparency.kind]
    if transparency.kind == "compact":
        channels = vae.config["latent_channels"]
        encoder = partial(CompactTransparentEncoder, channels, _latent_factor(vae))
        decoder = partial(CompactTransparentDecoder, channels)
    shared = transparency.encoder == transparency.decoder
    return (
        _network(encoder, located(transparency.encoder, model), "encoder." if shared else "", dtype),
        _network(decoder, located(transparency.decoder, model), "decoder." if shared else "", dtype),
    )


def _network(kind: Callable[[], nn.Module], file: Path, prefix: str, dtype: torch.dtype) -> nn.Module:
    state = {key.removeprefix(prefix): value for key, value in read_state(file).items() if key.startswith(prefix)}
    with torch.device("meta"):
        module = kind()
    return fill(module, state, file, dtype)


def _deltas(spec: ModelSpec, unet: UNet2DConditionModel, dtype: torch.dtype) -> Deltas:
    file = located(spec.transparency.deltas, spec.name)
    deltas = deltas_from_state(read_state(file), unet, str(file))
    cpu = torch.device("cpu")
    return {module: {name: delta.to(cpu, dtype) for name, delta in parts.items()} for module, parts in deltas.items()}
