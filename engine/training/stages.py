"""The stages of the training: their order, how long they train, and how many examples they see."""

from __future__ import annotations

MINUTES = {
    "vae": 24.0,
    "thin": 40.0,
    "unet": 66.0,
    "transparency": 7.0,
    "deltas": 9.0,
    "distill": 20.0,
    "decoder": 22.0,
    "alpha": 15.0,
    "classifier": 6.0,
}
"""How long a stage trains on two processor cores, if nothing else is said."""

EXAMPLES = {
    "train": (16000, 3),
    "small": (5000, 4),
    "nameless": (4000, 5),
    "wide": (2000, 6),
    "tall": (2000, 7),
    "held_out": (1000, 901),
    "everything": (5000, 2),
}
"""Set -> (examples, seed)."""

NAMELESS_SHARE = 0.25
"""How much of what the VAE sees are things without a name."""

STAGES = (
    "dataset",
    "vae",
    "thin",
    "latents",
    "unet",
    "transparency",
    "deltas",
    "distill",
    "decoder",
    "alpha",
    "checkpoint",
    "export",
    "classifier",
    "measure",
)
