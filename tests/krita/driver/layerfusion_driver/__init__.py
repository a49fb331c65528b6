"""A Krita plugin for the tests, which runs all scenarios, writes a report and quits Krita."""

import json
import os
import platform
import time
import traceback
from pathlib import Path

from krita import Extension, Krita

from . import hands, scenarios, settings_window
from .qt import QtCore

FOLDER = Path(os.environ["LAYERFUSION_DRIVER_FOLDER"])
CHOSEN = os.environ.get("LAYERFUSION_KRITA_SCENARIOS", "").split()
"""Names of the scenarios to run after the server was started; if there are none, all run."""


class Driver(Extension):
    started = False

    def setup(self):
        pass

    def createActions(self, window):
        if not self.started:  # Krita calls this for every window
            self.started = True
            QtCore.QTimer.singleShot(1500, lambda: run(steps()))


def steps():
    """Run all scenarios. The generator yields the seconds to wait before its next step."""
    start, *others = scenarios.IN_ORDER
    chosen = [start, *(each for each in others if not CHOSEN or each.__name__ in CHOSEN)]
    alone = settings_window.start_together_with_krita
    if alone.__name__ in CHOSEN:
        chosen = [alone]
    report = {"krita": Krita.instance().version(), "qt": QtCore.qVersion(), "python": platform.python_version()}
    report |= {"all": not CHOSEN, "names": [each.__name__ for each in chosen]}
    yield from hands.wait_until(hands.is_open)
    report["first look"] = yield from hands.first_look(FOLDER)
    yield from hands.show_window()
    for scenario in chosen:
        began = time.monotonic()
        try:
            if scenario in scenarios.ON_THEIR_OWN or CHOSEN:
                hands.type_prompts()
            facts = yield from scenario(FOLDER)
        except Exception:
            facts = {"error": traceback.format_exc(), "docker": hands.docker_texts()}
            yield from hands.photograph(FOLDER / f"error-{scenario.__name__}.png")
        facts["seconds"] = round(time.monotonic() - began, 2)
        facts["script errors"] = hands.script_errors()
        report[scenario.__name__] = facts
        (FOLDER / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")


def run(remaining):
    """Run one step, and schedule the next one in Krita's event loop."""
    try:
        seconds = next(remaining)
    except StopIteration:
        hands.quit_krita()
        return
    except Exception:  # otherwise Krita would stay open
        traceback.print_exc()
        hands.quit_krita()
        return
    QtCore.QTimer.singleShot(int(1000 * seconds), lambda: run(remaining))


Krita.instance().addExtension(Driver(Krita.instance()))
