#!/usr/bin/env bash
# PyQt5 5.15.11 and PyQt6 6.10.0: keys that are typed while a QCompleter's list is open go round the field's event filters.
#
# The list has the keyboard then, and the completer hands each key on by calling the field's event() itself instead of
# sending it. So the letter is typed, `keyPressEvent` sees it, and an event filter on the field, or one on the application
# that waits for keys of the field, does not. A shortcut that is made with a filter stops working while words are offered.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet PyQt5==5.15.11 PyQt6==6.10.0 PyQt6-Qt6==6.10.0
cat >typing_.py <<'PY'
import importlib
import sys

binding = sys.argv[1]
QtCore, QtTest, QtWidgets = (importlib.import_module(f"{binding}.{name}") for name in ("QtCore", "QtTest", "QtWidgets"))
app = QtWidgets.QApplication(sys.argv[:1])
pressed = QtCore.QEvent.Type.KeyPress


class Filter(QtCore.QObject):
    seen = ""

    def eventFilter(self, watched, event):
        if event.type() == pressed:
            self.seen += event.text()
        return False


class Field(QtWidgets.QPlainTextEdit):
    seen = ""

    def keyPressEvent(self, event):
        self.seen += event.text()
        super().keyPressEvent(event)


field, watching = Field(), Filter()
field.installEventFilter(watching)
field.show()
QtTest.QTest.keyClicks(field, "a")
completer = QtWidgets.QCompleter(["apple", "avocado"])
completer.setWidget(field)
completer.setCompletionPrefix("a")
completer.complete()
QtTest.QTest.keyClicks(completer.popup(), "p")
print(f"{binding}: text {field.toPlainText()}, keyPressEvent {field.seen}, event filter {watching.seen}")
PY
for binding in PyQt5 PyQt6; do QT_QPA_PLATFORM=offscreen env/bin/python typing_.py "$binding" 2>/dev/null; done | tee seen
diff seen - <<'EXPECTED'
PyQt5: text ap, keyPressEvent ap, event filter a
PyQt6: text ap, keyPressEvent ap, event filter a
EXPECTED
