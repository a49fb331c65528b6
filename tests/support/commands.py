"""Runs command lines in the test's process."""

import numpy as np

from layerfusion.server.cli.main import main

CUT_OUT = np.zeros((70, 90, 4), np.uint8)
CUT_OUT[20:50, 30:60] = (200, 30, 20, 255)
CUT_OUT[0, 0] = (1, 2, 3, 0)
"""A small object on transparent ground, with one pixel that has a colour and alpha 0."""


def run(capsys, *arguments):
    """Run one command line; paths may be given as such. Return its exit code, output and error output."""
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def drawing(**changes):
    """The command line that draws a small picture. An option with the value None is omitted."""
    options = {"--background": "a beach", "--out": "a.psd", "--size": "64x64", "--steps": "1"} | changes
    given = [word for name, value in options.items() if value is not None for word in (name, value)]
    return ["generate", "a red apple", *given]
