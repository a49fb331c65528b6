"""`layerfusion models`: what there is to draw with."""

from __future__ import annotations

import argparse

from engine.models.registry import available_models
from server.console import say


def run(_arguments: argparse.Namespace) -> None:
    """List every model, the default first.

    Raises:
        BrokenModel: a model card cannot be read.
    """
    for spec in available_models():
        defaults = spec.defaults
        say(f"{spec.name}: {spec.title}")
        say(f"  draws at about {spec.native_size}x{spec.native_size} px")
        say(f"  {defaults.steps} steps, guidance {defaults.guidance_scale:g}, sampler {defaults.sampler}")
        say(f"  samplers: {', '.join(spec.samplers)}")
        for kind, words in spec.vocabulary.items():
            say(f"  knows these {kind}: {', '.join(words)}")
        for foreground, background in spec.examples:
            say(f'  try: layerfusion generate "{foreground}" --background "{background}" --out picture.psd')
