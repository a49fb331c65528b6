"""Qt of the running Krita: PyQt5 up to Krita 5, PyQt6 from Krita 6 on."""

try:
    from PyQt5 import QtCore, QtGui, QtTest, QtWidgets
except ImportError:  # Krita 6 makes importing PyQt5 an error
    from PyQt6 import QtCore, QtGui, QtTest, QtWidgets  # pyright: ignore[reportMissingImports]

__all__ = ["QtCore", "QtGui", "QtTest", "QtWidgets"]
