"""What tests ask of a drawing."""

import numpy as np

from layerfusion.engine.events import Finished
from layerfusion.engine.stack import LayerStack


def finished(events) -> LayerStack:
    """The stack with which the events of a job end."""
    *_, last = events
    assert isinstance(last, Finished)
    return last.stack


def pixels_equal(one: LayerStack, other: LayerStack) -> bool:
    return all(np.array_equal(a.pixels, b.pixels) for a, b in zip(one, other, strict=True))
