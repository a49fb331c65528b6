"""What `layerfusion generate` says of the pictures it has drawn: to a person, or as JSON to a program."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from layerfusion.engine.image.layers import Layer, LayeredImage
from layerfusion.engine.notices import Notice
from layerfusion.engine.request import GenerationRequest
from layerfusion.server.cli.console import list_layers, say


def add_options(parser: Any) -> None:
    """Declare `--json` and `--quiet`."""
    parser.add_argument(
        "--json",
        dest="as_json",
        action="store_true",
        help="print one JSON object about all that was drawn, and nothing else, on the standard output",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="show no progress, and of each picture only its name and its seed"
    )


class Report:
    """Collects what was drawn, and says it.

    Args:
        arguments: `as_json`, `quiet` and `variants` are read.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._as_json = arguments.as_json
        self._brief = arguments.quiet
        self._several = arguments.variants is not None
        self._pictures: list[dict[str, Any]] = []

    def add(self, out: str, request: GenerationRequest, stack: LayeredImage, more: Sequence[Path]) -> None:
        """One picture is written.

        Args:
            out: its file or folder.
            request: what was asked for; its seed is said.
            stack: what was written.
            more: further files about it.
        """
        if self._as_json:
            self._pictures.append(
                {
                    "file": out,
                    "seed": request.seed,
                    "width": stack.size.width,
                    "height": stack.size.height,
                    "layers": [_layer_values(layer) for layer in stack],
                    "more_files": [str(file) for file in more],
                }
            )
        elif self._brief:
            say(f"{out}  seed {request.seed}")
        else:
            list_layers(stack, out, seed=request.seed, briefly=self._several)
            for file in more:
                say(str(file))

    def finish(self, request: GenerationRequest, notices: Sequence[Notice]) -> None:
        """All pictures are written.

        Args:
            request: of any of them.
            notices: what the user should know of them, in the order it came up.
        """
        if self._as_json:
            said = [{"code": notice.code, "text": notice.text} for notice in notices]
            print(json.dumps({"model": request.model, "notices": said, "pictures": self._pictures}))


def _layer_values(layer: Layer) -> dict[str, Any]:
    """A layer's properties, named as in the `stack.json` of a folder of PNGs."""
    return {
        "name": layer.name,
        "role": layer.role.value,
        "width": layer.size.width,
        "height": layer.size.height,
        "offset": list(layer.offset),
        "blend": layer.blend.value,
        "opacity": layer.opacity,
        "visible": layer.visible,
    }
