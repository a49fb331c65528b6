"""The loop that every stage of the training runs in: resumable at any moment, watched as it goes.

A stage's folder holds `checkpoint.safetensors` (weights, their running mean, optimisers, random state, progress),
`log.jsonl` (a line every few steps), `validation.jsonl` (a line a sheet), `curve.png` and `sheet-<step>.png`.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.training.curves import plot_curve

_LOG_EVERY = 25
_SAVE_EVERY = 180.0
_SHEET_EVERY = 420.0
_WARM_UP = 40


class Stage(ABC):
    """One thing to train.

    Attributes:
        name: the stage's.
        network: everything it trains; parameters that stay as they are do not require a gradient.
        optimisers: of its trainable parameters.
        decay: the running mean's; what is kept in the end is the mean, not the last weights.
        hold: the share of the time at full learning rate, before it falls to nothing.
        clip: the gradient norm's bound.
    """

    name: str
    network: nn.Module
    optimisers: list[torch.optim.Optimizer]
    decay: float = 0.998
    hold: float = 0.4
    clip: float = 1.0
    device: torch.device

    @abstractmethod
    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        """One batch's loss, figures for the log, and how many samples it was."""

    @abstractmethod
    def sheet(self) -> Image.Image:
        """What the network draws now, to look at; called with the running mean in place."""

    def validate(self) -> dict[str, float]:
        """Figures on pictures that training does not show, taken with each sheet; the running mean is in place."""
        return {}


@dataclass
class Progress:
    """How far a stage has come, over all its runs.

    Attributes:
        step, samples: done.
        seconds: of training.
        planned: seconds the learning rate's fall is laid out for.
    """

    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    planned: float = 0.0


def run(stage: Stage, folder: Path, *, minutes: float, rate: float = 1.0, seed: int = 0) -> Progress:
    """Train until a stage has had its time, over all runs together; then put the running mean in place.

    Stopped at any moment (Ctrl-C, a kill), the next run goes on from the last checkpoint, at most three minutes back.

    Args:
        folder: of this stage; made if it is not there.
        minutes: of training in all, those of earlier runs included.
        rate: factor on every learning rate; what is nearly trained is spoilt by the rate that suits a beginning.
        seed: of batches and noise.

    Raises:
        InvalidRequest: the loss is no number; the checkpoint is left as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    mean = {key: value.detach().clone() for key, value in _floats(stage.network).items()}
    progress = Progress()
    if (folder / "checkpoint.safetensors").exists():
        progress = _restore(stage, folder, mean, rng, generator)
    progress.planned = minutes * 60
    figures: dict[str, list[float]] = {}
    last, saved, shown = time.monotonic(), time.monotonic(), time.monotonic()
    stage.network.train()
    try:
        while progress.seconds < progress.planned:
            _set_rate(stage, progress, rate)
            loss, found, count = stage.loss(rng, generator)
            if not torch.isfinite(loss):
                raise InvalidRequest(
                    f"The loss of stage “{stage.name}” is {float(loss)} after {progress.step} steps.",
                    "Start it from weights that are finite, or with a lower --rate.",
                )
            for optimiser in stage.optimisers:
                optimiser.zero_grad(set_to_none=True)
            loss.backward()
            for optimiser in stage.optimisers:
                if isinstance(optimiser, torch.optim.AdamW):
                    parameters = [p for group in optimiser.param_groups for p in group["params"]]
                    nn.utils.clip_grad_norm_(parameters, stage.clip)
                optimiser.step()
            _follow(mean, stage.network, min(stage.decay, (progress.step + 1) / (progress.step + 20)))
            now = time.monotonic()
            progress.step, progress.samples = progress.step + 1, progress.samples + count
            progress.seconds, last = progress.seconds + now - last, now
            for key, value in {"loss": float(loss.detach()), **found}.items():
                figures.setdefault(key, []).append(value)
            if progress.step % _LOG_EVERY == 0:
                _log(folder, progress, figures)
            if now - saved > _SAVE_EVERY:
                _save(stage, folder, mean, progress, rng, generator)
                saved = time.monotonic()
            if now - shown > _SHEET_EVERY:
                _show(stage, folder, mean, progress)
                shown = last = time.monotonic()
    except InvalidRequest:
        raise  # what is not finite is not kept
    except BaseException:
        if progress.step:
            _save(stage, folder, mean, progress, rng, generator)
        raise
    _save(stage, folder, mean, progress, rng, generator)
    _show(stage, folder, mean, progress)
    stage.network.load_state_dict(mean, strict=False)
    stage.network.eval()
    return progress


def _set_rate(stage: Stage, progress: Progress, rate: float) -> None:
    done = progress.seconds / progress.planned
    scale = rate * min(1.0, (progress.step + 1) / _WARM_UP)
    if done > stage.hold:
        scale *= max(0.02, (1 - done) / (1 - stage.hold))
    for optimiser in stage.optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["base_lr"] * scale


def _floats(network: nn.Module) -> dict[str, Tensor]:
    return {key: value for key, value in network.state_dict().items() if value.is_floating_point()}


@torch.no_grad()
def _follow(mean: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    current = _floats(network)
    torch._foreach_lerp_(list(mean.values()), [current[key] for key in mean], 1 - decay)


def _log(folder: Path, progress: Progress, figures: dict[str, list[float]]) -> None:
    line = {**asdict(progress), **{key: round(float(np.mean(values)), 5) for key, values in figures.items()}}
    figures.clear()
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")
    shown = " ".join(f"{key} {value}" for key, value in line.items() if key not in asdict(progress))
    rate = progress.samples / max(progress.seconds, 1e-9)
    print(f"{progress.step:6d}  {progress.seconds / 60:6.1f} min  {rate:6.1f} samples/s  {shown}", flush=True)


def _show(stage: Stage, folder: Path, mean: dict[str, Tensor], progress: Progress) -> None:
    """A sheet drawn with the running mean, and the curve so far."""
    own = {key: value.clone() for key, value in _floats(stage.network).items()}
    stage.network.load_state_dict(mean, strict=False)
    stage.network.eval()
    with torch.inference_mode():
        stage.sheet().save(folder / f"sheet-{progress.step:06d}.png")
        figures = stage.validate()
    if figures:
        line = {**asdict(progress), **{key: round(value, 5) for key, value in figures.items()}}
        with (folder / "validation.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        print("        ", *(f"{key} {value:.3f}" for key, value in figures.items()), flush=True)
    stage.network.load_state_dict(own, strict=False)
    stage.network.train()
    plot_curve(folder / "log.jsonl", folder / "curve.png", stage.name)


def _save(
    stage: Stage,
    folder: Path,
    mean: dict[str, Tensor],
    progress: Progress,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> None:
    tensors = {f"network.{key}": value for key, value in stage.network.state_dict().items()}
    tensors |= {f"mean.{key}": value for key, value in mean.items()}
    for place, optimiser in enumerate(stage.optimisers):
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{place}.{index}.{key}": value for key, value in state.items()}
    tensors["generator"] = generator.get_state()
    whole = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    facts = json.dumps({"progress": asdict(progress), "rng": rng.bit_generator.state})
    part = folder / "checkpoint.part"
    save_file(whole, str(part), metadata={"facts": facts})
    part.replace(folder / "checkpoint.safetensors")


def _restore(
    stage: Stage, folder: Path, mean: dict[str, Tensor], rng: np.random.Generator, generator: torch.Generator
) -> Progress:
    with safe_open(str(folder / "checkpoint.safetensors"), framework="pt") as file:
        facts = json.loads(file.metadata()["facts"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)

    def part(prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

    stage.network.load_state_dict(part("network."))
    for key, value in part("mean.").items():
        mean[key].copy_(value)
    for place, optimiser in enumerate(stage.optimisers):
        state: dict[int, dict[str, Any]] = {}
        for key, value in part(f"optimiser.{place}.").items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    generator.set_state(tensors["generator"])
    rng.bit_generator.state = facts["rng"]
    return Progress(**facts["progress"])
