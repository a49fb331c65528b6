"""LayerFusion: layered text-to-image generation.

    from layerfusion import LayerFusion

    pipe = LayerFusion.from_pretrained("tiny")
    stack = pipe("a red apple", background="a beach at sunset", seed=3)
    stack.save("apple.psd")

`docs/api.md` explains it. Importing this package does nothing: a name's module is imported when the name is first used,
and torch when the first picture is drawn.
"""

import os

TYPE_CHECKING = False  # as type checkers take it; `typing` would be the most expensive thing here

if TYPE_CHECKING:
    from layerfusion.engine.api import LayerFusion, NoticeWarning
    from layerfusion.engine.editing import harmonise, moved
    from layerfusion.engine.errors import (
        BrokenModel,
        DownloadFailed,
        EngineError,
        FileError,
        InvalidLayer,
        InvalidRequest,
        ModelError,
        NoSuchLayer,
        OutOfMemory,
        UnknownFormat,
        UnknownModel,
        UnreadableFile,
        UnwritableFile,
    )
    from layerfusion.engine.events import Event, Finished, LayerReady, Preview, Progress
    from layerfusion.engine.image.geometry import Box, Size
    from layerfusion.engine.image.layers import BlendMode, Layer, Role
    from layerfusion.engine.notices import Notice
    from layerfusion.engine.options.fusion import FusionSettings
    from layerfusion.engine.options.harmony import HarmonySettings
    from layerfusion.engine.request import GenerationRequest
    from layerfusion.engine.sources import Generated, Kept, Relit
    from layerfusion.engine.stack import LayerStack, load

    __version__: str

__all__ = [
    "BlendMode",
    "Box",
    "BrokenModel",
    "DownloadFailed",
    "EngineError",
    "Event",
    "FileError",
    "Finished",
    "FusionSettings",
    "Generated",
    "GenerationRequest",
    "HarmonySettings",
    "InvalidLayer",
    "InvalidRequest",
    "Kept",
    "Layer",
    "LayerFusion",
    "LayerReady",
    "LayerStack",
    "ModelError",
    "NoSuchLayer",
    "Notice",
    "NoticeWarning",
    "OutOfMemory",
    "Preview",
    "Progress",
    "Relit",
    "Role",
    "Size",
    "UnknownFormat",
    "UnknownModel",
    "UnreadableFile",
    "UnwritableFile",
    "__version__",
    "harmonise",
    "load",
    "moved",
]

_HOMES = {
    "LayerFusion": "engine.api",
    "NoticeWarning": "engine.api",
    "harmonise": "engine.editing",
    "moved": "engine.editing",
    "Event": "engine.events",
    "Finished": "engine.events",
    "LayerReady": "engine.events",
    "Preview": "engine.events",
    "Progress": "engine.events",
    "Box": "engine.image.geometry",
    "Size": "engine.image.geometry",
    "BlendMode": "engine.image.layers",
    "Layer": "engine.image.layers",
    "Role": "engine.image.layers",
    "Notice": "engine.notices",
    "FusionSettings": "engine.options.fusion",
    "HarmonySettings": "engine.options.harmony",
    "GenerationRequest": "engine.request",
    "Generated": "engine.sources",
    "Kept": "engine.sources",
    "Relit": "engine.sources",
    "LayerStack": "engine.stack",
    "load": "engine.stack",
}
"""Where each name is defined; the others in `__all__` are errors."""

_PARENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.isfile(os.path.join(_PARENT, "engine", "pipeline.py")):
    __path__.append(_PARENT)  # a checkout: the three folders lie beside this one, not in it

if not TYPE_CHECKING:  # type checkers then know every name there is, and that there are no others

    def __getattr__(name: str) -> object:
        """Import a public name where it is first used (PEP 562)."""
        from importlib import import_module, metadata

        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name == "__version__":
            value = metadata.version(__name__)
        else:
            value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'engine.errors')}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
