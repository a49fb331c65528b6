import io

import numpy as np
import pytest
from PIL import Image, ImageCms
from psd_tools import PSDImage
from psd_tools.api.layers import Group
from psd_tools.constants import BlendMode as PSDBlend
from psd_tools.constants import Compression, Resource

from layerfusion.engine import formats
from layerfusion.engine.errors import UnknownFormat, UnreadableFile
from layerfusion.engine.image.compositing import composite, flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role


def noise(height, width, seed, alpha=None):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    if alpha is not None:
        pixels[..., 3] = alpha
    return pixels


def make_stack(ground_alpha=255):
    return LayeredImage(
        name="林檎",
        size=Size(40, 30),
        resolution=(300.0, 150.0),
        layers=(
            Layer(name="Ground", role=Role.BACKGROUND, pixels=noise(30, 40, 1, alpha=ground_alpha)),
            Layer(name="Apple", role=Role.FOREGROUND, pixels=noise(10, 10, 2), offset=(35, -3)),
            Layer(name="S", role=Role.SHADOW, pixels=noise(20, 20, 3), blend=BlendMode.MULTIPLY, opacity=0.7),
            Layer(name="L", role=Role.LIGHT, pixels=noise(20, 20, 4), offset=(9, 9), blend=BlendMode.ADD),
            Layer(name="B", role=Role.BLENDED, pixels=noise(30, 40, 5, alpha=255), visible=False),
        ),
    )


@pytest.fixture
def saved(tmp_path):
    formats.save(make_stack(), tmp_path / "a.psd")
    return tmp_path / "a.psd"


@pytest.mark.parametrize("alpha", [255, 100, 0])
def test_the_merged_image_is_our_composite_over_white(tmp_path, alpha):
    stack = make_stack(alpha)
    formats.save(stack, tmp_path / "a.psd")
    with Image.open(tmp_path / "a.psd") as image:
        merged = np.asarray(image.convert("RGB"))
    white = np.full((30, 40, 4), 255, np.uint8)
    assert np.array_equal(merged, composite(white, flatten(stack))[..., :3])


def test_other_readers_render_the_layers_as_we_do(saved):
    theirs = PSDImage.open(saved).composite(force=True)
    assert np.abs(np.asarray(theirs.convert("RGB")).astype(int) - flatten(make_stack())[..., :3]).max() <= 2


def test_the_document_is_what_photoshop_and_krita_expect(saved):
    document = PSDImage.open(saved)
    group, blended = document
    assert isinstance(group, Group)
    assert group.blend_mode is PSDBlend.NORMAL  # Krita shows a pass-through group of such a file empty
    assert not any(layer.has_mask() for layer in group)
    assert [layer.name for layer in group] == ["Ground", "Apple", "S", "L"]
    assert blended.name == "B"
    assert len({layer.layer_id for layer in [*group, blended]}) == 5
    resolution = document.image_resources.get_data(Resource.RESOLUTION_INFO)
    assert (resolution.horizontal, resolution.vertical) == (300 << 16, 150 << 16)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(document.image_resources.get_data(Resource.ICC_PROFILE)))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


def test_roles_survive_renaming_and_reordering(saved):
    document = PSDImage.open(saved)
    group = document[0]
    assert isinstance(group, Group)
    group[1].name = "Pomme"
    group[1].move_up()
    document.save(saved)
    roles = {layer.name: layer.role for layer in formats.load(saved)}
    assert roles == {
        "Ground": Role.BACKGROUND,
        "Pomme": Role.FOREGROUND,
        "S": Role.SHADOW,
        "L": Role.LIGHT,
        "B": Role.BLENDED,
    }


def test_roles_are_guessed_if_another_program_removed_them(saved):
    document = PSDImage.open(saved)
    del document.image_resources[Resource.XMP_METADATA]
    document.save(saved)
    assert [layer.role for layer in formats.load(saved)] == [layer.role for layer in make_stack()]


@pytest.mark.parametrize(
    "xmp",
    [
        b"<layerfusion:roles>1=light;2=shadow</layerfusion:roles>",  # as an element, the other spelling XMP allows
        b'layerfusion:roles="1=light;2=shadow;3=moon;99999999999=light;=;"',
    ],
)
def test_roles_are_read_from_any_xmp(saved, xmp):
    document = PSDImage.open(saved)
    document.image_resources[Resource.XMP_METADATA].data = xmp
    document.save(saved)
    roles = [layer.role for layer in formats.load(saved)]
    assert roles[:3] == [Role.LIGHT, Role.SHADOW, Role.SHADOW]


def test_a_large_document_is_read_under_either_suffix(tmp_path):
    document = PSDImage.new("RGB", (16, 16), compression=Compression.RAW)
    document.create_pixel_layer_from_array(noise(16, 16, 5), name="x", compression=Compression.RAW)
    document._record.header.version = 2
    for name in ("a.psd", "a.psb"):
        document.save(tmp_path / name)
        assert np.array_equal(formats.load(tmp_path / name).layers[0].pixels, noise(16, 16, 5))
    with pytest.raises(UnknownFormat, match=r"\.psb"):
        formats.save(make_stack(), tmp_path / "new.psb")


def test_a_single_layer_gets_a_companion_that_is_not_read(tmp_path):
    stack = LayeredImage(name="s", size=Size(40, 30), layers=make_stack().layers[:1])
    for name in ("a.psd", "a.ora"):
        formats.save(stack, tmp_path / name)
        assert [layer.name for layer in formats.load(tmp_path / name)] == ["Ground"]
    assert len(list(PSDImage.open(tmp_path / "a.psd"))) == 2


def test_a_document_without_layers_is_its_picture(subtests, tmp_path):
    """So Photoshop saves one with a Background only."""
    pixels = noise(9, 11, 3)
    for mode, expected in [
        ("RGB", np.dstack([pixels[..., :3], np.full((9, 11), 255, np.uint8)])),
        ("L", np.dstack([pixels[..., :1]] * 3 + [np.full((9, 11), 255, np.uint8)])),
    ]:
        with subtests.test(mode=mode):
            PSDImage.frompil(Image.fromarray(pixels[..., : 3 if mode == "RGB" else 1].squeeze())).save(
                tmp_path / "flat.psd"
            )
            (layer,) = formats.load(tmp_path / "flat.psd")
            assert (layer.name, layer.role, layer.offset) == ("Background", Role.BACKGROUND, (0, 0))
            assert np.array_equal(layer.pixels, expected)
            assert np.array_equal(formats.load_layer(tmp_path / "flat.psd").layer.pixels, expected)


def test_an_extra_channel_of_a_flat_document_may_be_alpha_or_not(tmp_path):
    for alpha, read in [(255, True), (200, False)]:
        PSDImage.frompil(Image.fromarray(noise(9, 11, 3, alpha=alpha))).save(tmp_path / "flat.psd")
        document = PSDImage.open(tmp_path / "flat.psd")
        assert document._record.header.channels == 4
        if read:
            assert np.array_equal(formats.load(tmp_path / "flat.psd").layers[0].pixels, noise(9, 11, 3, alpha=255))
        else:
            with pytest.raises(UnreadableFile, match="no layers, and an extra channel"):
                formats.load(tmp_path / "flat.psd")


def test_documents_without_pixels_or_beyond_the_limits_are_refused(tmp_path):
    document = PSDImage.new("RGB", (16, 16))
    document.create_group(name="empty")
    document.save(tmp_path / "empty.psd")
    with pytest.raises(UnreadableFile, match="no layers"):
        formats.load(tmp_path / "empty.psd")
    PSDImage.new("RGB", (8193, 1)).save(tmp_path / "large.psd")
    with pytest.raises(UnreadableFile, match="8193x1"):
        formats.load(tmp_path / "large.psd")
