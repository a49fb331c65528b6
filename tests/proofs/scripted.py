"""A scripted engine for tests of the server: it does what the blended prompt says, is fast and does not import torch.
Without a blended prompt, it does what the first foreground's prompt says.

    "seconds=0.01 layers=3 side=64"    three layers of 64x64 px, 0.01 s a step and a layer
    "die=2"                            the process is killed at step 2
    "hang=2"                           step 2 never ends
    "gate=/tmp/gate"                   step 1 ends when there is such a file, or the job is cancelled
    "huge"                             raises OutOfMemory
    "notices=2"                        gives two notices, each before a step
    "code=unknown_words"               the code of the notices
    "later"                            the sentences of its notices are of a later version
    "modes"                            the layers differ in blend mode, place and opacity
    "previews"                         gives a preview before each step: a background of one colour
    "record"                           says with which prompts, seeds, boxes and model it was drawn
    "maps=3"                           records priors and masks of three steps, if somebody asks for them
    "stamp"                            each layer's name is the time at which it leaves the engine

It runs in the real worker process and its layers go into the real store. Pixels depend on seed and index alone.
"""

import functools
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from layerfusion.engine.errors import OutOfMemory
from layerfusion.engine.events import Finished, LayerReady, Notice, Preview, Progress
from layerfusion.engine.image.layers import BlendMode, Layer, Role
from layerfusion.engine.image.record import LayerRecord, PictureRecord
from layerfusion.engine.inspection.records import MaskStep
from layerfusion.engine.notices import sentence
from layerfusion.engine.stack import LayerStack

PREVIEW = (200, 100, 50, 255)
"""Colour of the previews, RGBA."""


@dataclass
class Scripted:
    def generate(self, request, masks=None):
        prompt = request.blended_prompt or getattr(request.foregrounds[0], "prompt", "")
        words = (word.partition("=") for word in prompt.split())
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
                text, name = notice_text(request.seed, step), "of_later" if "later" in script else "prompt_truncated"
                code = script.get("code", "prompt_truncated")
                yield Notice(code=code, text=text, sentences=(sentence(name, prompt=text),))
            if "previews" in script:
                yield Preview(role=Role.BACKGROUND, index=0, pixels=np.full((16, 16, 4), PREVIEW, np.uint8))
            yield Progress(
                stage="drawing", step=step, total=steps, eta=float(script.get("seconds", 0)) * (steps - step)
            )
            while step == 1 and "gate" in script and not Path(script["gate"]).exists():
                time.sleep(0.02)
                yield Progress(stage="drawing", step=step, total=steps, eta=None)
            if masks is not None and step < int(script.get("maps", 0)):
                masks.steps.append(mask_step(step))
            time.sleep(seconds)
        layers = []
        for index in range(int(script.get("layers", 2))):
            name = repr(time.monotonic()) if "stamp" in script else f"Layer {index}"
            side = int(script.get("side", 8))
            made = in_modes(request.seed, index, side) if "modes" in script else layer(request, index, side, name)
            layers.append(made)
            yield LayerReady(layer=layers[-1], index=index)
            time.sleep(seconds)
        record = None
        if "record" in script:
            record = PictureRecord(tool="LayerFusion", seed=request.seed, model="tiny")
            layers = [replace(each, record=record_of(request, index)) for index, each in enumerate(layers)]
        yield Finished(stack=LayerStack(name="scripted", size=request.size, layers=tuple(layers), record=record))


def record_of(request, index):
    """The background is the first layer, and foregrounds follow; what else there is has no words."""
    sources = [request.background, *request.foregrounds]
    if index >= len(sources):
        return LayerRecord(source="derived")
    source = sources[index]
    own = getattr(source, "seed", None)
    return LayerRecord(
        prompt=source.prompt,
        negative_prompt=getattr(source, "negative_prompt", ""),
        seed=request.seed if own is None else own,
        box=None if (box := getattr(source, "box", None)) is None else (box.x, box.y, box.width, box.height),
    )


def mask_step(step):
    """Maps of 3x2 tokens, whose values tell the four and the steps apart."""
    maps = [np.full((2, 3), (10 * step + number) / 255, np.float32) for number in range(4)]
    return MaskStep(1000.0 - 100 * step, 0, *maps, trust=step / 10)


def layer(request, index, side, name):
    role = Role.BACKGROUND if index == 0 else Role.FOREGROUND
    return Layer(name=name, role=role, pixels=pixels(request.seed, index, side), blend=BlendMode.NORMAL)


def in_modes(seed, index, side):
    """A layer whose blend mode, place and opacity depend on its index: normal, normal, multiply, add, …"""
    role = (Role.BACKGROUND, Role.FOREGROUND, Role.SHADOW, Role.LIGHT)[index % 4]
    blend = (BlendMode.NORMAL, BlendMode.NORMAL, BlendMode.MULTIPLY, BlendMode.ADD)[index % 4]
    offset = (0, 0) if index == 0 else (3 * index - 5, 7 - 4 * index)
    opacity = (1.0, 0.6, 1.0, 0.35)[index % 4]
    made = pixels(seed, index, side)
    return Layer(name=f"Layer {index}", role=role, pixels=made, offset=offset, blend=blend, opacity=opacity)


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
