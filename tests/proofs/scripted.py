"""A scripted engine for tests of the server: it does what the blended prompt says, is fast and does not import torch.

    "seconds=0.01 layers=3 side=64"    three layers of 64x64 px, 0.01 s a step and a layer
    "die=2"                            the process is killed at step 2
    "hang=2"                           step 2 never ends
    "huge"                             raises OutOfMemory
    "notices=2"                        gives two notices, each before a step
    "stamp"                            each layer's name is the time at which it leaves the engine

It runs in the real worker process and its layers go into the real store. Pixels depend on seed and index alone.
"""

import functools
import os
import signal
import sys
import time
from dataclasses import dataclass

import numpy as np

from layerfusion.engine.errors import OutOfMemory
from layerfusion.engine.events import Finished, LayerReady, Notice, Progress
from layerfusion.engine.image.layers import BlendMode, Layer, Role
from layerfusion.engine.stack import LayerStack


@dataclass
class Scripted:
    def generate(self, request):
        words = (word.partition("=") for word in (request.blended_prompt or "").split())
        script = {name: value for name, _, value in words}
        if "huge" in script:
            raise OutOfMemory("The picture does not fit.", "Draw a smaller one.")
        if "stamp" in script:  # so that making them takes no time later
            for index in range(int(script["layers"])):
                pixels(request.seed, index, int(script["side"]))
        steps, seconds = request.steps or 4, float(script.get("seconds", 0))
        for step in range(steps + 1):
            if script.get("die") == str(step):
                kill()
            if script.get("hang") == str(step):
                time.sleep(3600)
            if step < int(script.get("notices", 0)):
                yield Notice(code="prompt_truncated", text=notice_text(request.seed, step))
            yield Progress(
                stage="drawing", step=step, total=steps, eta=float(script.get("seconds", 0)) * (steps - step)
            )
            time.sleep(seconds)
        layers = []
        for index in range(int(script.get("layers", 2))):
            name = repr(time.monotonic()) if "stamp" in script else f"Layer {index}"
            layers.append(layer(request, index, int(script.get("side", 8)), name))
            yield LayerReady(layer=layers[-1], index=index)
            time.sleep(seconds)
        yield Finished(stack=LayerStack(name="scripted", size=request.size, layers=tuple(layers)))


def layer(request, index, side, name):
    role = Role.BACKGROUND if index == 0 else Role.FOREGROUND
    return Layer(name=name, role=role, pixels=pixels(request.seed, index, side), blend=BlendMode.NORMAL)


@functools.lru_cache(maxsize=8)
def pixels(seed, index, side):
    """Random pixels, uint8 (side, side, 4), the same every time."""
    values = np.random.default_rng((seed, index)).integers(0, 256, (side, side, 4), np.uint8)
    if index == 0:
        values[..., 3] = 255
    values.setflags(write=False)
    return values


def notice_text(seed, number):
    return f"Notice {number} of the job with the seed {seed}."


def bgra(seed, index, side):
    """The same as a message of the protocol."""
    return pixels(seed, index, side)[..., [2, 1, 0, 3]].tobytes()


def kill():
    os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    time.sleep(60)


def load(_model):
    return Scripted()
