"""LayerFusion for Krita: two prompts become a group of layers.

Start reading at `controller.py`. Krita calls `extension.py`. The commands `layerfusion plugin build` and `plugin
install` add the packages `protocol`, `websockets` and `msgpack` to this folder.
"""

from importlib.util import find_spec

if find_spec("krita") is not None:  # outside of Krita, the modules of this package are imported by tests
    from .extension import register

    register()
