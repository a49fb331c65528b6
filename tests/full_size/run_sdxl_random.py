"""SDXL at full size with random weights: one whole job, and what it proves. No part of the test suite.

    python tests/full_size/run_sdxl_random.py                 the processor: 512 px, 2 steps, about 10 GB of memory
    python tests/full_size/run_sdxl_random.py --device cuda   a GPU: 1024 px, 30 steps, every memory policy, compiled,
                                                              and the stock SDXL pipeline beside them

On the processor it checks that every stream is drawn, that all 140 attention modules run the method's processor on the
expected token grids, that foreground rows equal a UNet with the deltas merged in and all other rows the plain UNet. The
UNet's weights are kept in bfloat16 and computed with in float32, so that it fits into 16 GB. The form for graphics
cards has been written without one at hand.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from random_sdxl import compute_in, random_sdxl
from torch import Tensor

from layerfusion.engine.backbones.sdxl import SDXLBackbone, SDXLConditioning
from layerfusion.engine.events import Finished, Progress
from layerfusion.engine.fusion.coupling import Coupling, Pass
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.models.runtime.offloading import MemoryPolicy
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import Generated, GenerationRequest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, help="side in pixels (default: 512; 1024 on a GPU)")
    parser.add_argument("--steps", type=int, help="(default: 2; 30 on a GPU)")
    parser.add_argument("--rank", type=int, default=256, help="of the foreground deltas (default: 256, as published)")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    on_cpu = device.type == "cpu"
    side, steps = arguments.size or (512 if on_cpu else 1024), arguments.steps or (2 if on_cpu else 30)
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        bundle = random_sdxl(
            Path(folder),
            native_size=side,
            rank=arguments.rank,
            device=device,
            dtype=torch.float32 if on_cpu else torch.bfloat16,
            storage=torch.bfloat16,
        )
        say(f"made {sum(p.numel() for p in bundle.unet.parameters()):,} UNet parameters", started)
        if on_cpu:
            draw(bundle, side, steps)
            compare_rows(bundle, side // 2)
        else:
            import gpu

            gpu.benchmark(bundle, side, steps, draw)
    say_peak()


def draw(bundle: ModelBundle, side: int, steps: int, policy: MemoryPolicy | None = None) -> float:
    """One whole job; returns its seconds."""
    pipeline = LayerFusionPipeline(bundle.spec, bundle.device, memory=policy, bundle=bundle)
    request = GenerationRequest(
        size=Size(side, side),
        background=Generated(prompt="a beach at sunset"),
        foregrounds=(Generated(prompt="a red apple"),),
        steps=steps,
        seed=3,
    )
    started, stack = time.monotonic(), None
    with watched(bundle) as seen:
        for event in pipeline.generate(request):
            if isinstance(event, Progress):
                say(f"  {event.stage} {event.step}/{event.total}", started)
            elif isinstance(event, Finished):
                stack = event.stack
    seconds = time.monotonic() - started
    assert stack is not None
    for layer in stack:
        say(f"  layer {layer.name}: {layer.size}, mean {layer.pixels.mean(axis=(0, 1)).round(1).tolist()}", started)
    names = SDXLBackbone(bundle).attention_modules
    grids = Counter(tokens for _, tokens in seen)
    assert {name for name, _ in seen} == set(names) and len(names) == 140, "an attention module did not run"
    assert names[-2] == "up_blocks.1.attentions.2.transformer_blocks.1.attn1"
    assert set(grids) == {(side // 16) ** 2, (side // 32) ** 2}
    say(f"140 attention modules ran; calls by tokens: {dict(grids)}", started)
    return seconds


@contextmanager
def watched(bundle: ModelBundle) -> Iterator[list[tuple[str, int]]]:
    """Which attention modules run, and on how many tokens."""
    seen: list[tuple[str, int]] = []
    handles = [
        bundle.unet.get_submodule(name).register_forward_pre_hook(
            lambda _, inputs, name=name: seen.append((name, inputs[0].shape[1]))
        )
        for name in SDXLBackbone(bundle).attention_modules
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@torch.inference_mode()
def compare_rows(bundle: ModelBundle, side: int) -> None:
    """The rows of one uncoupled forward against separate UNets: one with the deltas merged in, and the plain one."""
    started, streams = time.monotonic(), Streams(1)
    generator = torch.Generator().manual_seed(4)
    latents = torch.randn(3, 4, side // 8, side // 8, generator=generator)
    words, pooled = torch.randn(3, 77, 2048, generator=generator), torch.randn(3, 1280, generator=generator)

    backbone = SDXLBackbone(bundle)
    told = SDXLConditioning(words, pooled, torch.full((3,), 5))

    def forward(rows: slice) -> Tensor:
        return backbone.forward(latents[rows], torch.tensor(801.0), told[rows], Size(side, side))

    settings = bundle.spec.defaults.fusion
    coupling = Coupling(streams, settings, (side // 8, side // 8), end_of_text=torch.tensor([5]))
    with backbone.attached(coupling), coupling.forward(Pass.JOINT):
        together = forward(slice(0, 3))
    say("three rows together", started)
    plain = forward(slice(1, 3))
    say("background and blended rows by the plain UNet", started)

    def merged(layer: str) -> Tensor | None:
        module, _, projection = layer.rpartition(".to_")
        delta = bundle.deltas.get(module, {}).get(f"to_{projection}")
        return None if delta is None else delta.up @ delta.down  # type: ignore[union-attr]

    compute_in(bundle.unet, torch.float32, merged)
    foreground = forward(slice(0, 1))
    compute_in(bundle.unet, torch.float32)
    say("foreground row by the UNet with merged deltas", started)
    base = together.std()
    own, others = (together[:1] - foreground).abs().max(), (together[1:] - plain).abs().max()
    change = (forward(slice(0, 1)) - foreground).abs().max()
    print(f"output deviation {base:.3f}; the deltas change the foreground row by up to {change:.2e}")
    print(f"max difference: foreground row {own:.2e}, background and blended rows {others:.2e}")
    assert own < 1e-3 * base and others < 1e-3 * base < change, "the rows are not what separate networks compute"


def say(what: str, started: float) -> None:
    print(f"{time.monotonic() - started:7.1f} s  {what}", flush=True)


def say_peak() -> None:
    """The largest this process has been, where the system counts it."""
    if platform.system() != "Windows":
        import resource

        unit = 1 if platform.system() == "Darwin" else 1024
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
