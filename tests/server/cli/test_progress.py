"""How progress is shown: a bar, one line per stage, or nothing; and notices, which stay on the screen."""

import io
import sys

import pytest

from layerfusion.engine.events import Finished, Notice, Progress
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.stack import LayerStack
from layerfusion.server.cli.progress import ProgressDisplay

NOTICE = Notice(code="prompt_truncated", text="The model reads only the beginning.")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("on_terminal", [True, False])
def test_progress_is_a_bar_on_a_terminal_and_a_line_a_stage_elsewhere(monkeypatch, on_terminal):
    stack = LayerStack(name="s", size=Size(1, 1), layers=())
    stream = Terminal() if on_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    first, *drawing = [Progress(stage="drawing", step=step, total=4, eta=4.0 - step) for step in range(5)]
    loading = Progress(stage="loading_model", step=0, total=1)
    assert ProgressDisplay().watch([loading, first, NOTICE, *drawing, Finished(stack=stack)]) is stack
    if on_terminal:
        before, after = stream.getvalue().split(f"{NOTICE.text}\n")
        assert before.endswith("\r"), "the notice has a line of its own, and the bar is drawn anew below it"
        assert "loading the model |" in before
        assert "drawing |" in after
        assert "/4" in after
        assert "\n" not in before + after
    else:
        assert stream.getvalue() == f"loading the model …\ndrawing …\n{NOTICE.text}\n"


@pytest.mark.parametrize("on_terminal", [True, False])
def test_quiet_shows_each_notice_once_and_nothing_else(monkeypatch, on_terminal):
    stack = LayerStack(name="s", size=Size(1, 1), layers=())
    stream = Terminal() if on_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    display = ProgressDisplay(quiet=True)
    events = [Progress(stage="drawing", step=1, total=4), NOTICE, NOTICE, Finished(stack=stack)]
    assert display.watch(events) is stack
    assert display.watch(events) is stack
    assert stream.getvalue().split("\r")[-1].strip() == NOTICE.text
    assert stream.getvalue().count(NOTICE.text) == 1
    assert "drawing" not in stream.getvalue()
    assert display.notices == [NOTICE]
