import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image
from psd_tools import PSDImage
from psd_tools.api.layers import Group
from psd_tools.constants import BlendMode as PSDBlend
from psd_tools.constants import Clipping, EffectOSType, Resource, Tag
from psd_tools.psd.descriptor import Bool, Descriptor, DescriptorBlock2
from psd_tools.psd.effects_layer import EffectsLayer, ShadowInfo
from psd_tools.psd.image_resources import ImageResource
from psd_tools.psd.tagged_blocks import TaggedBlock

from layerfusion.engine import formats
from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.image.colour import srgb_profile
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Role
from profiles import cmyk_profile


def noise(height, width, seed, alpha=None):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    if alpha is not None:
        pixels[..., 3] = alpha
    return pixels


def wide_gamut_profile():
    """A profile like sRGB with the red and green columns exchanged: images must be read with the two exchanged."""
    profile = bytearray(srgb_profile())
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {bytes(profile[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(count)}
    profile[tags[b"rXYZ"] : tags[b"rXYZ"] + 4], profile[tags[b"gXYZ"] : tags[b"gXYZ"] + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


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
    ("mode", "depth", "named"), [("L", 32, "GRAYSCALE"), ("CMYK", 8, "CMYK"), ("RGB", 32, "32 bits")]
)
def test_other_colour_modes_are_refused_by_name(tmp_path, mode, depth, named):
    PSDImage.new(mode, (16, 16), depth=depth).save(tmp_path / "theirs.psd")
    with pytest.raises(UnreadableFile, match=named):
        formats.load(tmp_path / "theirs.psd")


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_16_bits_and_grey_are_converted(tmp_path, mode):
    channels = {"RGB": 3, "L": 1}[mode]
    deep = np.random.default_rng(0).integers(0, 65536, (9, 11, channels + 1), dtype=np.uint16)
    document = PSDImage.new(mode, (11, 9), depth=16)
    document.create_pixel_layer_from_array(deep, name="deep")
    document.save(tmp_path / "theirs.psd")
    (read,) = formats.load(tmp_path / "theirs.psd")
    expected = np.rint(deep / 257)
    colours = expected[..., :channels] if channels == 3 else np.repeat(expected[..., :1], 3, axis=2)
    assert np.array_equal(read.pixels[..., :3], colours)
    assert np.array_equal(read.pixels[..., 3], expected[..., -1])


def set_block(key, value):
    def change(document):
        document[1][0].tagged_blocks.set_data(key, value)

    return change


def set_group_block(key, value):
    def change(document):
        document[1].tagged_blocks.set_data(key, value)

    return change


def with_ranges(document):
    document[1][0]._record.blending_ranges.composite_ranges = [(0, 30000), (0, 65535)]


def with_unknown_block(document):
    blocks = document[1]._record.tagged_blocks
    blocks._items["abcd"] = TaggedBlock(key=b"abcd", data=b"1234")


def with_clipped_group(document):
    document[1]._record.clipping = Clipping.NON_BASE


def with_group_mask(document):
    document[0].create_mask(Image.new("L", (16, 16), 128))  # on a group, psd-tools writes a file that it cannot read
    document[1]._record.mask_data, document[0]._record.mask_data = document[0]._record.mask_data, None


def with_half_fill(document):
    document[1][0].tagged_blocks.set_data(Tag.BLEND_FILL_OPACITY, 128)
    document[1][0].blend_mode = PSDBlend.LINEAR_DODGE
    document[0].visible = False


def effects(kind, *, enabled=True, master=True):
    """A list of one effect, as Photoshop stores it."""
    entry, found = Descriptor(classID=kind), DescriptorBlock2()
    entry[b"enab"], entry[b"present"] = Bool(enabled), Bool(True)
    found[b"masterFXSwitch"], found[kind] = Bool(master), entry
    return found


def put(blocks, tag, data):
    blocks[tag] = TaggedBlock(key=tag, data=data)


def with_old_effect(document):
    shadow = EffectsLayer()
    shadow[EffectOSType.DROP_SHADOW] = ShadowInfo(blur=3, enabled=1)
    put(document[1][0].tagged_blocks, Tag.EFFECTS_LAYER, shadow)


def with_unknown_effect(document):
    put(document[1][0].tagged_blocks, Tag.OBJECT_BASED_EFFECTS_LAYER_INFO, effects(b"newEffect"))


def with_group_effect(document):
    put(document[1].tagged_blocks, Tag.OBJECT_BASED_EFFECTS_LAYER_INFO_V0, effects(b"DrSh"))


def with_broken_effect(document):
    put(document[1][0].tagged_blocks, Tag.OBJECT_BASED_EFFECTS_LAYER_INFO, b"no descriptor at all")


def with_resource(key, data):
    def change(document):
        document.image_resources[key] = ImageResource(key=key, data=data)

    return change


SPOT = struct.pack(">6HB", 0, 65535, 0, 0, 0, 100, 2)


def test_features_that_change_the_picture_are_refused_by_name(subtests, tmp_path):
    for change, named in [
        (with_old_effect, "“thing” has layer effects"),
        (with_unknown_effect, "“thing” has layer effects"),
        (with_group_effect, "“group” has layer effects"),
        (with_broken_effect, "“thing” has layer effects"),
        (with_resource(Resource.DISPLAY_INFO, b"\0\0\0\1" + SPOT), "has spot colour channels"),
        (with_resource(Resource.DISPLAY_INFO_OBSOLETE, SPOT + b"\0"), "has spot colour channels"),
        (set_block(Tag.KNOCKOUT_SETTING, 1), "“thing” has a knockout"),
        (set_group_block(Tag.KNOCKOUT_SETTING, 2), "“group” has a knockout"),
        (set_block(Tag.CHANNEL_BLENDING_RESTRICTIONS_SETTING, [0]), "“thing” is restricted to some"),
        (set_group_block(Tag.BLEND_FILL_OPACITY, 100), "“group” is a group with opacity"),
        (with_ranges, "“thing” has Blend If"),
        (with_unknown_block, "“group” has a feature that is not known here, “abcd”"),
        (with_clipped_group, "“group” is clipped"),
        (with_group_mask, "“group” has a mask"),
        (with_half_fill, "“thing” has a fill opacity in mode linear dodge over transparent"),
    ]:
        with subtests.test(named=named):
            document = foreign()
            change(document)
            document.save(tmp_path / "theirs.psd")
            with pytest.raises(UnreadableFile, match=named):
                formats.load(tmp_path / "theirs.psd")


def test_what_is_switched_off_changes_nothing(subtests, tmp_path):
    tag = Tag.OBJECT_BASED_EFFECTS_LAYER_INFO
    alpha_channel = struct.pack(">6HB", 0, 65535, 0, 0, 0, 50, 0)
    for change in [
        lambda document: put(document[1][0].tagged_blocks, tag, effects(b"DrSh", enabled=False)),
        lambda document: put(document[1].tagged_blocks, tag, effects(b"DrSh", master=False)),
        lambda document: put(document[1].tagged_blocks, Tag.EFFECTS_LAYER, EffectsLayer()),
        with_resource(Resource.DISPLAY_INFO, b"\0\0\0\1" + alpha_channel),
    ]:
        with subtests.test(change=change):
            document = foreign()
            change(document)
            document.save(tmp_path / "theirs.psd")
            assert [layer.name for layer in formats.load(tmp_path / "theirs.psd")] == ["ground", "thing"]


def test_a_group_without_its_end_is_damage(tmp_path):
    document = foreign()
    document.save(tmp_path / "theirs.psd")
    opened = PSDImage.open(tmp_path / "theirs.psd")
    records = opened._record.layer_and_mask_information.layer_info.layer_records
    divider = next(record for record in records if Tag.SECTION_DIVIDER_SETTING in record.tagged_blocks)
    del divider.tagged_blocks[Tag.SECTION_DIVIDER_SETTING]
    with (tmp_path / "theirs.psd").open("wb") as file:
        opened._record.write(file)
    with pytest.raises(UnreadableFile, match="damaged"):
        formats.load(tmp_path / "theirs.psd")


def test_one_layer_is_read_whatever_lies_beside_it(tmp_path):
    document = foreign()
    with_mask(document)
    document.save(tmp_path / "theirs.psd")
    with pytest.raises(UnreadableFile, match="“ground” has a mask"):
        formats.load(tmp_path / "theirs.psd")
    found = formats.load_layer(f"{tmp_path}/theirs.psd#Thing")
    assert (found.layer.name, found.layer.offset, found.canvas) == ("thing", (3, 2), Size(16, 16))
    assert np.array_equal(found.layer.pixels, noise(8, 8, 9))
    for change, words in [
        (with_group_opacity, "“group” is a group with opacity"),
        (with_group_effect, "“group” has layer effects"),
        (with_half_fill, "“thing” has a fill opacity"),
        (with_screen, "“thing” has the blend mode screen"),
    ]:
        document = foreign()
        change(document)
        document.save(tmp_path / "theirs.psd")
        with pytest.raises(UnreadableFile, match=words):
            formats.load_layer(f"{tmp_path}/theirs.psd#thing")


@pytest.mark.parametrize("depth", [8, 16])
def test_a_layer_in_cmyk_is_converted_by_its_profile(tmp_path, depth):
    inks = np.zeros((4, 6, 5), np.uint8)  # no ink: white
    inks[:, 2:4, 0] = 255  # cyan
    inks[:, 4:, 3] = 255  # black
    inks[..., 4] = [[255], [200], [100], [0]]
    document = PSDImage.new("CMYK", (6, 4), depth=depth)
    values = inks.copy()
    values[..., :4] = 255 - values[..., :4]  # psd-tools takes what the file holds, where 0 is full ink
    document.create_pixel_layer_from_array(values.astype(np.uint16) * 257 if depth == 16 else values, name="inks")
    document.image_resources[Resource.ICC_PROFILE] = ImageResource(key=Resource.ICC_PROFILE, data=cmyk_profile())
    document.save(tmp_path / "theirs.psd")
    found = formats.load_layer(f"{tmp_path}/theirs.psd#inks").layer.pixels
    assert np.array_equal(found[..., 3], inks[..., 4])
    for column, colour in [(0, (255, 255, 255)), (2, (0, 255, 255)), (4, (0, 0, 0))]:
        assert np.abs(found[0, column, :3].astype(int) - colour).max() <= 6
    with pytest.raises(UnreadableFile, match="in CMYK, whose layers mix in another way"):
        formats.load(tmp_path / "theirs.psd")
    del document.image_resources[Resource.ICC_PROFILE]
    document.save(tmp_path / "theirs.psd")
    with pytest.raises(UnreadableFile, match="CMYK without a colour profile"):
        formats.load_layer(f"{tmp_path}/theirs.psd#inks")


@pytest.mark.parametrize("mode", [PSDBlend.NORMAL, PSDBlend.MULTIPLY, PSDBlend.LINEAR_DODGE])
def test_fill_opacity_is_applied(tmp_path, mode):
    """In mode linear dodge it scales the colours before they are added, and clipped; else it is an opacity."""
    document: Any = foreign(blend_mode=mode)
    document[1][0].tagged_blocks.set_data(Tag.BLEND_FILL_OPACITY, 100)
    document.save(tmp_path / "theirs.psd")
    found = flatten(formats.load(tmp_path / "theirs.psd"))[2:10, 3:11, :3].astype(float)
    thing, ground, fill = noise(8, 8, 9) / 255, np.array([1.0, 0, 0]), 100 / 255
    colour, alpha = thing[..., :3], thing[..., 3:]
    if mode is PSDBlend.LINEAR_DODGE:
        expected = (1 - alpha) * ground + alpha * np.minimum(ground + fill * colour, 1)
    else:
        mixed = colour if mode is PSDBlend.NORMAL else ground * colour
        expected = (1 - alpha * fill) * ground + alpha * fill * mixed
    assert np.abs(found - expected * 255).max() <= 1


def test_colours_of_another_profile_are_converted(tmp_path):
    document, profile = foreign(), wide_gamut_profile()
    document.image_resources[Resource.ICC_PROFILE] = ImageResource(key=Resource.ICC_PROFILE, data=profile)
    document.save(tmp_path / "theirs.psd")
    ground, thing = formats.load(tmp_path / "theirs.psd")
    assert np.abs(ground.pixels[0, 0].astype(int) - (0, 255, 0, 255)).max() <= 2
    assert np.array_equal(thing.pixels[..., 3], noise(8, 8, 9)[..., 3])


def test_isolated_groups_are_dissolved_only_where_the_picture_stays(tmp_path):
    """A multiplied layer in an isolated group: over the ground of the document; over an opaque layer of the group."""
    document = foreign(blend_mode=PSDBlend.MULTIPLY)
    group = document[1]
    assert isinstance(group, Group)
    group.blend_mode = PSDBlend.NORMAL
    document.save(tmp_path / "over_ground.psd")
    with pytest.raises(UnreadableFile, match="“group” is an isolated group, in which “thing”"):
        formats.load(tmp_path / "over_ground.psd")
    under = group.create_pixel_layer_from_array(noise(12, 12, 3, alpha=255), name="base", top=1, left=1)
    under.move_down()
    document.save(tmp_path / "over_base.psd")
    stack = formats.load(tmp_path / "over_base.psd")
    assert [layer.name for layer in stack] == ["ground", "base", "thing"]
    theirs = np.asarray(PSDImage.open(tmp_path / "over_base.psd").composite(force=True).convert("RGB"))
    assert np.abs(flatten(stack)[..., :3].astype(int) - theirs).max() <= 2
