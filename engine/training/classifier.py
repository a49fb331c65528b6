"""Stage `classifier`: a small classifier that names objects and scenes, to measure the generator with.

It is trained on the training set's pictures (augmented sprites before drawn scenes) and never on a generation. Its
scores on pictures it has not seen, and on their VAE round trips, are the ceilings beside which the generator's stand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from layerfusion.engine.training.contact_sheets import contact_sheet
from layerfusion.engine.training.data.dataset import Examples
from layerfusion.engine.training.data.vocabulary import FIRST, TIMES, VOCABULARIES, Vocabulary
from layerfusion.engine.training.latents import pictures_of
from layerfusion.engine.training.loop import Stage
from layerfusion.engine.training.optimisers import optimisers_for

BATCH = 64
_WIDTHS = (24, 48, 96, 160)
_SIDE = 64


def scene_names(vocabulary: Vocabulary = FIRST) -> tuple[str, ...]:
    """What a scene can be called; captions that mean the same picture share the first of their names."""
    return tuple(dict.fromkeys(scene_of(caption) for caption in vocabulary.backgrounds))


def scene_of(caption: str) -> str:
    """The scene's name: `… under a blue sky` is `… on a sunny day`."""
    for first, *others in TIMES.values():
        for other in others:
            caption = caption.replace(other, first)
    return caption


_NAMES = "objects.1.bias"
"""The tensor that has a number for each name."""


class ClassifierNetwork(nn.Module):
    """Pictures (B, 3, H, W), -1..1, to logits over objects and over scenes.

    Args:
        vocabulary: the edition's.
    """

    def __init__(self, vocabulary: Vocabulary = FIRST) -> None:
        super().__init__()
        self.scene_names = scene_names(vocabulary)
        self.object_names = vocabulary.names(held_out=True)
        layers: list[nn.Module] = []
        width = 3
        for out in _WIDTHS:
            layers += [
                nn.Conv2d(width, out, 3, stride=2, padding=1),
                nn.BatchNorm2d(out),
                nn.ReLU(),
                nn.Conv2d(out, out, 3, padding=1, groups=out // 8),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
            width = out
        self.features = nn.Sequential(*layers)
        flat = width * (_SIDE // 2 ** len(_WIDTHS)) ** 2
        self.objects = nn.Sequential(nn.Dropout(0.2), nn.Linear(width * 2, len(self.object_names)))
        self.scenes = nn.Sequential(nn.Dropout(0.2), nn.Linear(flat, len(self.scene_names)))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        small = F.interpolate(pictures, size=(_SIDE, _SIDE), mode="area")
        found = self.features(small)
        pooled = torch.cat([found.mean(dim=(2, 3)), found.amax(dim=(2, 3))], dim=1)
        return self.objects(pooled), self.scenes(found.flatten(1))

    @torch.inference_mode()
    def name_objects(self, pictures: NDArray[np.floating]) -> list[str]:
        """The likeliest object of each picture (N, H, W, 3), -1..1."""
        return [self.object_names[index] for index in self._logits(pictures)[0].argmax(dim=1).tolist()]

    @torch.inference_mode()
    def name_scenes(self, pictures: NDArray[np.floating]) -> list[str]:
        """The likeliest scene of each picture (N, H, W, 3), -1..1."""
        return [self.scene_names[index] for index in self._logits(pictures)[1].argmax(dim=1).tolist()]

    def _logits(self, pictures: NDArray[np.floating]) -> tuple[Tensor, Tensor]:
        self.eval()
        batches = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).split(64)
        objects, scenes = zip(*(self(batch) for batch in batches), strict=True)
        return torch.cat(objects), torch.cat(scenes)


def load_classifier(file: Path, vocabulary: Vocabulary | None = None) -> ClassifierNetwork:
    """Read the weights the stage has left, for this vocabulary; None takes the edition with as many names."""
    weights = load_file(str(file))
    if vocabulary is None:
        count = len(weights.get(_NAMES, ()))
        fitting = [known for known in VOCABULARIES.values() if len(known.names(held_out=True)) == count]
        vocabulary = fitting[0] if fitting else FIRST
    classifier = ClassifierNetwork(vocabulary)
    classifier.load_state_dict(weights)
    return classifier.eval()


class ClassifierStage(Stage):
    """Train the classifier.

    Args:
        data: the training set.
        test: for the sheet.
        vocabulary: the edition's.
    """

    name = "classifier"
    decay = 0.99

    def __init__(self, data: Examples, test: Examples, vocabulary: Vocabulary = FIRST) -> None:
        self.network = self._net = ClassifierNetwork(vocabulary)
        self.optimisers = optimisers_for(self._net, lr=1.5e-3, matrices=False)
        self.device = torch.device("cpu")
        self._data, self._test = data, test
        single = [index for index, facts in enumerate(data.facts) if len(facts["names"]) == 1]
        self._single = np.asarray(single)

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        parts, things, places = [], [], []
        for kind, count in (("composite", 26), ("studio", 8), ("foreground", 18), ("background", 12)):
            rows = rng.choice(self._single, count)
            parts.append(pictures_of(self._data, kind, rows))
            seen = kind != "background"
            things += [self._net.object_names.index(self._data.facts[row]["names"][0]) if seen else -1 for row in rows]
            set_in = kind in ("background", "composite")
            captions = [scene_of(self._data.facts[row]["captions"][1]) for row in rows]
            places += [self._net.scene_names.index(caption) if set_in else -1 for caption in captions]
        pictures = _augmented(torch.from_numpy(np.concatenate(parts)).permute(0, 3, 1, 2), rng, generator)
        objects, scenes = self._net(pictures)
        thing, place = torch.tensor(things), torch.tensor(places)
        loss = F.cross_entropy(objects, thing, ignore_index=-1, label_smoothing=0.05)
        loss = loss + F.cross_entropy(scenes, place, ignore_index=-1, label_smoothing=0.05)
        right = (objects.argmax(dim=1) == thing)[thing >= 0].float().mean()
        found = (scenes.argmax(dim=1) == place)[place >= 0].float().mean()
        return loss, {"objects": float(right), "scenes": float(found)}, len(pictures)

    def sheet(self) -> Image.Image:
        """What it is asked to name."""
        return contact_sheet([pictures_of(self._test, kind, np.arange(10)) for kind in ("composite", "foreground")])


def _augmented(pictures: Tensor, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    """Blur as the VAE blurs, a little colour, a little shift: what must not change a name."""
    side = int(rng.integers(28, 100))
    blurred = F.interpolate(
        F.interpolate(pictures, size=(side, side), mode="area"), size=pictures.shape[-2:], mode="bilinear"
    )
    share = torch.rand((len(pictures), 1, 1, 1), generator=generator)
    mixed = torch.lerp(pictures, blurred, share)
    gain = 1 + 0.12 * torch.randn((len(pictures), 1, 1, 1), generator=generator)
    cast = 0.05 * torch.randn((len(pictures), 3, 1, 1), generator=generator)
    shift = tuple(int(step) for step in rng.integers(-8, 9, 2))
    return torch.roll(mixed * gain + cast, shift, dims=(2, 3)).clamp(-1, 1)
