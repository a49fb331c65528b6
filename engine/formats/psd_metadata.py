"""What a Photoshop document says of itself, in XMP."""

from __future__ import annotations

import re
from typing import Any

from psd_tools import PSDImage
from psd_tools.constants import Resource

from layerfusion.engine.formats import roles
from layerfusion.engine.image.layers import LayeredImage, Role


def to_xmp(stack: LayeredImage) -> bytes:
    """The XMP packet of a stack, with each layer's role by the layer id that the writer gives."""
    listed = ";".join(f"{number}={layer.role.value}" for number, layer in enumerate(stack, start=1))
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:layerfusion="{roles.NAMESPACE}" layerfusion:roles="{listed}"/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def read_roles(document: PSDImage) -> dict[int, Role]:
    """Layer id -> role.

    XMP allows the property as an attribute or as an element. A regular expression finds both, so that no XML parser is
    exposed to these untrusted bytes.
    """
    data: Any = document.image_resources.get_data(Resource.XMP_METADATA)
    match = re.search(rb'layerfusion:roles(?:="|>)([0-9a-z=;]*)', data) if isinstance(data, bytes) else None
    pairs = re.findall(r"([0-9]{1,9})=([a-z]+)", match[1].decode()) if match else []
    return {int(number): role for number, name in pairs if (role := roles.parse_role(name))}
