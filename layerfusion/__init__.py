"""LayerFusion: layered text-to-image generation."""

from pathlib import Path

if (Path(__file__).parents[1] / "engine" / "pipeline.py").is_file():
    __path__.append(str(Path(__file__).parents[1]))  # a checkout: the three folders lie beside this one, not in it
