"""How the libraries under the engine are told to stay offline and silent."""

from __future__ import annotations

import os

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",  # a model is a folder on this machine, never a download
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""What they read when they are imported."""


def keep_offline() -> None:
    """Set `ENVIRONMENT` for this process and those it starts. To be called before the engine's pipeline is imported."""
    os.environ.update(ENVIRONMENT)
