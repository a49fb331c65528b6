"""LayerFusion for Krita: two prompts become a group of layers.

`controller.py` is the heart; `extension.py` is what Krita calls. The packages `protocol`, `websockets` and `msgpack`
are put beside these files by `layerfusion plugin build` and `plugin install`.
"""

from importlib.util import find_spec

if find_spec("krita") is not None:  # the modules below it are also read, and tested, outside of Krita
    from .extension import register

    register()
