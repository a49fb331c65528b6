"""What files say of themselves, and that it is read back."""

import io
import json
import re
import zipfile
from dataclasses import fields, replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from psd_tools import PSDImage
from psd_tools.constants import Resource

from layerfusion.engine import formats
from layerfusion.engine.formats.merged import encode_merged
from layerfusion.engine.formats.xmp import read_xmp, source_type, to_xmp
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role
from layerfusion.engine.image.record import LayerRecord, LoraRecord, PictureRecord, from_words, to_words

PICTURE = PictureRecord(
    tool="LayerFusion 1.2.3",
    created="2026-11-29T01:02:03Z",
    model="my-model",
    model_sha256="ab" * 32,
    loras=(LoraRecord(name="ink & wash.safetensors", sha256="cd" * 32, weight=0.75), LoraRecord(name="b", sha256="ef")),
    seed=2**53 - 1,
    blended_prompt="一个苹果, a “red” <apple> & a beach",
    blended_strength=0.45,
    steps=20,
    guidance_scale=5.5,
    guidance_rescale=0.7,
    sampler="dpmpp_2m_karras",
    sampler_title="DPM++ 2M Karras",
    preset="balanced",
    settings=("prior=lagged", "blend_end=0.2"),
    harmony="clean",
    refine=0.15,
    native_size=1024,
)
DRAWN = LayerRecord(prompt="a red apple", negative_prompt="blurry, dark", seed=7, box=(10, 20, 30, 40))
KEPT = LayerRecord(source="kept", prompt='a "beach"', sha256="12" * 32)
RELIT = LayerRecord(source="relit", prompt="a jar", seed=3, strength=0.25, sha256="34" * 32)
DERIVED = LayerRecord(source="derived")


def make_stack(foreground=DRAWN, background=KEPT, record=PICTURE):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    records = [background, foreground, DERIVED, DERIVED, LayerRecord(prompt="all", negative_prompt="dark", seed=5)]
    blends = {Role.SHADOW: BlendMode.MULTIPLY, Role.LIGHT: BlendMode.ADD}
    layers = tuple(
        Layer(
            name=role.value.title(),
            role=role,
            pixels=pixels,
            blend=blends.get(role, BlendMode.NORMAL),
            visible=role is not Role.BLENDED,
            record=each if record is not None else None,
        )
        for role, each in zip(Role, records, strict=True)
    )
    return LayeredImage(name="a red apple + a beach", size=Size(32, 24), layers=layers, record=record)


@pytest.mark.parametrize("target", ["a.psd", "a.ora", "a/"])
def test_every_field_is_read_back(tmp_path, target):
    assert all(getattr(PICTURE, field.name) not in (None, "", ()) for field in fields(PICTURE))
    stack = make_stack(foreground=RELIT)
    formats.save(stack, f"{tmp_path}/{target}")
    read = formats.load(f"{tmp_path}/{target}")
    assert read.record == PICTURE
    assert [layer.record for layer in read] == [layer.record for layer in stack]
    assert read.name == stack.name
    formats.save(make_stack(), f"{tmp_path}/{target}")
    assert formats.load(f"{tmp_path}/{target}").layers[1].record == DRAWN


@pytest.mark.parametrize("target", ["a.psd", "a.ora", "a/"])
def test_of_pictures_that_nothing_is_known_of_nothing_is_said(tmp_path, target):
    formats.save(make_stack(record=None), f"{tmp_path}/{target}")
    read = formats.load(f"{tmp_path}/{target}")
    assert read.record is None
    assert not any(layer.record for layer in read)
    for file in (file for file in tmp_path.rglob("*") if file.is_file()):
        assert b"trainedAlgorithmicMedia" not in file.read_bytes()


def merged_text(stack):
    with Image.open(io.BytesIO(encode_merged(stack))) as image:
        image.load()
        return image.text


def test_the_source_type_is_iptcs(subtests):
    drawn, composite = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"
    for background, foreground, kind in [(DRAWN, DRAWN, drawn), (KEPT, DRAWN, composite), (DRAWN, RELIT, composite)]:
        with subtests.test(kind, foreground=foreground.source):
            stack = make_stack(foreground, background)
            assert source_type(stack.layers, PICTURE) == f"http://cv.iptc.org/newscodes/digitalsourcetype/{kind}"
            assert f"digitalsourcetype/{kind}<" in merged_text(stack)["XML:com.adobe.xmp"]
    unknown = Layer(name="painted over it", role=Role.FOREGROUND, pixels=np.full((4, 4, 4), 9, np.uint8))
    assert composite in source_type([*make_stack(DRAWN, DRAWN), unknown], PICTURE)


def test_other_programs_find_their_fields(tmp_path):
    """In the XMP of a PSD, of an OpenRaster document's merged picture, and of a folder's layer; and in `stack.xml`."""
    stack = make_stack()
    for target in ("a.psd", "a.ora", "a/"):
        formats.save(stack, f"{tmp_path}/{target}")
    with zipfile.ZipFile(tmp_path / "a.ora") as archive:
        merged, xml = archive.read("mergedimage.png"), archive.read("stack.xml")
    packets = [
        PSDImage.open(tmp_path / "a.psd").image_resources.get_data(Resource.XMP_METADATA).decode(),
        Image.open(io.BytesIO(merged)).info["XML:com.adobe.xmp"],
        Image.open(tmp_path / "a" / "02-foreground.png").info["XML:com.adobe.xmp"],
    ]
    names = {
        "{http://ns.adobe.com/xap/1.0/}CreatorTool": "LayerFusion 1.2.3",
        "{http://ns.adobe.com/xap/1.0/}CreateDate": "2026-11-29T01:02:03Z",
        "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}AISystemUsed": "LayerFusion, model my-model",
    }
    for packet in packets:
        root = ElementTree.fromstring(re.sub(r"<\?xpacket[^>]*>", "", packet).lstrip("\ufeff"))
        found = {element.tag: element.text for element in root.iter()}
        assert {name: found.get(name) for name in names} == names
    source_type_name = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    image = ElementTree.fromstring(xml)
    assert {name: image.get(name) for name in names} == names
    assert image.get(source_type_name) == source_type(stack.layers, PICTURE)


def test_xmp_in_photoshops_spelling_is_read():
    """Photoshop writes simple properties as attributes and structures as nested descriptions."""
    packet = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
        xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
        xmlns:lf="urn:layerfusion:stack:1" lf:tool="LayerFusion 9" lf:seed="12" lf:title="t" lf:steps="many"><lf:layers>
        <rdf:Seq><rdf:li><rdf:Description lf:id="3" lf:source="kept" lf:prompt="a &amp; b"/></rdf:li>
        <rdf:li rdf:parseType="Resource"><lf:id>4</lf:id><lf:source>stolen</lf:source></rdf:li></rdf:Seq></lf:layers>
        </rdf:Description></rdf:RDF></x:xmpmeta>"""
    record, title, layers = read_xmp(packet)
    assert record == PictureRecord(tool="LayerFusion 9", seed=12)
    assert title == "t"
    assert layers == {3: LayerRecord(source="kept", prompt="a & b"), 4: LayerRecord()}


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\xff\xfe<x",
        b"<x:xmpmeta",
        b'<!DOCTYPE a [<!ENTITY b "c">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>',
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>',
        b"a" * 2**23,
    ],
)
def test_other_packets_say_nothing(packet):
    assert read_xmp(packet) == (None, "", {})


def test_values_that_make_no_sense_are_left_out():
    words = {"seed": "-1", "steps": "x" * 9999, "guidance_scale": "nan", "sampler": ["a"], "loras": "no", "refine": "1"}
    assert from_words(PictureRecord, words) == PictureRecord(refine=1.0)
    assert from_words(LayerRecord, {"source": "magic", "box": "1,2,3", "prompt": "x" * 9999}) == LayerRecord()
    assert from_words(PictureRecord, to_words(PICTURE)) == PICTURE
    assert json.loads(json.dumps(to_words(PICTURE))) == to_words(PICTURE)


def test_prompts_and_seeds_can_be_left_out(tmp_path):
    stack = make_stack(foreground=RELIT).without_prompts()
    words = ["apple", "苹果", "beach", "jar", "blurry", "dark", str(2**53 - 1)]
    for target in ("a.psd", "a.ora", "a/", "a.png"):
        formats.save(stack, f"{tmp_path}/{target}")
    with zipfile.ZipFile(tmp_path / "a.ora") as archive:
        archive.extractall(tmp_path / "unpacked")
    for file in (file for file in tmp_path.rglob("*") if file.is_file()):
        data = file.read_bytes()
        assert not [word for word in words if word.encode() in data], file
    read = formats.load(tmp_path / "a.psd")
    assert read.record == replace(PICTURE, blended_prompt="", seed=None)
    assert read.layers[1].record == replace(RELIT, prompt="", negative_prompt="", seed=None)
    assert "compositeWithTrainedAlgorithmicMedia" in merged_text(stack)["XML:com.adobe.xmp"]
    assert "parameters" not in merged_text(stack)


def test_the_parameters_are_those_of_other_stable_diffusion_programs():
    assert merged_text(make_stack())["parameters"] == (
        "一个苹果, a “red” <apple> & a beach\n"
        "Negative prompt: dark\n"
        "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 5.5, Seed: 9007199254740991, Size: 32x24, "
        "Model hash: ababababab, Model: my-model, Denoising strength: 0.45, "
        'Lora hashes: "ink & wash.safetensors: cdcdcdcdcd, b: ef", Version: LayerFusion 1.2.3'
    )


def test_a_parser_of_such_parameters_reads_them(tmp_path):
    parsers = pytest.importorskip("sd_parsers")
    formats.save(make_stack(), tmp_path / "a.png")
    found = parsers.ParserManager().parse(tmp_path / "a.png")
    assert found is not None
    (prompt,), (negative,) = found.prompts, found.negative_prompts
    assert prompt.value == PICTURE.blended_prompt
    assert negative.value == "dark"
    (sampler,) = found.samplers
    assert sampler.name == "DPM++ 2M Karras"
    (model,) = found.models
    assert (model.name, model.hash) == ("my-model", "ababababab")


def test_the_same_stack_makes_the_same_packet():
    assert to_xmp(make_stack()) == to_xmp(make_stack())
