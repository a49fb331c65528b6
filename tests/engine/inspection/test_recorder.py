from layerfusion.engine.diffusion.observer import Step
from layerfusion.engine.inspection.recorder import Recorder


def test_where_nobody_asked_nothing_is_looked_at():
    """Not even the latents, which are not there."""
    Recorder().step(Step(0, 999.0, estimate=None, latents=None))
