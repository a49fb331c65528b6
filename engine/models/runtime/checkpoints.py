"""Reading the base model's networks from a folder in diffusers layout or from a single-file checkpoint.

Nothing is downloaded: the network configurations and the tokenizer for single files are part of this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog import schedules
from layerfusion.engine.models.catalog.compatibility import TEXT_2_PREFIX, TEXT_PREFIX, VAE_PREFIX
from layerfusion.engine.models.catalog.model_files import CONFIGS, UNET_PREFIX, read_json, reading, unet_prefix
from layerfusion.engine.models.catalog.model_folders import weight_files
from layerfusion.engine.models.catalog.safetensors_header import read_header
from layerfusion.engine.models.catalog.shape_differences import modern_attention
from layerfusion.engine.models.runtime.state_dict import State, fill, read_state, unscaled
from layerfusion.engine.models.runtime.tokenizers import read_tokenizer, sdxl_tokenizers

TextEncoders = tuple[CLIPTextModel, CLIPTextModelWithProjection]
Tokenizers = tuple[CLIPTokenizer, CLIPTokenizer]


class Checkpoint(Protocol):
    """A base model whose parts are read on demand. Networks are returned on the CPU, in `dtype` and in eval mode.

    All methods raise `BrokenModel` if a file is missing, truncated, no safetensors file or of another architecture.
    """

    def unet(self, dtype: torch.dtype) -> UNet2DConditionModel: ...

    def vae(self, dtype: torch.dtype) -> AutoencoderKL: ...

    def text_encoders(self, dtype: torch.dtype) -> TextEncoders: ...

    def tokenizers(self) -> Tokenizers: ...

    def scheduler_config(self) -> dict[str, Any]: ...

    def zeros_for_empty_prompt(self) -> bool: ...


def open_checkpoint(path: Path, configs: Path = CONFIGS) -> Checkpoint:
    """Open a folder in diffusers layout, or a single safetensors file.

    Args:
        path: the folder or file.
        configs: folder with the network configurations of a single file.
    """
    return Folder(path) if path.is_dir() else SingleFile(path, configs)


@dataclass(frozen=True)
class Folder:
    """A model in diffusers layout."""

    path: Path

    def unet(self, dtype: torch.dtype) -> UNet2DConditionModel:
        return _diffusers_part(UNet2DConditionModel, self.path / "unet", dtype)

    def vae(self, dtype: torch.dtype) -> AutoencoderKL:
        return _diffusers_part(AutoencoderKL, self.path / "vae", dtype)

    def text_encoders(self, dtype: torch.dtype) -> TextEncoders:
        kinds = (CLIPTextModel, CLIPTextModelWithProjection)
        folders = (self.path / "text_encoder", self.path / "text_encoder_2")
        first, second = (
            _text_encoder(kind, folder, _weights_in(folder, dtype), dtype)
            for kind, folder in zip(kinds, folders, strict=True)
        )
        return first, second

    def tokenizers(self) -> Tokenizers:
        return read_tokenizer(self.path / "tokenizer"), read_tokenizer(self.path / "tokenizer_2")

    def scheduler_config(self) -> dict[str, Any]:
        file = self.path / "scheduler" / "scheduler_config.json"
        return schedules.of_folder(read_json(file), file)

    def zeros_for_empty_prompt(self) -> bool:
        return bool(read_json(self.path / "model_index.json").get("force_zeros_for_empty_prompt", True))


@dataclass(frozen=True)
class SingleFile:
    """An SDXL checkpoint in a single file, with LDM names.

    Attributes:
        path: the file.
        configs: folder in diffusers layout with the configurations of its networks.
    """

    path: Path
    configs: Path = CONFIGS

    @cached_property
    def _state(self) -> State:
        return read_state(self.path)

    def unet(self, dtype: torch.dtype) -> UNet2DConditionModel:
        config = read_json(self.configs / "unet" / "config.json")
        state = self._converted("the UNet", convert_ldm_unet_checkpoint, self._under(UNET_PREFIX, dtype), config)
        return fill(_on_meta(UNet2DConditionModel, config), state, self.path, dtype)

    def vae(self, dtype: torch.dtype) -> AutoencoderKL:
        return single_file_vae(self.path, self._under(VAE_PREFIX, dtype), dtype, self.configs)

    def text_encoders(self, dtype: torch.dtype) -> TextEncoders:
        first = self._converted("the first text encoder", convert_ldm_clip_checkpoint, self._under(TEXT_PREFIX, dtype))
        folder = self.configs / "text_encoder_2"
        text_model = _on_meta(CLIPTextModelWithProjection, _clip_config(folder))  # the converter reads only its sizes
        second = self._converted(
            "the second text encoder",
            convert_open_clip_checkpoint,
            text_model,
            self._under(TEXT_2_PREFIX, dtype),
            prefix=TEXT_2_PREFIX,
        )
        return (
            _text_encoder(CLIPTextModel, self.configs / "text_encoder", {self.path: first}, dtype),
            _text_encoder(CLIPTextModelWithProjection, folder, {self.path: second}, dtype),
        )

    def tokenizers(self) -> Tokenizers:
        return sdxl_tokenizers()

    def scheduler_config(self) -> dict[str, Any]:
        return file_schedule(self.path, self.configs)

    def zeros_for_empty_prompt(self) -> bool:
        return bool(read_json(self.configs / "model_index.json").get("force_zeros_for_empty_prompt", True))

    def _under(self, prefix: str, dtype: torch.dtype) -> State:
        return unscaled({key: value for key, value in self._state.items() if key.startswith(prefix)}, dtype)

    def _converted(self, part: str, convert: Any, *arguments: Any, **options: Any) -> State:
        """Run one of diffusers' converters on the file's tensors.

        Raises:
            BrokenModel: the converter failed or found nothing; `part` names the network in the message.
        """
        state = reading(self.path, lambda: convert(*arguments, **options))
        if not state:
            raise BrokenModel(
                f"{self.path} does not contain {part} of an SDXL model.",
                f"Run “layerfusion models check {self.path}” to see what the file is.",
            )
        return state


def file_schedule(path: Path, configs: Path = CONFIGS) -> dict[str, Any]:
    """SDXL's noise schedule, or what a single file's marker tensors and metadata say instead.

    Raises:
        BrokenModel: see `Checkpoint`; or the schedule cannot be sampled here.
    """
    header = read_header(path)
    config = schedules.of_file(header, read_json(configs / "scheduler" / "scheduler_config.json"))
    levels = {"sigma_max": "edm_vpred.sigma_max", "sigma_min": "edm_vpred.sigma_min"}
    if config.get("schedule") == schedules.EDM:
        with safe_open(path, "pt") as file:
            config |= {name: float(file.get_tensor(key)) for name, key in levels.items() if key in header.tensors}
    return config


def read_unet(path: Path, dtype: torch.dtype, configs: Path = CONFIGS) -> UNet2DConditionModel:
    """Read a UNet that is no part of a checkpoint: a folder, or a file with diffusers' names or LDM names.

    Raises:
        BrokenModel: see `Checkpoint`.
    """
    if path.is_dir():
        return _diffusers_part(UNet2DConditionModel, path / "unet" if (path / "unet").is_dir() else path, dtype)
    state, config = unscaled(read_state(path), dtype), read_json(configs / "unet" / "config.json")
    prefix = unet_prefix(state)
    if prefix is not None and "conv_in.weight" not in state:
        under = {key: value for key, value in state.items() if key.startswith(prefix)}
        named = {f"{UNET_PREFIX}{key.removeprefix(prefix)}": value for key, value in under.items()}
        state = reading(path, lambda: convert_ldm_unet_checkpoint(named, config))
    return fill(_on_meta(UNet2DConditionModel, config), state, path, dtype)


def read_vae(path: Path, dtype: torch.dtype, configs: Path = CONFIGS) -> AutoencoderKL:
    """Read a separate VAE: a folder in diffusers layout, or a file with diffusers' names or LDM names.

    Raises:
        BrokenModel: see `Checkpoint`.
    """
    if path.is_dir():
        return _diffusers_part(AutoencoderKL, path / "vae" if (path / "vae").is_dir() else path, dtype)
    state = unscaled(read_state(path), dtype)
    from_checkpoint = {key: value for key, value in state.items() if key.startswith(VAE_PREFIX)}
    return single_file_vae(path, from_checkpoint or state, dtype, configs)


def single_file_vae(path: Path, state: State, dtype: torch.dtype, configs: Path) -> AutoencoderKL:
    """Build a VAE from tensors with diffusers' names or LDM names.

    Args:
        path: the tensors' file, for error messages.

    Raises:
        BrokenModel: the tensors do not fit.
    """
    config = read_json(configs / "vae" / "config.json")
    if not any("down_blocks" in key for key in state):
        state = {key: value for key, value in state.items() if ".loss." not in key and not key.startswith("loss.")}
        state = reading(path, lambda: convert_ldm_vae_checkpoint(state, config))
    return fill(_on_meta(AutoencoderKL, config), _modern_attention(state), path, dtype)


def _diffusers_part(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    config = read_json(folder / "config.json")
    module = reading(folder, lambda: _on_meta(kind, config))
    state: State = {}
    files = _weights_in(folder, dtype)
    for part in files.values():
        state |= part
    return fill(module, _modern_attention(state), next(iter(files)), dtype)


def _on_meta(kind: Any, config: Any) -> Any:
    """Build a network on the meta device: it has shapes but no weights, and takes no memory."""
    with torch.device("meta"):
        return kind.from_config(config) if isinstance(config, dict) else kind(config)


def _clip_config(folder: Path) -> CLIPTextConfig:
    return reading(folder, lambda: CLIPTextConfig.from_pretrained(str(folder), local_files_only=True))


def _text_encoder(kind: Any, folder: Path, files: dict[Path, State], dtype: torch.dtype) -> Any:
    """Build a text encoder with transformers' own loader, which also understands keys of its older versions.

    Raises:
        BrokenModel: the tensors do not fit.
    """
    state = {key: value for part in files.values() for key, value in part.items() if not key.endswith("position_ids")}
    file = next(iter(files))
    model, found = reading(
        file,
        lambda: kind.from_pretrained(
            None,
            config=_clip_config(folder),
            state_dict=state,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are named below
        ),
    )
    mismatches = [*found["missing_keys"], *found["unexpected_keys"], *(str(key) for key in found["mismatched_keys"])]
    if mismatches:
        raise BrokenModel(
            f"{file} does not fit a {kind.__name__}: {len(mismatches)} tensors are missing, unknown or of another "
            f"shape (first: {mismatches[0]}).",
            "The file is incomplete or for another kind of model: fetch it again.",
        )
    return model.eval().requires_grad_(False)


def _weights_in(folder: Path, dtype: torch.dtype) -> dict[Path, State]:
    """Read the weights of one network, from one file or several.

    The precision nearest to `dtype` is preferred; the other one is used if it is the only one there.

    Raises:
        BrokenModel: there are no safetensors weights, or they cannot be read.
    """
    files = weight_files(folder, half=dtype in (torch.float16, torch.bfloat16))
    return {file: unscaled(read_state(file), dtype) for file in files}


def _modern_attention(state: State) -> State:
    """Rename the attention of VAEs that diffusers saved before version 0.12 to today's names."""
    return {modern_attention(name): value for name, value in state.items()}
