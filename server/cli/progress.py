"""How the command line shows a picture being drawn."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from layerfusion.engine.events import Event, Finished, Progress
from layerfusion.engine.notices import Notice
from layerfusion.engine.stack import LayerStack
from layerfusion.server.cli.console import say


class ProgressDisplay:
    """Shows progress on the error stream: a bar on a terminal, otherwise one line a stage. Notices stay.

    Args:
        quiet: shows notices only.

    Attributes:
        notices: all that were shown, each once.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self.notices: list[Notice] = []

    def show(self, notice: Notice) -> None:
        """Show a notice, unless it was shown before."""
        if notice not in self.notices:
            self.notices.append(notice)
            say(notice.text, sys.stderr)

    def watch(self, events: Iterable[Event]) -> LayerStack:
        """Show progress until a stack is finished, and return it."""
        from tqdm import tqdm

        on_terminal = sys.stderr.isatty()
        stage = ""
        layout = "{desc} |{bar}| {n}/{total} {postfix}"
        with tqdm(disable=self._quiet or not on_terminal, file=sys.stderr, leave=False, bar_format=layout) as bar:
            for event in events:
                match event:
                    case Notice():
                        bar.clear()
                        self.show(event)
                        bar.refresh()
                    case Progress():
                        if event.stage != stage:
                            stage = event.stage
                            bar.reset(event.total)
                            bar.set_description_str(event.text)
                            if not on_terminal and not self._quiet:
                                say(f"{event.text} …", sys.stderr)
                        bar.set_postfix_str("" if event.eta is None else f"{event.eta:.0f} s left")
                        bar.update(event.step - bar.n)
                    case Finished():
                        return event.stack
        raise AssertionError("the pipeline ended without a stack")
