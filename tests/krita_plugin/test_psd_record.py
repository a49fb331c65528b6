"""An exported PSD says what it is, in the fields that LayerFusion reads, and is otherwise the one that Krita wrote."""

import json

import numpy as np
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
LAYERS = [{"prompt": "a beach & <sand>", "source": "generated"}, {"prompt": "a red\x01 apple"}, {"source": "derived"}]
MADE_OF = json.dumps({"picture": PICTURE, "layers": LAYERS})


@pytest.fixture
def written(tmp_path):
    """A PSD without XMP, as Krita writes one."""
    document = PSDImage.new("RGB", (16, 16))
    document.create_pixel_layer_from_array(np.full((16, 16, 4), 90, np.uint8), name="Background")
    document.create_pixel_layer_from_array(np.full((8, 8, 4), 200, np.uint8), name="Foreground", top=3, left=2)
    document.save(tmp_path / "out.psd")
    return tmp_path / "out.psd"


def stamp(path, title="a red apple + a beach", made_of=MADE_OF, prompts=True):
    from krita_layerfusion import psd_record

    psd_record.stamp(path, psd_record.packet(title, made_of, prompts))


def xmp(path):
    return PSDImage.open(path).image_resources.get_data(Resource.XMP_METADATA).decode()


def test_the_record_is_read_back(written):
    before = formats.load(written)
    stamp(written)
    stamp(written)  # a second packet takes the place of the first
    stack = formats.load(written)
    assert stack.name == "a red apple + a beach"
    record = stack.record
    assert (record.tool, record.model, record.seed, record.guidance_scale) == ("LayerFusion 0.1.0", "tiny", 7, 2.5)
    assert (record.settings, record.loras[0].name, record.loras[0].weight) == (tuple(PICTURE["settings"]), "ink", 0.7)
    for one, other in zip(before, stack, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert (one.name, one.offset, one.role) == (other.name, other.offset, other.role)
    text = xmp(written)
    assert text.count("<x:xmpmeta") == 1
    assert "digitalsourcetype/compositeWithTrainedAlgorithmicMedia<" in text
    assert "a beach &amp; &lt;sand&gt; | a red\ufffd apple<" in text
    assert [file.name for file in written.parent.iterdir()] == ["out.psd"]


def test_prompts_and_seeds_can_be_left_out(written):
    stamp(written, prompts=False)
    record = formats.load(written).record
    assert (record.model, record.seed, record.blended_prompt) == ("tiny", None, "")
    assert "apple" not in xmp(written)
    assert "compositeWithTrainedAlgorithmicMedia" in xmp(written)


@pytest.mark.parametrize(
    "made_of", ["", "[1]", '{"picture": 3, "layers": 4}', '{"picture": {"a b": 1}, "layers": [2]}']
)
def test_what_a_strangers_document_says_does_not_matter(written, made_of):
    stamp(written, made_of=made_of)
    assert formats.load(written).record.tool.startswith("LayerFusion ")
    assert "a b" not in xmp(written).replace("a beach", "")


@pytest.mark.parametrize("data", [b"", b"no PSD at all, and long enough to be one", b"8BPS" + bytes(22) + b"\0\0\1\0"])
def test_another_file_stays_as_it_is(tmp_path, data):
    (tmp_path / "a.psd").write_bytes(data)
    with pytest.raises(ValueError, match="PSD"):
        stamp(tmp_path / "a.psd")
    assert (tmp_path / "a.psd").read_bytes() == data
    assert [file.name for file in tmp_path.iterdir()] == ["a.psd"]
