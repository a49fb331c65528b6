"""The same job on a graphics card: every memory policy, compiled, and the stock pipeline in the same process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from layerfusion.engine.models.catalog.model_files import CONFIGS
from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.models.runtime.offloading import MemoryPolicy

REPEATS = 3
"""Of each job, after one to warm up; the median counts."""


def benchmark(bundle: ModelBundle, side: int, steps: int, draw: Callable[..., float]) -> None:
    """Print seconds, peak memory and ratios; the bundle's weights are random, its speed is SDXL's.

    Args:
        draw: of `run_sdxl_random`.
    """
    device = bundle.device
    stock, stock_peak = _timed(device, _stock(bundle, side, steps))
    print(f"stock SDXL: {stock:.2f} s, {stock_peak / 2**30:.1f} GiB; three pictures: {3 * stock:.2f} s")

    def report(name: str, policy: MemoryPolicy) -> None:
        seconds, peak = _timed(device, lambda: draw(bundle, side, steps, policy))
        ratios = f"{seconds / stock:.2f} of stock, {seconds / (3 * stock):.2f} of three"
        print(
            f"{name}: {seconds:.2f} s, {ratios}, {peak / 2**30:.1f} GiB, {peak / stock_peak:.2f} of stock", flush=True
        )

    for policy in MemoryPolicy:
        report(policy.value, policy)
    bundle.unet.compile_repeated_blocks(fullgraph=False)
    report("resident, compiled", MemoryPolicy.RESIDENT)


def _timed(device: torch.device, work: Callable[[], object]) -> tuple[float, int]:
    """Median seconds, and peak bytes."""
    seconds = []
    for _ in range(1 + REPEATS):
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        started = time.monotonic()
        work()
        torch.cuda.synchronize(device)
        seconds.append(time.monotonic() - started)
    return sorted(seconds[1:])[REPEATS // 2], torch.cuda.max_memory_allocated(device)


def _stock(bundle: ModelBundle, side: int, steps: int) -> Callable[[], object]:
    """One picture by diffusers' own pipeline, on the same UNet and VAE."""

    def encoder(kind: Any, folder: str) -> Any:
        config = CLIPTextConfig.from_pretrained(str(CONFIGS / folder), local_files_only=True)
        return kind(config).eval().to(bundle.device, bundle.dtype)

    bundle.memory.run(lambda: None)  # a memory policy before the first job is resident: everything is brought
    pipeline = StableDiffusionXLPipeline(
        vae=bundle.vae,
        text_encoder=encoder(CLIPTextModel, "text_encoder"),
        text_encoder_2=encoder(CLIPTextModelWithProjection, "text_encoder_2"),
        tokenizer=bundle.tokenizers[0],
        tokenizer_2=bundle.tokenizers[1],
        unet=bundle.unet,
        scheduler=EulerDiscreteScheduler.from_config(bundle.scheduler_config),
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return lambda: pipeline("a red apple on a beach", height=side, width=side, num_inference_steps=steps)
