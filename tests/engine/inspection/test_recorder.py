from layerfusion.engine.diffusion.observer import Step
from layerfusion.engine.inspection.recorder import Recorder


def test_a_recorder_without_records_reads_nothing():
    """It does not even read the latents, which are missing here."""
    Recorder().step(Step(0, 999.0, estimate=None, latents=None))
