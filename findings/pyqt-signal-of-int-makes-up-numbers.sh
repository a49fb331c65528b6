#!/usr/bin/env bash
# PyQt5 5.15.11 and PyQt6 6.10.0: a signal of `int` takes a float, None or a string, and sends a number that nobody gave.
#
# A method of Qt that takes an int refuses all three with a TypeError. `emit` of a signal that was declared in Python as
# `pyqtSignal(int)` refuses none: the slot is called with a number that is different in each process. A whole number from
# 2**31 on loses its upper bits without a word, so that 5 GB of progress arrive as 705032704. `pyqtSignal(object)` sends
# what it is given, and `pyqtSignal("qint64")` refuses what is no whole number.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet PyQt5==5.15.11 PyQt6==6.10.0 PyQt6-Qt6==6.10.0
cat >sending.py <<'PY'
import importlib
import sys

binding = sys.argv[1]
core = importlib.import_module(f"{binding}.QtCore")


class Sender(core.QObject):
    int_ = core.pyqtSignal(int)
    qint64 = core.pyqtSignal("qint64")
    object_ = core.pyqtSignal(object)


def sent(name, value):
    got, sender = [], Sender()
    signal = getattr(sender, name)
    signal.connect(got.append)
    try:
        signal.emit(value)
    except TypeError:
        return "TypeError"
    if got[0] is value or (type(got[0]) is type(value) and got[0] == value):
        return "the same"
    return str(got[0]) if isinstance(value, int) else f"another {type(got[0]).__name__}"


for name in ("int_", "qint64", "object_"):
    print(f"{binding} {name.rstrip('_')}:", *(f"{v!r} -> {sent(name, v)};" for v in (7, 5_000_000_000, 1.5, None, "12")))
try:
    core.QObject().startTimer("12")
except TypeError:
    print(f"{binding} a method that takes an int: TypeError")
PY
for binding in PyQt5 PyQt6; do env/bin/python sending.py "$binding"; done | tee seen
diff seen - <<'EXPECTED'
PyQt5 int: 7 -> the same; 5000000000 -> 705032704; 1.5 -> another int; None -> another int; '12' -> another int;
PyQt5 qint64: 7 -> the same; 5000000000 -> the same; 1.5 -> TypeError; None -> TypeError; '12' -> TypeError;
PyQt5 object: 7 -> the same; 5000000000 -> the same; 1.5 -> the same; None -> the same; '12' -> the same;
PyQt5 a method that takes an int: TypeError
PyQt6 int: 7 -> the same; 5000000000 -> 705032704; 1.5 -> another int; None -> another int; '12' -> another int;
PyQt6 qint64: 7 -> the same; 5000000000 -> the same; 1.5 -> TypeError; None -> TypeError; '12' -> TypeError;
PyQt6 object: 7 -> the same; 5000000000 -> the same; 1.5 -> the same; None -> the same; '12' -> the same;
PyQt6 a method that takes an int: TypeError
EXPECTED
