import io

import numpy as np
import pytest
from PIL import Image, ImageCms
from psd_tools import PSDImage
from psd_tools.api.layers import Group
from psd_tools.constants import BlendMode as PSDBlend
from psd_tools.constants import Resource

from layerfusion.engine import formats
from layerfusion.engine.errors import UnreadableFile
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
    (group,) = document
    assert isinstance(group, Group)
    assert group.blend_mode is PSDBlend.NORMAL  # Krita shows a pass-through group of such a file empty
    assert not any(layer.has_mask() for layer in group)
    assert [layer.name for layer in group] == ["Ground", "Apple", "S", "L", "B"]
    assert len({layer.layer_id for layer in group}) == 5
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


def foreign(mode="RGB", **layer):
    document = PSDImage.new(mode, (16, 16))
    document.create_pixel_layer(Image.new("RGB", (16, 16), "red"), name="ground")
    group = document.create_group(name="group")
    group.create_pixel_layer_from_array(noise(8, 8, 9), name="thing", top=2, left=3, **layer)
    return document


def test_groups_of_other_programs_are_replaced_by_their_layers(tmp_path):
    document = foreign(blend_mode=PSDBlend.MULTIPLY)
    document[1].visible = False
    document.save(tmp_path / "theirs.psd")
    stack = formats.load(tmp_path / "theirs.psd")
    ground, thing = stack
    assert (stack.name, stack.size) == ("theirs", Size(16, 16))
    assert (ground.role, ground.visible) == (Role.BACKGROUND, True)
    assert (thing.role, thing.blend, thing.offset, thing.visible) == (Role.SHADOW, BlendMode.MULTIPLY, (3, 2), False)
    assert np.array_equal(thing.pixels, noise(8, 8, 9))
    assert (ground.pixels == (255, 0, 0, 255)).all()


def with_mask(document):
    document[0].create_mask(Image.new("L", (16, 16), 128))


def with_clipping(document):
    document[1][0].clipping = True


def with_group_opacity(document):
    document[1].opacity = 100


def with_screen(document):
    document[1][0].blend_mode = PSDBlend.SCREEN


def test_unsupported_layers_are_refused_by_name(subtests, tmp_path):
    for change, named in [
        (with_mask, "“ground” has a mask"),
        (with_clipping, "“thing” is clipped"),
        (with_group_opacity, "“group” is a group with opacity"),
        (with_screen, "“thing” has the blend mode screen"),
    ]:
        with subtests.test(change=change, named=named):
            document = foreign()
            change(document)
            document.save(tmp_path / "theirs.psd")
            with pytest.raises(UnreadableFile, match=named):
                formats.load(tmp_path / "theirs.psd")


@pytest.mark.parametrize(
    ("mode", "depth", "named"), [("L", 8, "GRAYSCALE"), ("CMYK", 8, "CMYK"), ("RGB", 16, "16 bits")]
)
def test_other_colour_modes_are_refused_by_name(tmp_path, mode, depth, named):
    PSDImage.new(mode, (16, 16), depth=depth).save(tmp_path / "theirs.psd")
    with pytest.raises(UnreadableFile, match=named):
        formats.load(tmp_path / "theirs.psd")


def test_documents_without_layers_or_beyond_the_limits_are_refused(tmp_path):
    PSDImage.new("RGB", (16, 16)).save(tmp_path / "flat.psd")
    with pytest.raises(UnreadableFile, match="no layers"):
        formats.load(tmp_path / "flat.psd")
    PSDImage.new("RGB", (8193, 1)).save(tmp_path / "large.psd")
    with pytest.raises(UnreadableFile, match="8193x1"):
        formats.load(tmp_path / "large.psd")
