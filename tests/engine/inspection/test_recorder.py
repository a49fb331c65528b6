from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.inspection.recorder import Recorder


def test_where_nobody_asked_nothing_is_looked_at():
    """Neither the model nor the steps, which are not even there."""
    Recorder(None, Streams(1), None, masks=None, estimates=None).note(None, None)
