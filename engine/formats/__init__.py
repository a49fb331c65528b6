"""Saving and loading layer stacks: Photoshop (`.psd`), OpenRaster (`.ora`) or a folder of PNGs, chosen by the path.

A path ending in `.png` saves the flat picture.

    save(stack, "apple.psd")    load("apple.psd")
    save(stack, "apple.ora")    load("apple.ora")
    save(stack, "apple/")       load("apple/")        a path without suffix is a folder too

Saving and loading preserves the order of layers, names in any script, offsets, blend modes, opacity to 1/255,
visibility, roles, and every byte of the pixels, including colour under alpha 0. PSD leaves out margins in which all
four channels are 0; such a layer comes back smaller, at the same place. Files of other programs are read if our three
blend modes can show them correctly; otherwise the error names the layer and the feature that is not supported.

A half-written file never appears under the final name. Files are treated as hostile input when they are read.
"""

from __future__ import annotations

from layerfusion.engine.formats.images import load_image
from layerfusion.engine.formats.references import Referenced, load_layer
from layerfusion.engine.formats.stacks import check_writable, is_folder, load, save

__all__ = ["Referenced", "check_writable", "is_folder", "load", "load_image", "load_layer", "save"]
