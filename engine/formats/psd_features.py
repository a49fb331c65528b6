"""What of a Photoshop layer our layers can show. Everything else is refused by name, for groups as for layers.

The rule starts from what is understood: a layer may carry only blocks of the list below. A block that is not on it, for
example one that a later version of Photoshop introduces, could change how the layer looks.
"""

from __future__ import annotations

import struct
from typing import Any

from psd_tools import PSDImage
from psd_tools.api.layers import Layer as PSDLayer
from psd_tools.constants import AlphaChannelMode, Clipping, Resource, Tag
from psd_tools.constants import BlendMode as PSDBlend
from psd_tools.psd.descriptor import Descriptor, List
from psd_tools.psd.effects_layer import EffectsLayer

from layerfusion.engine.image.layers import BlendMode

BLEND = {
    BlendMode.NORMAL: PSDBlend.NORMAL,
    BlendMode.MULTIPLY: PSDBlend.MULTIPLY,
    BlendMode.ADD: PSDBlend.LINEAR_DODGE,
}
BLEND_BACK = {theirs: ours for ours, theirs in BLEND.items()}

_RASTERISED = ("pixel", "type", "shape", "smartobject")
"""Kinds of layers for which the file contains pixels."""

_NO_EFFECT = frozenset(
    [
        Tag.UNICODE_LAYER_NAME,
        Tag.LAYER_ID,
        Tag.LAYER_NAME_SOURCE_SETTING,
        Tag.LAYER_VERSION,
        Tag.SHEET_COLOR_SETTING,  # the colour in the panel
        Tag.PROTECTED_SETTING,
        Tag.REFERENCE_POINT,
        Tag.METADATA_SETTING,
        Tag.SECTION_DIVIDER_SETTING,
        Tag.NESTED_SECTION_DIVIDER_SETTING,
        Tag.TRANSPARENCY_SHAPES_LAYER,  # this and the next four concern effects, clipping and masks, which are refused
        Tag.BLEND_CLIPPING_ELEMENTS,
        Tag.BLEND_INTERIOR_ELEMENTS,
        Tag.LAYER_MASK_AS_GLOBAL_MASK,
        Tag.VECTOR_MASK_AS_GLOBAL_MASK,
        Tag.EFFECTS_LAYER,  # these and the next three are asked for as effects
        Tag.OBJECT_BASED_EFFECTS_LAYER_INFO,
        Tag.OBJECT_BASED_EFFECTS_LAYER_INFO_V0,
        Tag.OBJECT_BASED_EFFECTS_LAYER_INFO_V1,
        Tag.FOREIGN_EFFECT_ID,
        Tag.BLEND_FILL_OPACITY,
        Tag.KNOCKOUT_SETTING,
        Tag.CHANNEL_BLENDING_RESTRICTIONS_SETTING,
        Tag.TYPE_TOOL_INFO,  # text and smart objects: their pixels are in the file
        Tag.TYPE_TOOL_OBJECT_SETTING,
        Tag.PLACED_LAYER1,
        Tag.PLACED_LAYER2,
        Tag.SMART_OBJECT_LAYER_DATA1,
        Tag.SMART_OBJECT_LAYER_DATA2,
        Tag.USING_ALIGNED_RENDERING,
        Tag.CONTENT_GENERATOR_EXTRA_DATA,
    ]
)

_WORDS = {
    Tag.ARTBOARD_DATA1: "is an artboard",
    Tag.ARTBOARD_DATA2: "is an artboard",
    Tag.ARTBOARD_DATA3: "is an artboard",
    Tag.FRAMED_GROUP: "is a frame",
    Tag.FILTER_MASK: "has a filter mask",
    Tag.VECTOR_STROKE_DATA: "is a vector shape",
    Tag.VECTOR_STROKE_CONTENT_DATA: "is a vector shape",
    Tag.VECTOR_MASK_SETTING1: "has a vector mask",
    Tag.VECTOR_MASK_SETTING2: "has a vector mask",
    Tag.PIXEL_SOURCE_DATA1: "is a video or 3D layer",
    Tag.PIXEL_SOURCE_DATA2: "is a video or 3D layer",
}
_EFFECTS = (
    Tag.OBJECT_BASED_EFFECTS_LAYER_INFO,
    Tag.OBJECT_BASED_EFFECTS_LAYER_INFO_V0,
    Tag.OBJECT_BASED_EFFECTS_LAYER_INFO_V1,
)
_WHOLE_RANGE = {(0, 65535)}
"""Blend If that leaves nothing out: from black, 0 and 0, to white, 255 and 255."""


def obstacle(layer: PSDLayer) -> str:
    """Why our layers cannot show this layer or group, as words after its name; empty if they can."""
    if layer.is_group():
        why = _of_group(layer)
    elif layer.kind not in _RASTERISED:
        why = f"has no pixels of its own: its kind is “{layer.kind}”"
    elif layer.blend_mode not in BLEND_BACK:
        why = f"has the blend mode {layer.blend_mode.name.replace('_', ' ').lower()}"
    else:
        why = ""
    return why or _of_any(layer)


def fill_opacity(layer: PSDLayer) -> float:
    """Photoshop's second opacity of a layer, which spares its effects, 0-1."""
    value: Any = layer.tagged_blocks.get_data(Tag.BLEND_FILL_OPACITY, 255)
    return value / 255


def _of_group(layer: PSDLayer) -> str:
    if layer.blend_mode not in (PSDBlend.PASS_THROUGH, PSDBlend.NORMAL):
        return f"is a group with the blend mode {layer.blend_mode.name.replace('_', ' ').lower()}"
    if layer.opacity != 255 or fill_opacity(layer) != 1:
        return "is a group with opacity"
    return ""


def _of_any(layer: PSDLayer) -> str:
    """What is asked of layers and groups alike."""
    blocks = layer.tagged_blocks
    if layer._record.clipping is not Clipping.BASE:  # the property of a group is always False
        return "is clipped to the layer below"
    if _has_effects(layer):
        return "has layer effects"
    if layer.has_vector_mask() or (layer.mask is not None and not layer.mask.disabled):
        return "has a mask"
    if blocks.get_data(Tag.KNOCKOUT_SETTING, 0):
        return "has a knockout"
    restricted: Any = blocks.get_data(Tag.CHANNEL_BLENDING_RESTRICTIONS_SETTING, ())
    if len(restricted):
        return "is restricted to some of the channels"
    ranges = layer._record.blending_ranges
    pairs = [*(ranges.composite_ranges or ()), *(pair for channel in ranges.channel_ranges or () for pair in channel)]
    if not set(map(tuple, pairs)) <= _WHOLE_RANGE:
        return "has Blend If ranges"
    for key in blocks:
        if key not in _NO_EFFECT:
            name = key.value if isinstance(key, Tag) else key
            return _WORDS.get(key, f"has a feature that is not known here, “{name.decode('ascii', 'replace')}”")
    return ""


def _has_effects(layer: PSDLayer) -> bool:
    """Whether an effect is switched on, of whatever kind, in whichever of the four blocks.

    psd-tools' `has_effects` looks at one block only, and not at effects that it does not know or cannot read.
    """
    stored = [layer.tagged_blocks.get_data(tag) for tag in _EFFECTS if tag in layer.tagged_blocks]
    if not stored:  # written by Photoshop 5 and 6, and as a copy by later versions
        older: Any = layer.tagged_blocks.get_data(Tag.EFFECTS_LAYER)
        if older is None or not isinstance(older, EffectsLayer):
            return older is not None
        return any(getattr(effect, "enabled", False) for effect in older.values())
    return any(not isinstance(block, Descriptor) or _draws(block) for block in stored)


def _draws(effects: Descriptor) -> bool:
    """Whether a list of effects is switched on, and one in it."""
    if not _flag(effects, b"masterFXSwitch", True):
        return False
    entries = [entry for value in effects.values() for entry in (value if isinstance(value, List) else [value])]
    return any(
        _flag(entry, b"enab", False) and _flag(entry, b"present", True)
        for entry in entries
        if isinstance(entry, Descriptor)
    )


def _flag(values: Descriptor, key: bytes, missing: bool) -> bool:
    found: Any = values.get(key)
    return missing if found is None else bool(getattr(found, "value", found))


def has_spot_channels(document: PSDImage) -> bool:
    """Whether a channel beside the layers holds an ink, or something of which we do not know that it shows nothing."""
    stated: Any = document.image_resources.get_data(Resource.DISPLAY_INFO)
    if stated is not None:
        known = (AlphaChannelMode.ALPHA, AlphaChannelMode.INVERTED_ALPHA)
        return any(channel.mode not in known for channel in stated.alpha_channels)
    older: Any = document.image_resources.get_data(Resource.DISPLAY_INFO_OBSOLETE)
    entries = older if isinstance(older, bytes) else b""
    return any(kind not in (0, 1) for *_, kind in struct.iter_unpack(">6HBx", entries[: len(entries) // 14 * 14]))


def has_unpaired_dividers(document: PSDImage) -> bool:
    """Whether a group lacks its beginning or its end: psd-tools reads such a file as if the group were not there."""
    return bool(PSDImage._unmatched_dividers(list(document._record._iter_layers())))
