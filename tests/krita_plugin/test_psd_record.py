"""An exported PSD says what it is and how each layer was made, in the fields that LayerFusion reads."""

import json

import pytest
from psd_tools import PSDImage
from psd_tools.constants import Resource

from layerfusion.engine import formats

pytestmark = pytest.mark.usefixtures("plugin")

PICTURE = {
    "tool": "LayerFusion 0.1.0",
    "created": "2026-01-02T03:04:05Z",
    "model": "tiny",
    "seed": "7",
    "blended_prompt": "a red apple, a beach",
    "guidance_scale": "2.5",
    "settings": ["mixture=b", "border_margin=0.1"],
    "loras": [{"name": "ink", "weight": "0.7"}],
}
LAYERS = [
    {"prompt": "a beach & <sand>", "source": "generated", "seed": "41"},
    {"prompt": "a red\x01 apple", "source": "generated", "box": "1,2,30,40"},
]
MADE_OF = json.dumps({"picture": PICTURE, "layers": LAYERS})


LISTED = [(1, "background", "Sky", 0), (2, "foreground", "Apple", 1), (3, "light", "Shine", None)]


@pytest.fixture
def written(tmp_path):
    """Get the path of a PSD of the plugin's with three layers and a packet."""

    def write(title="a red apple + a beach", made_of=MADE_OF, prompts=True):
        from krita_layerfusion import psd_file, psd_record

        packet = psd_record.packet(title, made_of, [psd_record.Listed(*each) for each in LISTED], prompts)
        channel = psd_file.packed(bytes(range(200, 216)) * 16, 16)
        channels = dict.fromkeys((psd_file.ALPHA, 0, 1, 2), channel)
        layers = [
            psd_file.PsdLayer(name, (0, 0, 16, 16), channels, b"norm", 255, True, number)
            for number, _, name, _ in LISTED
        ]
        with (tmp_path / "out.psd").open("wb") as file:
            psd_file.write(file, (16, 16), psd_file.resource(1060, packet), layers, (channel,) * 3)
        return tmp_path / "out.psd"

    return write


def xmp(path):
    return PSDImage.open(path).image_resources.get_data(Resource.XMP_METADATA).decode()


def test_the_record_is_read_back(written):
    path = written()
    stack = formats.load(path)
    assert stack.name == "a red apple + a beach"
    record = stack.record
    assert (record.tool, record.model, record.seed, record.guidance_scale) == ("LayerFusion 0.1.0", "tiny", 7, 2.5)
    assert (record.settings, record.loras[0].name, record.loras[0].weight) == (tuple(PICTURE["settings"]), "ink", 0.7)
    assert [(layer.name, layer.role.value) for layer in stack] == [(name, role) for _, role, name, _ in LISTED]
    sky, apple, shine = (layer.record for layer in stack)
    assert (sky.source, sky.prompt, sky.seed) == ("generated", "a beach & <sand>", 41)
    assert (apple.source, apple.box, apple.prompt) == ("generated", (1, 2, 30, 40), "a red\ufffd apple")
    assert shine is None, "nothing was told of it"
    text = xmp(path)
    assert text.count("<x:xmpmeta") == 1
    assert "digitalsourcetype/compositeWithTrainedAlgorithmicMedia<" in text
    assert "a beach &amp; &lt;sand&gt; | a red\ufffd apple<" in text


def test_prompts_and_seeds_can_be_left_out(written):
    path = written(prompts=False)
    stack = formats.load(path)
    assert (stack.record.model, stack.record.seed, stack.record.blended_prompt) == ("tiny", None, "")
    assert [(each.record.prompt, each.record.seed) for each in stack.layers[:2]] == [("", None)] * 2
    assert "apple" not in xmp(path)
    assert "compositeWithTrainedAlgorithmicMedia" in xmp(path)


@pytest.mark.parametrize(
    "made_of", ["", "[1]", '{"picture": 3, "layers": 4}', '{"picture": {"a b": 1}, "layers": [2]}']
)
def test_what_a_strangers_document_says_does_not_matter(written, made_of):
    path = written(made_of=made_of)
    assert formats.load(path).record.tool.startswith("LayerFusion ")
    assert "a b" not in xmp(path).replace("a beach", "")
