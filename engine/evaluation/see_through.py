"""How true the alpha is of what one can see through: glass, bottles, soap bubble and smoke.

Each name is drawn several times, because one picture of a name says little: the worst and the best of four differ by
more than editions do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.evaluation.alpha_measures import translucency
from layerfusion.engine.evaluation.held_out_pairs import Item, draw, scene_caption
from layerfusion.engine.evaluation.statistics import estimate
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.training.data import translucent
from layerfusion.engine.training.data.vocabulary import TRANSLUCENT, Vocabulary, is_held_out

SEEDS = 4
"""Pictures of each name."""


def see_through_items(vocabulary: Vocabulary, seed: int) -> list[Item]:
    """`SEEDS` of every translucent object that the edition knows, with a scene with which it is never trained, if there
    is one."""
    rng, items = np.random.default_rng(seed), []
    known = set(vocabulary.names(held_out=False))
    for name in (name for name in TRANSLUCENT if name in known):
        kinds = [kind for kind in vocabulary.kinds if is_held_out(name, kind)] or list(vocabulary.kinds)
        for number in range(SEEDS):
            items.append(Item(name, scene_caption(rng, str(rng.choice(kinds))), seed + number))
    return items


def translucency_figures(names: Sequence[str], alphas: Sequence[NDArray[np.floating]]) -> dict[str, float]:
    """Compare drawn alpha with the true one, picture by picture.

    Args:
        names: what was drawn, of `TRANSLUCENT`.
        alphas: (H, W) each, 0-1.

    Returns:
        the means of `translucency`'s correlation and difference, the number of pictures, the ends of the correlation's
        95 % bootstrap interval over pictures, and the correlation of each name.
    """
    found = [
        translucency(np.asarray(translucent.draw(name).getchannel("A"), np.float32) / 255, alpha)
        for name, alpha in zip(names, alphas, strict=True)
    ]
    # An alpha that is the same everywhere shows nothing of the true one.
    correlations = [float(np.nan_to_num(correlation)) for correlation, _ in found]
    whole = estimate(correlations)
    by_name = {
        f"translucent_correlation_{name.replace(' ', '_')}": float(
            np.mean([value for other, value in zip(names, correlations, strict=True) if other == name])
        )
        for name in dict.fromkeys(names)
    }
    return {
        "translucent_pictures": whole.count,
        "translucent_correlation": whole.value,
        "translucent_correlation_low": whole.low,
        "translucent_correlation_high": whole.high,
        "translucent_mean_error": float(np.mean([error for _, error in found])) if found else float("nan"),
        **by_name,
    }


def seen_through(spec: ModelSpec, vocabulary: Vocabulary, seed: int, preset: Preset | None = None) -> dict[str, float]:
    """Draw `see_through_items`, in all of the model's steps or with a preset, and measure their alpha."""
    drawn = list(draw(spec, see_through_items(vocabulary, seed), preset))
    return translucency_figures([one.item.name for one in drawn], [one.foreground[..., 3] / 255.0 for one in drawn])
