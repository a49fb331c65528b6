import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from layerfusion.engine import formats
from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats import roles
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role


def png(width=8, height=8, colour=(10, 20, 30, 40)):
    buffer = io.BytesIO()
    Image.new("RGBA", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


LAYER = '<layer src="data/a.png" {}/>'
DOCUMENT = '<image w="16" h="12"><stack>{}</stack></image>'


def write(path, xml, members=None, mimetype="image/openraster"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", mimetype)
        archive.writestr("stack.xml", xml)
        for name, data in (members if members is not None else {"data/a.png": png()}).items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.ora"


def make_stack(width=600, height=300):
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    return LayeredImage(
        name="s",
        size=Size(width, height),
        layers=(
            Layer(name="Ground", role=Role.BACKGROUND, pixels=ground),
            Layer(name="Light", role=Role.LIGHT, pixels=ground[:50, :50], offset=(-5, 7), blend=BlendMode.ADD),
            Layer(name="Hidden", role=Role.FOREGROUND, pixels=ground, visible=False),
        ),
    )


def test_the_archive_follows_the_openraster_standard(path):
    stack = make_stack()
    formats.save(stack, path)
    assert path.read_bytes()[30:54] == b"mimetypeimage/openraster"
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED
        merged = np.asarray(Image.open(archive.open("mergedimage.png")))
        thumbnail = Image.open(archive.open("Thumbnails/thumbnail.png"))
        xml = archive.read("stack.xml").decode()
    assert np.array_equal(merged, flatten(stack))
    assert thumbnail.size == (256, 128)
    assert xml.index("Hidden") < xml.index("Light") < xml.index("Ground")
    assert 'composite-op="svg:plus"' in xml


def test_stored_roles_take_precedence_over_guesses(path):
    layer = Layer(name="x", role=Role.BLENDED, pixels=np.full((4, 4, 4), 9, np.uint8), blend=BlendMode.MULTIPLY)
    formats.save(LayeredImage(name="s", size=Size(4, 4), layers=(layer,)), path)
    assert formats.load(path).layers[0].role is Role.BLENDED


@pytest.mark.parametrize(
    ("mode", "blend", "role"),
    [
        ("svg:src-over", BlendMode.NORMAL, Role.BACKGROUND),
        ("svg:multiply", BlendMode.MULTIPLY, Role.SHADOW),
        ("svg:plus", BlendMode.ADD, Role.LIGHT),
        ("krita:linear_dodge", BlendMode.ADD, Role.LIGHT),
    ],
)
def test_documents_of_other_programs_are_read(path, mode, blend, role):
    write(path, DOCUMENT.format(LAYER.format(f'name="theirs" x="-3" y="4" opacity="0.5" composite-op="{mode}"')))
    stack = formats.load(path)
    (layer,) = stack
    assert (stack.name, stack.size) == ("a", Size(16, 12))
    assert (layer.name, layer.blend, layer.role, layer.offset, layer.opacity) == ("theirs", blend, role, (-3, 4), 0.5)
    assert (layer.pixels == (10, 20, 30, 40)).all()


def test_nested_groups_are_flattened_in_order_and_hidden_groups_hide_their_layers(path):
    top, middle, low = (LAYER.format(f'name="{name}"') for name in ("top", "middle", "low"))
    write(path, DOCUMENT.format(f'{top}<stack visibility="hidden"><stack>{middle}</stack></stack>{low}'))
    assert [(layer.name, layer.visible) for layer in formats.load(path)] == [
        ("low", True),
        ("middle", False),
        ("top", True),
    ]


def test_unsupported_layers_are_refused_by_name(subtests, path):
    for content, named in [
        (LAYER.format('name="glow" composite-op="svg:screen"'), "“glow” has the blend mode svg:screen"),
        (f'<stack name="g" opacity="0.5">{LAYER.format("")}</stack>', "“g” is a group with opacity"),
        ("<text/>", "is not a layer"),
        ("<stack>" * 40 + "</stack>" * 40, "in more than 32 groups"),
        ("", "no layers"),
        (LAYER.format("") * 300, "300 layers"),
    ]:
        with subtests.test(content=content, named=named):
            write(path, DOCUMENT.format(content))
            with pytest.raises(UnreadableFile, match=named):
                formats.load(path)


OPAQUE = png(16, 12, (200, 100, 50, 255))
BACKDROP = '<layer name="ground" src="data/ground.png"/>'


def test_features_that_change_the_picture_are_refused_by_name(subtests, path):
    multiplied = LAYER.format('name="shade" composite-op="svg:multiply"')
    for content, named in [
        (
            f'<stack name="g" isolation="isolate">{multiplied}</stack>{BACKDROP}',
            "“g” is an isolated group, in which “sh",
        ),
        (f'<stack name="g" isolation="other">{BACKDROP}</stack>', "“g” has the isolation “other”"),
        (f'<stack name="g" alpha-preserve="true">{BACKDROP}</stack>', "“g” is a group that keeps the alpha"),
        (f'<stack name="g" x="3">{BACKDROP}</stack>', "“g” is a group with an offset"),
        (LAYER.format('name="shade" alpha-preserve="true" x="-2"'), "“shade” keeps the alpha"),
        (LAYER.format('name="a" visibility="collapse"'), "“a” has the visibility “collapse”"),
        (f'<stack name="g" visibility="no">{BACKDROP}</stack>', "“g” has the visibility “no”"),
        (LAYER.format('name="a" opacity="0,5"'), "“a” has the opacity “0,5”"),
        (LAYER.format('name="a" opacity="1.5"'), "“a” has the opacity “1.5”"),
        (f'<stack name="g" opacity="nan">{BACKDROP}</stack>', "“g” has the opacity “nan”"),
        (LAYER.format('name="a" x="2.5"'), "“a” lies at 2.5,0, between pixels"),
        ('<layer name="a" src="data/a.png"><filter/></layer>', "“a” holds the element filter"),
        ('<layer name="a"/>', "“a” has its pixels in “”, which is not in the file"),
        (LAYER.format('name="a" mask="data/m.png"'), "“a” has the attribute mask"),
        (f'<stack name="g" clip="1">{BACKDROP}</stack>', "“g” has the attribute clip"),
        ('<layer name="drawn" src="data/v.svg"/>', "“drawn” is no PNG but a layer of SVG"),
        (
            f'<stack name="g" composite-op="mypaint:spectral-wgm">{BACKDROP}</stack>{BACKDROP}',
            "“g” has MyPaint's blend",
        ),
    ]:
        with subtests.test(named=named):
            write(
                path, DOCUMENT.format(content), {"data/a.png": png(), "data/ground.png": OPAQUE, "data/v.svg": "<svg/>"}
            )
            with pytest.raises(UnreadableFile, match=named):
                formats.load(path)


@pytest.mark.parametrize("attributes", ['opacity="0.5"', 'composite-op="svg:multiply"'])
def test_a_root_that_changes_the_picture_is_refused(path, attributes):
    write(path, f'<image w="16" h="12"><stack {attributes}>{LAYER.format("")}</stack></image>')
    with pytest.raises(UnreadableFile, match="“the whole picture” has"):
        formats.load(path)


def test_what_changes_nothing_is_read(subtests, path):
    shade = LAYER.format('name="shade" composite-op="svg:multiply" alpha-preserve="true"')
    paper = (
        '<layer name="paper" src="data/ground.png" '
        'xmlns:m="http://mypaint.org/ns/openraster" m:background-tile="data/ground.png"/>'
    )
    for content in [
        f'<stack name="g">{shade}</stack>{BACKDROP}',
        f'<stack name="g" isolation="isolate">{shade}{BACKDROP}</stack>',
        f'<stack name="g" isolation="isolate">{shade}{BACKDROP}</stack>{BACKDROP.replace("ground", "low", 1)}',
        f'<stack composite-op="mypaint:spectral-wgm" isolation="isolate">{shade}{BACKDROP}</stack>{paper}',
    ]:
        with subtests.test(content):
            files = {"data/a.png": png(), "data/ground.png": OPAQUE}
            write(path, DOCUMENT.format(content), files | {"data/low.png": OPAQUE})
            *_, ground, read = formats.load(path)
            assert (ground.name, read.name, read.blend) == ("ground", "shade", BlendMode.MULTIPLY)


def test_whole_numbers_may_have_decimals(path):
    write(path, DOCUMENT.format(LAYER.format('x="3.0" y="-2.00" opacity="1.000"')))
    (layer,) = formats.load(path)
    assert (layer.offset, layer.opacity) == ((3, -2), 1)


@pytest.mark.parametrize("more", ["<stack/>", "<annotations/>"])
def test_a_document_is_one_stack(path, more):
    """Elements of other XML namespaces are notes of the program that wrote them."""
    write(path, DOCUMENT.format(LAYER.format("")).replace("</image>", '<d:notes xmlns:d="urn:d"/></image>'))
    assert len(formats.load(path)) == 1
    write(path, DOCUMENT.format(LAYER.format("")).replace("</image>", f"{more}</image>"))
    with pytest.raises(UnreadableFile, match="damaged"):
        formats.load(path)


def test_one_layer_is_read_whatever_lies_beside_it(subtests, path):
    wanted = LAYER.format('name="Hero" x="4" y="-1" layerfusion:role="light" composite-op="svg:plus"')
    wanted = wanted.replace("<layer", f'<layer xmlns:layerfusion="{roles.NAMESPACE}"')
    glow = LAYER.format('name="glow" composite-op="svg:screen"')
    write(path, DOCUMENT.format(f'{glow}<stack name="g" isolation="isolate" visibility="hidden">{wanted}</stack>'))
    for name in ("Hero", "hero", "light"):
        found = formats.load_layer(f"{path}#{name}")
        assert (found.layer.name, found.layer.offset, found.canvas) == ("Hero", (4, -1), Size(16, 12))
        assert (found.layer.role, found.layer.blend, found.layer.visible) == (Role.LIGHT, BlendMode.ADD, True)
    for around, words in [
        ('opacity="0.5"', "“g” is a group with opacity"),
        ('alpha-preserve="true"', "“g” is a group that keeps"),
        ('effect="blur"', "“g” has the attribute effect"),
    ]:
        with subtests.test(around=around):
            write(path, DOCUMENT.format(f'<stack name="g" {around}><stack>{wanted}</stack></stack>'))
            with pytest.raises(UnreadableFile, match=words):
                formats.load_layer(f"{path}#Hero")
    write(path, DOCUMENT.format(LAYER.format('name="Hero" alpha-preserve="true"') + BACKDROP))
    with pytest.raises(UnreadableFile, match="“Hero” keeps the alpha"):
        formats.load_layer(f"{path}#Hero")
    write(path, DOCUMENT.format(wanted * 2))
    with pytest.raises(UnreadableFile, match="no single layer “Hero”"):
        formats.load_layer(f"{path}#Hero")


def test_our_names_are_roles(path):
    names = ["Blended", "Light", "Shadow", "Foreground 2", "Foreground", "Background"]
    modes = {"Light": "svg:plus", "Shadow": "svg:multiply"}
    layers = [LAYER.format(f'name="{name}" composite-op="{modes.get(name, "svg:src-over")}"') for name in names]
    write(path, DOCUMENT.format("".join(layers)))
    assert [layer.role.value for layer in formats.load(path)] == [
        *("background", "foreground", "foreground", "shadow", "light", "blended")
    ]


def test_the_resolution_is_kept(path):
    write(path, DOCUMENT.replace("<image ", '<image xres="300" yres="150" ').format(LAYER.format("")))
    stack = formats.load(path)
    assert stack.resolution == (300, 150)
    formats.save(stack, path)
    assert formats.load(path).resolution == (300, 150)


def test_memory_is_bounded_by_the_headers_of_the_layers(path, monkeypatch):
    """Twenty layers show one small file; each would be decoded to a picture of its own."""
    blank = zlib.compress(bytes(8000 * (1 + 4 * 8000)))
    large = bytearray(png(1, 1))
    header = large[:16] + struct.pack(">II", 8000, 8000) + large[24:29]
    data = bytes(header) + struct.pack(">I", zlib.crc32(bytes(header[12:29])))
    data += (
        struct.pack(">I", len(blank)) + b"IDAT" + blank + struct.pack(">I", zlib.crc32(b"IDAT" + blank)) + large[-12:]
    )
    write(path, DOCUMENT.format(LAYER.format("") * 20), {"data/a.png": data})
    monkeypatch.setattr(Image, "open", None)  # not a single one is decoded
    with pytest.raises(UnreadableFile, match="20 layers with 1280 megapixels"):
        formats.load(path)


def test_a_huge_directory_is_not_read(path):
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(60_000):
            archive.writestr(f"{number:080}", "")
    with pytest.raises(UnreadableFile, match="damaged"):
        formats.load(path)


BILLION_LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {n} "{f"&{p};" * 10}">' for p, n in zip("abcdefgh", "bcdefghi", strict=True))
    + ']><image w="16" h="12"><stack name="&i;"/></image>'
)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "xml",
    [
        pytest.param(BILLION_LAUGHS, id="entities"),
        pytest.param(BILLION_LAUGHS.encode("utf-16"), id="entities in UTF-16"),
        pytest.param('<!DOCTYPE a SYSTEM "file:///etc/passwd"><image w="1" h="1"/>', id="external"),
        pytest.param(DOCUMENT.format(LAYER.format("") + " " * 2**20), id="long"),
        pytest.param(DOCUMENT.format(LAYER.format('x="1e9"')), id="offset in words"),
        pytest.param(DOCUMENT.format(LAYER.format(f'x="{10**9}"')), id="far away"),
        pytest.param(DOCUMENT.format(LAYER.format('opacity="nan"')), id="opacity"),
        pytest.param(DOCUMENT.format("<layer/>"), id="no source"),
        pytest.param("<image/>", id="no size"),
        pytest.param("nonsense", id="no XML"),
    ],
)
def test_hostile_stacks_are_refused(path, xml):
    write(path, xml)
    with pytest.raises(UnreadableFile, match=r"a\.ora"):
        formats.load(path)


@pytest.mark.parametrize("size", [(0, 5), (8193, 5), (5, 10**7)])
def test_canvases_beyond_the_limits_are_refused(path, size):
    write(path, DOCUMENT.replace('w="16" h="12"', 'w="{}" h="{}"'.format(*size)).format(LAYER.format("")))
    with pytest.raises(UnreadableFile):
        formats.load(path)


@pytest.mark.parametrize("source", ["../secret.png", "/etc/passwd", "data/b.png", "C:\\x.png"])
def test_sources_outside_the_archive_are_not_opened(tmp_path, source):
    (tmp_path / "secret.png").write_bytes(png())
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in" / "a.ora", DOCUMENT.format(f'<layer src="{source}"/>'))
    with pytest.raises(UnreadableFile, match=r"“Layer” has its pixels in “.+”, which is not in the file"):
        formats.load(path)


def test_a_decompression_bomb_is_refused_before_decompression(path):
    bomb = bytearray(png(1, 1))
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    write(path, DOCUMENT.format(LAYER.format("")), {"data/a.png": bytes(bomb)})
    with pytest.raises(UnreadableFile):
        formats.load(path)
    write(path, DOCUMENT.format(LAYER.format("")), {"data/a.png": png(8193, 1)})
    with pytest.raises(UnreadableFile, match="8193x1"):
        formats.load(path)


def test_a_layer_of_another_kind_is_not_decoded(path):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "TIFF")
    write(path, DOCUMENT.format(LAYER.format("")), {"data/a.png": buffer.getvalue()})
    with pytest.raises(UnreadableFile, match="“Layer” is no PNG"):
        formats.load(path)


def test_another_zip_file_is_refused(path):
    write(path, DOCUMENT.format(LAYER.format("")), mimetype="application/zip")
    with pytest.raises(UnreadableFile, match="OpenRaster"):
        formats.load(path)
