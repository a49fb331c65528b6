"""Names of the model families other than SDXL, recognised by the tensor names of their checkpoints and adapters.

Used to say what a file is for. The patterns are the families' own module names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_FAMILIES: tuple[tuple[str, str], ...] = (
    ("Stable Cascade", r"clip_txt_mapper|effnet_mapper|lora_prior_"),
    ("Chroma", r"distilled_guidance_layer"),
    ("HunyuanVideo", r"individual_token_refiner|double_blocks[._]\d+[._]img_attn_qkv"),
    ("Flux 2", r"double_stream_modulation_img"),
    ("HiDream", r"double_stream_blocks"),
    ("Flux", r"(double|single)_blocks[._]\d+|single_transformer_blocks[._]\d+|lora_transformer_"),
    ("Stable Diffusion 3", r"joint_blocks[._]\d+|transformer_blocks[._]\d+[._]attn2?[._]add_q_proj(?!.*img_)"),
    ("AuraFlow", r"double_layers[._]\d+|joint_transformer_blocks"),
    ("HunyuanDiT", r"mlp_t5\.|text_embedding_padding"),
    ("Qwen-Image", r"transformer_blocks[._]\d+[._](img_m|txt_m)|txt_norm\."),
    ("LTX Video", r"patchify_proj"),
    ("PixArt", r"csize_embedder|caption_projection\.y_embedding|y_embedder\.y_embedding"),
    ("Wan", r"blocks[._]\d+[._](cross_attn|self_attn)[._]"),
    ("Cosmos", r"blocks\.block\d+|blocks[._]\d+[._]adaln_modulation"),
    ("Z-Image", r"[xc]a?p?_pad_token|(^|[._])layers[._]\d+[._](attention[._](to_|qkv|out)|feed_forward[._]w)"),
    ("Lumina 2", r"cap_embedder|noise_refiner|context_refiner"),
)
"""A family's name, and a pattern of names that only its networks have. The first that is found counts."""


def other_family(names: Iterable[str]) -> str | None:
    """The family other than SDXL whose tensor names are among these; None if none is recognised."""
    text = "\n".join(names)
    return next((family for family, pattern in _FAMILIES if re.search(pattern, text, re.MULTILINE)), None)
